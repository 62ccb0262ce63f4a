"""Hand-made Virtual KITTI 2 frames for the tests of the converter."""

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pandepth_mm.converters.vkitti2 import VKITTI2Converter
from pandepth_mm.structures.vkitti2_meta import CLASS_COLORS, VOID_COLOR

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / 'data_converters' / 'vkitti2.py'
GENUINE = REPO.parent / 'shared' / 'data' / 'vkitti2_scene01_morning'

# C is cut in two by the pole, T has no track, . is undefined
LETTERS = dict(S='Sky', R='Road', C='Car', T='Truck', V='Van', P='Pole', M='Misc')
CLASS_ROWS = ('SSSSSSSS', 'SSSPSSSS', 'CCCPCCTV', 'CCCPCC..', 'RRRRRRR.', 'RRRRRRRR')
TRACK_ROWS = ('........', '........', '000.00.7', '000.00..', '........', '........')
# by hand: category, area, box
EXPECTED_SEGMENTS = [
    dict(id=5, category_id=5, area=15, bbox=[0, 0, 8, 2], iscrowd=0),  # Sky
    dict(id=9, category_id=9, area=15, bbox=[0, 4, 8, 2], iscrowd=0),  # Road
    dict(id=13, category_id=13, area=3, bbox=[3, 1, 1, 3], iscrowd=0),  # Pole
    dict(id=258, category_id=2, area=10, bbox=[0, 2, 6, 2], iscrowd=0),
    dict(id=2051, category_id=3, area=1, bbox=[7, 2, 1, 1], iscrowd=0),
]
INTRINSIC_HEADER = 'frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]\n'
LAYOUTS = dict(
    merged='{scene}/{variation}/frames/{folder}',
    archives='vkitti_2.0.3_{folder}/{scene}/{variation}/frames/{folder}',
    twice='vkitti_2.0.3_{folder}/vkitti_2.0.3_{folder}/{scene}/{variation}/frames/{folder}',
    lower='{scene}/{variation}/frames/{lower}',
    lower_archives='vkitti_2.0.3_{lower}/{scene}/{variation}/frames/{lower}',
)
FOLDERS = dict(
    rgb=('rgb', 'rgb_{:05d}.jpg'),
    depth=('depth', 'depth_{:05d}.png'),
    classes=('classSegmentation', 'classgt_{:05d}.png'),
    instances=('instanceSegmentation', 'instancegt_{:05d}.png'),
)


def class_image(rows=CLASS_ROWS):
    colors = {k: CLASS_COLORS[v] for k, v in LETTERS.items()}
    colors['.'] = VOID_COLOR
    return np.array([[colors[c] for c in row] for row in rows], np.uint8)


def track_image(rows=TRACK_ROWS):
    return np.array([[0 if c == '.' else int(c) + 1 for c in row] for row in rows], np.uint8)


def source(root, key, scene='Scene01', variation='clone', number=0, layout='merged'):
    """Path of a source file."""
    folder, name = FOLDERS[key]
    folder = LAYOUTS[layout].format(
        scene=scene, variation=variation, folder=folder, lower=folder.lower()
    )
    return Path(root) / folder / 'Camera_0' / name.format(number)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def save_palette(path, array):
    image = Image.fromarray(array, mode='P')
    image.putpalette(list(range(256)) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def make_frame(
    root, scene='Scene01', variation='clone', number=0, layout='merged', scale=1, depth=None
):
    """Write the hand-made frame, each pixel repeated ``scale`` times."""

    def big(a):
        return a.repeat(scale, 0).repeat(scale, 1)

    where = dict(scene=scene, variation=variation, number=number, layout=layout)
    classes = big(class_image())
    save(source(root, 'rgb', **where), classes)
    save(source(root, 'classes', **where), classes)
    save_palette(source(root, 'instances', **where), big(track_image()))
    if depth is None:
        depth = np.arange(1, classes[..., 0].size + 1, dtype=np.uint16)
        depth = depth.reshape(classes.shape[:2]) % 9000 + 1
    path = source(root, 'depth', **where)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), depth)
    text = (
        Path(root)
        / ('vkitti_2.0.3_textgt' if 'archives' in layout else '')
        / scene
        / variation
        / 'intrinsic.txt'
    )
    text.parent.mkdir(parents=True, exist_ok=True)
    if not text.exists():
        text.write_text(INTRINSIC_HEADER)
    with open(text, 'a') as f:
        f.write(f'{number} 0 {10 + number} 11 3.5 2.5\n{number} 1 1 1 1 1\n')


def make_root(root, layout='merged', scale=1, frames=2):
    """The five scenes, two variations."""
    for scene in ('Scene01', 'Scene02', 'Scene06', 'Scene18', 'Scene20'):
        for variation in ('clone', 'fog'):
            for number in range(frames):
                make_frame(root, scene, variation, number, layout, scale)
    return root


def tree(out):
    """Relative path -> digest of all files."""
    return {
        str(p.relative_to(out)): hashlib.md5(p.read_bytes()).hexdigest()
        for p in sorted(Path(out).rglob('*'))
        if p.is_file()
    }


def load(out, split='train', kind='panoptic'):
    path = Path(out) / 'annotations' / f'{kind}_{split}.json'
    return json.loads(path.read_text())


def quiet(root, out, workers=1, overwrite=False, **options):
    return VKITTI2Converter(root, **options).run(out, workers, overwrite, progress=False)
