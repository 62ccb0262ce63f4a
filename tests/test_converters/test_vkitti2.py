"""The Virtual KITTI 2 converter: hand-made frames, then a genuine one."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import vkitti2
from PIL import Image
from pycocotools.coco import COCO
from vkitti2_lib.frame import (
    FrameOptions,
    decode_classes,
    draw_depth,
    frame_seed,
    panoptic_ids,
    segments_of,
)

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_panoptic_png
from pandepth_mm.vkitti2_meta import CLASS_COLORS, CLASSES, VOID_COLOR

REPO = Path(__file__).resolve().parents[2]
SCRIPT = REPO / 'data_converters' / 'vkitti2.py'
GENUINE = REPO.parent / 'shared' / 'data' / 'vkitti2_scene01_morning'

# C is cut in two by the pole, T has no track, . is undefined
LETTERS = dict(
    S='Sky', R='Road', C='Car', T='Truck', V='Van', P='Pole', M='Misc')
CLASS_ROWS = ('SSSSSSSS', 'SSSPSSSS', 'CCCPCCTV', 'CCCPCC..', 'RRRRRRR.',
              'RRRRRRRR')
TRACK_ROWS = ('........', '........', '000.00.7', '000.00..', '........',
              '........')
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
    lower='{scene}/{variation}/frames/{lower}',
    lower_archives='vkitti_2.0.3_{lower}/{scene}/{variation}/frames/{lower}')
FOLDERS = dict(
    rgb=('rgb', 'rgb_{:05d}.jpg'),
    depth=('depth', 'depth_{:05d}.png'),
    classes=('classSegmentation', 'classgt_{:05d}.png'),
    instances=('instanceSegmentation', 'instancegt_{:05d}.png'))


def class_image(rows=CLASS_ROWS):
    colors = {k: CLASS_COLORS[v] for k, v in LETTERS.items()}
    colors['.'] = VOID_COLOR
    return np.array([[colors[c] for c in row] for row in rows], np.uint8)


def track_image(rows=TRACK_ROWS):
    return np.array(
        [[0 if c == '.' else int(c) + 1 for c in row] for row in rows],
        np.uint8)


def source(root, key, scene='Scene01', variation='clone', number=0,
           layout='merged'):
    """Path of a source file."""
    folder, name = FOLDERS[key]
    folder = LAYOUTS[layout].format(
        scene=scene, variation=variation, folder=folder, lower=folder.lower())
    return Path(root) / folder / 'Camera_0' / name.format(number)


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def save_palette(path, array):
    image = Image.fromarray(array, mode='P')
    image.putpalette(list(range(256)) * 3)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def make_frame(root, scene='Scene01', variation='clone', number=0,
               layout='merged', scale=1, depth=None):
    """Write the hand-made frame, each pixel repeated ``scale`` times."""
    def big(a):
        return a.repeat(scale, 0).repeat(scale, 1)

    where = dict(
        scene=scene, variation=variation, number=number, layout=layout)
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
    text = Path(root) / ('vkitti_2.0.3_textgt' if 'archives' in layout else
                         '') / scene / variation / 'intrinsic.txt'
    text.parent.mkdir(parents=True, exist_ok=True)
    if not text.exists():
        text.write_text(INTRINSIC_HEADER)
    with open(text, 'a') as f:
        f.write(f'{number} 0 {10 + number} 11 3.5 2.5\n'
                f'{number} 1 1 1 1 1\n')


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
        for p in sorted(Path(out).rglob('*')) if p.is_file()
    }


def load(out, split='train', kind='panoptic'):
    path = Path(out) / 'annotations' / f'{kind}_{split}.json'
    return json.loads(path.read_text())


def quiet(*args, **kwargs):
    return vkitti2.convert(*args, progress=False, **kwargs)


# ---------------------------------------------------------------- pure parts


def test_segments_by_hand():
    ids, odd = panoptic_ids(decode_classes(class_image()), track_image())
    assert segments_of(ids) == EXPECTED_SEGMENTS
    assert ids[2, 6] == 0, 'a truck pixel without a track is void'
    assert ids[3, 6] == 0 and ids[4, 7] == 0, 'undefined is void'
    assert odd == dict(
        orphan_pixels=1,
        mixed_tracks=0,
        stuff_pixels_in_tracks=0,
        classless_tracks=0)


def test_track_of_several_classes():
    """Most thing pixels win; a pixel of stuff keeps its class."""
    ids, odd = panoptic_ids(
        decode_classes(class_image(['CVVRS.'])), track_image(['333333']))
    assert segments_of(ids) == [
        dict(id=5, category_id=5, area=1, bbox=[4, 0, 1, 1], iscrowd=0),
        dict(id=9, category_id=9, area=1, bbox=[3, 0, 1, 1], iscrowd=0),
        dict(id=1027, category_id=3, area=3, bbox=[0, 0, 3, 1], iscrowd=0),
    ]
    assert (odd['mixed_tracks'], odd['stuff_pixels_in_tracks']) == (1, 3)


def test_instance_without_a_class():
    classes = decode_classes(class_image(['RRSC']))
    tracks = track_image(['55.1'])
    with pytest.raises(InputError) as e:
        panoptic_ids(classes, tracks, 'i.png')
    for part in ('i.png', 'trackID 5', '2 pixel', 'Road', 'Truck, Car, Van'):
        assert part in str(e.value)
    ids, odd = panoptic_ids(classes, tracks, classless='ignore')
    assert ids.tolist() == [[9, 9, 5, 2 + 256 * 2]]
    assert odd['classless_tracks'] == 1


def test_sixteen_bit_tracks_fit():
    """The largest track of a 16-bit image still has an id of 24 bits."""
    tracks = np.array([[65535, 65534, 0]], np.uint16)
    ids, _ = panoptic_ids(np.array([[3, 1, 14]], np.uint8), tracks)
    assert ids.max() < 1 << 24
    assert [s['category_id'] for s in segments_of(ids)] == [14, 1, 3]


def test_segments_equal_brute_force():
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 15, (40, 50))
    tracks = np.where((classes > 0) & (classes < 4),
                      rng.integers(0, 6, classes.shape), 0)
    ids, _ = panoptic_ids(classes, tracks)
    found = {s['id']: s for s in segments_of(ids)}
    owners = {}  # the pixels of each segment, by plain loops
    for (y, x), c in np.ndenumerate(classes):
        if c > 3:
            owners.setdefault(('stuff', c), []).append((x, y))
        elif c > 0 and tracks[y, x] > 0:
            owners.setdefault(('thing', tracks[y, x]), []).append((x, y, c))
    assert len(found) == len(owners)
    for (kind, key), pixels in owners.items():
        if kind == 'stuff':
            category, segment = key, found[key]
        else:
            per_class = [sum(p[2] == c for p in pixels) for c in (1, 2, 3)]
            category = per_class.index(max(per_class)) + 1
            segment = found[category + 256 * key]
        xs, ys = [p[0] for p in pixels], [p[1] for p in pixels]
        assert segment['category_id'] == category
        assert segment['area'] == len(pixels)
        assert segment['bbox'] == [
            min(xs), min(ys), max(xs) - min(xs) + 1, max(ys) - min(ys) + 1
        ]
        assert all(ids[p[1], p[0]] == segment['id'] for p in pixels)


def test_draw_counts_and_range():
    depth = np.zeros((100, 120), np.float32)
    depth[10:] = np.random.default_rng(0).uniform(1, 80, (90, 120))
    drawn = draw_depth(depth, 0.05, seed=1)
    assert np.count_nonzero(drawn) == 600  # of the image, not of the valid
    assert (drawn[drawn > 0] == depth[drawn > 0]).all()
    assert np.count_nonzero(draw_depth(depth, 0.95, seed=1)) == 90 * 120
    assert np.count_nonzero(draw_depth(depth, 0.0, seed=1)) == 0
    assert not draw_depth(np.zeros_like(depth), 0.2, seed=1).any()


def test_draws_are_uniform():
    """Each of 200 pixels is drawn about 300 of 3000 times."""
    depth = np.ones((10, 20), np.float32)
    hits = sum(draw_depth(depth, 0.1, frame_seed(i)) for i in range(3000))
    assert hits.sum() == 3000 * 20
    # binomial(3000, 0.1): standard deviation 16.4
    assert abs(hits - 300).max() < 5 * 16.4
    assert 12 < hits.std() < 21


def test_seed_is_the_same_everywhere():
    assert frame_seed(0, 'Scene01') == int(
        hashlib.sha256(b'0/Scene01').hexdigest()[:32], 16)
    drawn = draw_depth(np.ones((2, 8), np.float32), 0.25, seed=7)
    # where the four smallest of PCG64(7)'s raw numbers are, recorded once
    assert np.flatnonzero(drawn).tolist() == [3, 6, 11, 12]


# ------------------------------------------------------- whole conversions


def test_outputs(tmp_path):
    make_root(tmp_path / 'in')
    out = tmp_path / 'out'
    summary = quiet(tmp_path / 'in', out)
    assert summary.frames == dict(train=12, val=4, test=4)
    assert (summary.reused, summary.orphan_pixels) == (0, 20)

    ids = []
    for split, scenes in dict(
            train={'Scene01', 'Scene06', 'Scene20'},
            val={'Scene18'},
            test={'Scene02'}).items():
        panoptic, coco = load(out, split), load(out, split, 'instances')
        assert {i['scene'] for i in panoptic['images']} == scenes
        assert panoptic['images'] == coco['images']
        ids += [i['id'] for i in panoptic['images']]
        assert [(c['id'], c['name'], c['isthing'])
                for c in panoptic['categories']
                ] == [(i + 1, n, int(i < 3)) for i, n in enumerate(CLASSES)]
        assert coco['categories'] == panoptic['categories'][:3]
        assert panoptic['info']['data_root'] == str(tmp_path / 'in')
        for image, ann in zip(
                panoptic['images'], panoptic['annotations'], strict=True):
            assert image['id'] == ann['image_id']
            assert ann['segments_info'] == EXPECTED_SEGMENTS
            read_panoptic_png(out / 'panoptic' / ann['file_name'], (6, 8))
            for key in ('sparse_depth', 'depth_gt'):
                assert image[f'{key}_scale'] == 256
                read_depth_png(out / image[f'{key}_file'], 256, (6, 8))
            assert (tmp_path / 'in' / image['file_name']).is_file()
            read_depth_png(tmp_path / 'in' / image['depth_file'], 100, (6, 8))
            assert (image['depth_scale'], image['camera']) == (100, 0)
            assert image['cam2img'] == [[10 + image['frame'], 0, 3.5],
                                        [0, 11, 2.5], [0, 0, 1]]
    assert len(set(ids)) == 20

    coco = COCO(out / 'annotations' / 'instances_val.json')
    (first, second) = coco.loadAnns(coco.getAnnIds(coco.getImgIds()[0]))
    assert np.argwhere(coco.annToMask(first)).tolist() == [
        [y, x] for y in (2, 3) for x in (0, 1, 2, 4, 5)]
    assert (first['area'], first['bbox'], first['category_id'],
            first['track_id']) == (10, [0, 2, 6, 2], 2, 0)
    assert (second['area'], second['category_id']) == (1, 3)


def test_depth_files(tmp_path):
    """Range, encoding, densities; draws independent of each other."""
    raw = np.random.default_rng(0).integers(
        100, 8000, (60, 80)).astype(np.uint16)
    raw[0], raw[1], raw[2], raw[3], raw[4] = 65535, 0, 8001, 8000, 1
    for variation in ('clone', 'fog'):
        make_frame(tmp_path / 'in', variation=variation, scale=10, depth=raw)
    out = tmp_path / 'out'
    summary = quiet(tmp_path / 'in', out)
    assert summary.densities == pytest.approx([0.05, 0.2])
    depth = raw / 100
    maps = {}
    for image in load(out)['images']:
        for key, count in (('sparse_depth', 240), ('depth_gt', 960)):
            got = read_depth_png(out / image[f'{key}_file'], 256)
            on = got > 0
            assert on.sum() == count
            assert not on[:3].any(), 'sky, none and beyond 80 m'
            assert on[3:5].any(), 'exactly 80 m and 1 cm are in range'
            # 1 cm is 2.56 units: exact to half a unit
            assert abs(got - depth)[on].max() <= 0.5 / 256 + 1e-6
            maps[image['variation'], key] = on
    # of 57 * 80 valid pixels; hypergeometric, standard deviation 6
    overlap = (maps['clone', 'sparse_depth'] & maps['clone', 'depth_gt']).sum()
    assert abs(overlap - 240 * 960 / 4560) < 30
    again = (maps['clone', 'sparse_depth'] & maps['fog', 'sparse_depth']).sum()
    assert abs(again - 240 * 240 / 4560) < 18

    quiet(tmp_path / 'in', out, overwrite=True, options=FrameOptions(
        max_depth=20, seed=3, sparse_density=0.1, gt_density=0.5))
    for image in load(out)['images']:
        got = read_depth_png(out / image['depth_gt_file'], 256)
        # fewer are valid than asked for: all of them
        assert ((got > 0) == ((depth > 0) & (depth <= 20))).all()
        got = read_depth_png(out / image['sparse_depth_file'], 256)
        assert (got > 0).sum() == 480
    assert load(out)['info']['max_depth'] == 20


def test_layouts_give_equal_annotations(tmp_path):
    results = {}
    for layout in LAYOUTS:
        root = tmp_path / layout
        for scene in ('Scene01', 'Scene18'):
            make_frame(root, scene, 'rain', 7, layout)
        quiet(root, tmp_path / 'out' / layout)
        files = tree(tmp_path / 'out' / layout)
        pngs = {k: v for k, v in files.items() if k.endswith('.png')}
        annotations = [
            load(tmp_path / 'out' / layout, split, kind)
            for split in ('train', 'val') for kind in ('panoptic', 'instances')
        ]
        for annotation in annotations:
            del annotation['info']['data_root']
            for image in annotation['images']:
                assert (root / image.pop('file_name')).is_file()
                assert (root / image.pop('depth_file')).is_file()
        results[layout] = pngs, annotations
    assert len(results['merged'][0]) == 6
    for layout in LAYOUTS:
        assert results[layout] == results['merged'], layout


def test_same_bytes_for_any_number_of_workers(tmp_path):
    make_root(tmp_path / 'in', frames=1)
    quiet(tmp_path / 'in', tmp_path / 'one')
    quiet(tmp_path / 'in', tmp_path / 'two', workers=2)
    one, two = tree(tmp_path / 'one'), tree(tmp_path / 'two')
    assert one == two
    # options, 6 JSON, and 3 PNG and a cache entry for each of the 10 frames
    assert len(one) == 1 + 6 + 10 * 4


def test_subset_options(tmp_path):
    make_root(tmp_path / 'in')
    summary = quiet(tmp_path / 'in', tmp_path / 'out',
                    dict(train=['Scene02'], val=['Scene20'], test=[]),
                    ['fog'])
    assert summary.frames == dict(train=2, val=2, test=0)
    panoptic = load(tmp_path / 'out')
    assert {(i['scene'], i['variation'])
            for i in panoptic['images']} == {('Scene02', 'fog')}
    assert not (tmp_path / 'out/annotations/panoptic_test.json').exists()
    # a split made later in the same folder leaves the others alone
    quiet(tmp_path / 'in', tmp_path / 'out',
          dict(train=[], val=[], test=['Scene01']))
    assert load(tmp_path / 'out') == panoptic
    assert len(load(tmp_path / 'out', 'test')['images']) == 4


def test_only_one_scene_downloaded(tmp_path, caplog):
    make_frame(tmp_path / 'in', 'Scene06', 'sunset', 3)
    summary = quiet(tmp_path / 'in', tmp_path / 'out')
    assert summary.frames == dict(train=1, val=0, test=0)
    assert 'Scene18 (val) is not in' in caplog.text
    assert 'val has no frames' in caplog.text
    assert 'Scene06 has no clone' in caplog.text
    assert sorted(p.name for p in (tmp_path / 'out/annotations').iterdir(
    )) == ['instances_train.json', 'panoptic_train.json']


def test_frame_without_things(tmp_path):
    make_frame(tmp_path)
    path = source(tmp_path, 'classes')
    save(path, class_image(['SSSSSSSS'] * 6))
    save_palette(source(tmp_path, 'instances'), np.zeros((6, 8), np.uint8))
    assert quiet(tmp_path, tmp_path / 'out').without_things == 1
    assert load(tmp_path / 'out', kind='instances')['annotations'] == []
    assert len(load(tmp_path / 'out')['annotations'][0]['segments_info']) == 1


# ------------------------------------------------------ stop and start again


def test_resume_redoes_only_what_is_needed(tmp_path):
    root, out = make_root(tmp_path / 'in'), tmp_path / 'out'
    quiet(root, out)
    before = tree(out)
    name = 'Scene01/clone/Camera_0/0000{}.png'
    (out / 'sparse_depth' / name.format(0)).unlink()
    (out / 'panoptic' / name.format(1)).write_bytes(b'cut off')
    leftover = out / 'depth_gt' / 'Scene01/.00001.abc_1234.png'
    leftover.write_bytes(b'of a killed process')
    os.utime(source(root, 'rgb', 'Scene18'), (1, 1))  # "replaced" source
    kept = out / 'depth_gt/Scene20/clone/Camera_0/00000.png'
    stamp = kept.stat().st_mtime_ns
    summary = quiet(root, out)
    assert summary.reused == 17
    after = tree(out)
    changed = {k for k in before.keys() | after if
               before.get(k) != after.get(k)}
    assert changed == {'.vkitti2/frames/Scene18/clone/Camera_0/00000.json'}
    assert kept.stat().st_mtime_ns == stamp


def test_changed_source_is_read_again(tmp_path):
    make_frame(tmp_path / 'in')
    quiet(tmp_path / 'in', tmp_path / 'out')
    rows = ('MMMMMMMM', ) + CLASS_ROWS[1:]
    save(source(tmp_path / 'in', 'classes'), class_image(rows))
    quiet(tmp_path / 'in', tmp_path / 'out')
    areas = {
        s['category_id']: s['area']
        for s in load(tmp_path / 'out')['annotations'][0]['segments_info']
    }
    assert areas == {5: 7, 9: 15, 13: 3, 14: 8, 2: 10, 3: 1}


def test_other_options_do_not_mix(tmp_path):
    make_frame(tmp_path / 'in')
    quiet(tmp_path / 'in', tmp_path / 'out')
    before = tree(tmp_path / 'out')
    with pytest.raises(InputError) as e:
        quiet(tmp_path / 'in', tmp_path / 'out', options=FrameOptions(seed=5))
    assert 'seed: found 0; expected 5' in str(e.value)
    assert '--overwrite' in str(e.value)
    assert tree(tmp_path / 'out') == before
    quiet(tmp_path / 'in', tmp_path / 'out', options=FrameOptions(seed=5),
          overwrite=True)
    assert load(tmp_path / 'out')['info']['seed'] == 5
    changed = {k for k, v in tree(tmp_path / 'out').items() if before[k] != v}
    assert any(k.startswith('depth_gt') for k in changed)
    assert not any(k.startswith('panoptic/') for k in changed)


def test_failed_frame_leaves_no_annotations(tmp_path):
    """A bad frame stops the run; the flag lets it go on from there."""
    root, out = make_root(tmp_path / 'in'), tmp_path / 'out'
    quiet(root, out)
    tracks = track_image()
    tracks[5, 5] = 99
    save_palette(source(root, 'instances', 'Scene06', 'fog', 1), tracks)
    # a second frame to do, so that two workers start
    os.utime(source(root, 'rgb', 'Scene20', 'fog', 1), (1, 1))
    for workers in (1, 2):
        with pytest.raises(InputError, match='trackID 98'):
            quiet(root, out, workers=workers)
        assert not (out / 'annotations/panoptic_train.json').exists()
        assert (out / 'annotations/panoptic_val.json').exists()
    summary = quiet(root, out, options=FrameOptions(classless='ignore'))
    assert summary.classless_tracks == 1 and summary.reused >= 18
    with pytest.raises(InputError, match='trackID 98'):
        quiet(root, out)


def start_script(root, out):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), str(root), '--out', str(out),
         '--workers', '2'],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=dict(os.environ, OMP_NUM_THREADS='1'))


def children(pid):
    found = []
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try:
            fields = stat.read_text().rsplit(')', 1)[1].split()
        except OSError:  # ended meanwhile
            continue
        if int(fields[1]) == pid and fields[0] != 'Z':
            found.append(int(stat.parent.name))
    return found


@pytest.mark.parametrize('how', ['SIGKILL', 'SIGINT'])
@pytest.mark.skipif(not Path('/proc/self/stat').exists(), reason='no /proc')
def test_stop_and_start_again(tmp_path, how):
    root, out = tmp_path / 'in', tmp_path / 'out'
    make_root(root, scale=50)
    process = start_script(root, out)
    workers = []
    while len(list(out.rglob('.vkitti2/frames/**/*.json'))) < 3:
        assert process.poll() is None, process.communicate()
        workers = children(process.pid)
        time.sleep(0.02)
    process.send_signal(getattr(signal, how))
    _, err = process.communicate(timeout=30)
    assert not list(out.rglob('annotations/*.json'))
    if how == 'SIGINT':
        assert process.returncode == 130, err
        assert 'goes on from here' in err and 'Traceback' not in err
        assert not [p for p in out.rglob('.*') if p.is_file()]
    assert len(workers) >= 2
    deadline = time.time() + 10
    while any(Path(f'/proc/{pid}').exists() for pid in workers):
        assert time.time() < deadline, 'workers outlive their parent'
        time.sleep(0.05)

    summary = quiet(root, out)
    assert 3 <= summary.reused < 20
    quiet(root, tmp_path / 'fresh')
    assert tree(out) == tree(tmp_path / 'fresh')


# ------------------------------------------------------------------ bad input


def no_frames(root):
    shutil.rmtree(root)
    root.mkdir()
    (root / 'Scene01').mkdir()
    return ['no frames', 'SceneXX/VARIATION/frames/rgb']


def no_root(root):
    shutil.rmtree(root)
    return [str(root), 'no such folder']


def missing_png(root):
    source(root, 'classes', number=1).unlink()
    return ['classgt_00001.png', 'no such file']


def missing_two(root):
    for number in (0, 1):
        source(root, 'rgb', number=number).unlink()
    return ['rgb_00000.jpg', '2 such files']


def missing_modality(root):
    shutil.rmtree(root / 'Scene01/clone/frames/depth')
    return ['Scene01/clone/frames/depth/Camera_0', 'no such folder']


def unknown_colour(root):
    image = class_image()
    image[4, 2] = (1, 2, 3)
    save(source(root, 'classes', number=1), image)
    return ['classgt_00001.png', '(1, 2, 3)', 'row 4, column 2']


def classless(root):
    tracks = track_image()
    tracks[5, 5] = 99
    save_palette(source(root, 'instances'), tracks)
    return ['instancegt_00000.png', 'trackID 98', 'Road', 'thing class']


def eight_bit_depth(root):
    save(source(root, 'depth'), np.ones((6, 8), np.uint8))
    return ['depth_00000.png', '8-bit grey', '16-bit grey']


def colour_depth(root):
    save(source(root, 'depth'), np.ones((6, 8, 3), np.uint8))
    return ['depth_00000.png', '8-bit RGB', '16-bit grey']


def depth_of_other_size(root):
    cv2.imwrite(
        str(source(root, 'depth', number=1)), np.ones((6, 9), np.uint16))
    return ['depth_00001.png', '(6, 9)', '(6, 8)']


def depth_cut_off(root):
    path = source(root, 'depth')
    path.write_bytes(path.read_bytes()[:60])
    return ['depth_00000.png', 'cannot be decoded']


def classes_cut_off(root):
    path = source(root, 'classes')
    path.write_bytes(path.read_bytes()[:60])
    return ['classgt_00000.png', 'cannot be decoded']


def empty_rgb(root):
    source(root, 'rgb').write_bytes(b'')
    return ['rgb_00000.jpg', 'cannot be read']


def no_png(root):
    source(root, 'instances').write_bytes(b'GIF89a')
    return ['instancegt_00000.png', 'not a PNG']


def palette_lost(root):
    save(source(root, 'instances'), class_image())
    return ['instancegt_00000.png', '8-bit RGB', 'palette']


def no_intrinsics(root):
    (root / 'Scene01/clone/intrinsic.txt').unlink()
    return ['rgb_00000.jpg', '(6, 8)', 'intrinsic.txt', '(375, 1242)']


def intrinsics_header(root):
    (root / 'Scene01/clone/intrinsic.txt').write_text('fx fy\n1 2\n')
    return ['intrinsic.txt', 'line 1', 'fx fy', 'frame cameraID']


def intrinsics_row(root):
    path = root / 'Scene01/clone/intrinsic.txt'
    path.write_text(path.read_text().replace('1 0 11 11', '1 0 x 11'))
    return ['intrinsic.txt', 'line 4', '1 0 x 11 3.5 2.5']


def intrinsics_zero(root):
    path = root / 'Scene01/clone/intrinsic.txt'
    path.write_text(path.read_text().replace('1 0 11 11', '1 0 0 11'))
    return ['intrinsic.txt', 'line 4', 'fx > 0']


def intrinsics_short(root):
    (root / 'Scene01/clone/intrinsic.txt').write_text(
        INTRINSIC_HEADER + '0 0 1 1 1 1\n')
    return ['intrinsic.txt', 'frame 1 camera 0', 'no such row']


CONTENT_ERRORS = (unknown_colour, classless, depth_cut_off, classes_cut_off)


@pytest.mark.parametrize('spoil', [
    no_frames, no_root, missing_png, missing_two, missing_modality,
    unknown_colour, classless, eight_bit_depth, colour_depth,
    depth_of_other_size, depth_cut_off, classes_cut_off, empty_rgb, no_png,
    palette_lost, no_intrinsics, intrinsics_header, intrinsics_row,
    intrinsics_zero, intrinsics_short
], ids=lambda f: f.__name__)
def test_bad_input(tmp_path, capsys, spoil):
    root, out = tmp_path / 'in', tmp_path / 'out'
    for number in (0, 1):
        make_frame(root, number=number)
    parts = spoil(root)
    code = vkitti2.main([str(root), '--out', str(out), '--workers', '1'])
    err = capsys.readouterr().err
    assert code == 2
    assert err.count('error: ') == 1 and 'Traceback' not in err
    for part in parts + ['found', 'expected']:
        assert part in err
    if spoil in CONTENT_ERRORS:  # known only while working
        assert not (out / 'annotations').exists()
        assert not [p for p in out.rglob('.*.png')]
    else:  # known before anything is written
        assert not out.exists()


@pytest.mark.parametrize('flags, parts', [
    (['--train-scenes', 'Scene06'], ['no frames of Scene06',
                                     '--train-scenes']),
    (['--val-scenes', '1'], ['--val-scenes', 'Scene01', '--train-scenes']),
    (['--variations', 'clone', 'rain'], ['Scene01 without rain',
                                         '--variations']),
    (['--cameras', '1'], ['Camera_1', 'no such folder']),
    (['--max-depth', '0'], ['--max-depth', '0.0', '256.0 m']),
    (['--max-depth', '300'], ['--max-depth', '300.0', '256.0 m']),
    (['--sparse-density', '5'], ['--sparse-density', '5.0', '0 to 1']),
    (['--gt-density', '-0.1'], ['--gt-density', '0 to 1']),
    (['--workers', '0'], ['--workers', 'at least 1']),
], ids=lambda x: x[0] if x[0].startswith('--') else '')
def test_bad_flags(tmp_path, capsys, flags, parts):
    make_frame(tmp_path / 'in')
    out = tmp_path / 'out'
    args = [str(tmp_path / 'in'), '--out', str(out), '--workers', '1']
    assert vkitti2.main(args + flags) == 2
    err = capsys.readouterr().err
    for part in parts:
        assert part in err
    assert not out.exists()


def test_bad_out(tmp_path, capsys):
    make_frame(tmp_path / 'in')
    out = tmp_path / 'out'
    out.write_text('a file')
    assert vkitti2.main([str(tmp_path / 'in'), '--out', str(out)]) == 2
    assert 'found a file' in capsys.readouterr().err
    out.unlink()
    foreign = out / 'annotations' / 'panoptic_train.json'
    foreign.parent.mkdir(parents=True)
    foreign.write_text('{}')
    assert vkitti2.main([str(tmp_path / 'in'), '--out', str(out)]) == 2
    assert '--overwrite' in capsys.readouterr().err
    assert foreign.read_text() == '{}'


# ------------------------------------------------------------ genuine frame


@pytest.fixture(scope='module')
def genuine(tmp_path_factory):
    """The genuine frame; its depth is of the frame before, so renamed."""
    if not GENUINE.is_dir():
        pytest.skip(f'{GENUINE.name} is not beside the repository')
    root = tmp_path_factory.mktemp('genuine')
    where = dict(variation='morning', layout='archives')
    for key in FOLDERS:
        target = source(root, key, number=1, **where)
        target.parent.mkdir(parents=True)
        shutil.copyfile(
            source(GENUINE, key, number=0 if key == 'depth' else 1, **where),
            target)
    out = root / 'out'
    return root, out, quiet(root, out)


def test_genuine_encodings(genuine):
    """Against a reading of the source that shares no code with ours."""
    root, out, summary = genuine
    where = dict(variation='morning', layout='archives', number=1)
    assert summary.frames == dict(train=1, val=0, test=0)
    assert summary.orphan_pixels == 1 and summary.mixed_tracks == 0
    panoptic = load(out)
    (image, ), (ann, ) = panoptic['images'], panoptic['annotations']
    assert image['cam2img'] == [[725.0087, 0, 620.5], [0, 725.0087, 187.0],
                                [0, 0, 1]]
    assert (image['width'], image['height']) == (1242, 375)
    ids = read_panoptic_png(out / 'panoptic' / ann['file_name'], (375, 1242))
    segments = {s['id']: s for s in ann['segments_info']}
    assert set(segments) == set(np.unique(ids)) - {0}
    assert sum(s['area'] for s in segments.values()) == (ids > 0).sum()
    assert (ids == 0).sum() == 1

    with Image.open(source(root, 'instances', **where)) as i:
        assert i.mode == 'P'
        tracks = np.array(i)
    colors = cv2.imread(str(source(root, 'classes', **where)))[..., ::-1]
    names = {c['id']: c['name'] for c in panoptic['categories']}
    things = []
    for key, segment in segments.items():
        mask = ids == key
        name = names[segment['category_id']]
        assert (colors[mask] == CLASS_COLORS[name]).all()
        ys, xs = np.nonzero(mask)
        assert segment['bbox'] == [
            xs.min(), ys.min(), xs.max() - xs.min() + 1,
            ys.max() - ys.min() + 1
        ]
        assert segment['area'] == mask.sum()
        values = np.unique(tracks[mask])
        assert len(values) == 1
        if name in ('Truck', 'Car', 'Van'):
            assert (tracks == values[0]).sum() == mask.sum()
            things.append(values[0])
        else:
            assert values[0] == 0
            assert (colors == CLASS_COLORS[name]).all(2).sum() == mask.sum()
    assert set(things) == set(np.unique(tracks)) - {0}
    assert len(things) == len(set(things)) == 39


def test_genuine_instances(genuine):
    _, out, _ = genuine
    segments = {
        s['id']: s
        for s in load(out)['annotations'][0]['segments_info']
    }
    coco = COCO(out / 'annotations' / 'instances_train.json')
    assert len(coco.anns) == 39
    ids = read_panoptic_png(
        out / 'panoptic' / load(out)['annotations'][0]['file_name'])
    for ann in coco.anns.values():
        segment = segments[ann['segment_id']]
        for key in ('area', 'bbox', 'category_id'):
            assert ann[key] == segment[key]
        assert (coco.annToMask(ann) == (ids == segment['id'])).all()


def test_genuine_depth(genuine):
    root, out, summary = genuine
    raw = np.array(
        Image.open(
            source(root, 'depth', variation='morning', number=1,
                   layout='archives'))).astype(np.float64)
    (image, ) = load(out)['images']
    size = 375 * 1242
    drawn = []
    for key, count in (('sparse_depth', round(size * 0.05)),
                       ('depth_gt', size // 5)):
        got = np.array(Image.open(out / image[f'{key}_file']))
        on = got > 0
        assert on.sum() == count
        assert raw[on].max() <= 8000
        assert abs(got[on] / 256 - raw[on] / 100).max() <= 0.5 / 256
        drawn.append(on)
    assert summary.densities == pytest.approx([0.05, 0.2], abs=1e-5)
    # 5 % of the image, of which 20 / 84.4 is in the other draw
    valid = (raw <= 8000).sum()
    expected = drawn[0].sum() * drawn[1].sum() / valid
    assert abs((drawn[0] & drawn[1]).sum() - expected) < 0.03 * expected


def test_genuine_by_panopticapi(genuine):
    """The truth scored against itself: every segment is found, exactly."""
    evaluation = pytest.importorskip(
        'panopticapi.evaluation', reason='needs panopticapi-lite')
    _, out, _ = genuine
    panoptic = load(out)
    categories = {c['id']: c for c in panoptic['categories']}
    (ann, ) = panoptic['annotations']
    folder = str(out / 'panoptic')
    stat = evaluation.pq_compute_single_core(
        0, [(ann, json.loads(json.dumps(ann)))], folder, folder, categories)
    result, _ = stat.pq_average(categories, isthing=None)
    assert result['pq'] == 1 and result['n'] == 11
    assert sum(stat[c].tp for c in categories) == len(ann['segments_info'])


def test_genuine_merged_lower_case(genuine, tmp_path):
    """The same frame as other people have it."""
    root, out, _ = genuine
    for key in FOLDERS:
        target = source(
            tmp_path, key, variation='morning', number=1, layout='lower')
        target.parent.mkdir(parents=True)
        shutil.copyfile(
            source(root, key, variation='morning', number=1,
                   layout='archives'), target)
    quiet(tmp_path, tmp_path / 'out')
    assert load(tmp_path / 'out')['annotations'] == load(out)['annotations']
    ours, theirs = tree(tmp_path / 'out'), tree(out)
    for name, digest in theirs.items():
        if name.endswith('.png'):
            assert ours[name] == digest
