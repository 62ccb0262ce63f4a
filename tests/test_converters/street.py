"""A folder laid out as Cityscapes is, for the tests of the converter `semantic_instance`."""

import json
import re
from pathlib import Path

import cv2
import numpy as np
import yaml

PAGE = Path(__file__).parents[2] / 'docs' / 'convert_semantic_instance.md'
CITIES = dict(train=('aachen', 'bochum'), val=('lindau',))
# S sky, R road, C D cars, G a group of cars, P Q persons, . unlabeled, E ego vehicle
ROWS = ('SSSSSSSS', 'SSSSSSSS', 'CCPDDSGG', 'CCPDDQSS', 'RRRRRRR.', 'RRRREERR')
# class id, value in instanceIds
LETTERS = {
    'S': (23, 23),
    'R': (7, 7),
    'C': (26, 26000),
    'D': (26, 26001),
    'G': (26, 26),
    'P': (24, 24000),
    'Q': (24, 24001),
    '.': (0, 0),
    'E': (1, 1),
}
SIZE = (6, 8)
K = [[9.0, 0, 3.5], [0, 9.5, 2.5], [0, 0, 1]]


def listing(language):
    """The listing of a language on the page."""
    (text,) = re.findall(rf'^```{language} .*?\n(.*?)^```', PAGE.read_text(), re.M | re.S)
    return text


def command():
    """The words of the page's command, from DATA_ROOT on."""
    (text,) = re.findall(
        r'^    python data_converters/semantic_instance.py (.*?)\n\n', PAGE.read_text(), re.M | re.S
    )
    return [word.strip('"') for word in text.replace('\\\n', ' ').split()]


def labels(which, scale=1):
    """Class ids (0) or instance values (1) of the frame."""
    values = np.array([[LETTERS[letter][which] for letter in row] for row in ROWS])
    return values.repeat(scale, 0).repeat(scale, 1)


def depth_mm(number, scale=1):
    """Depth of a frame in millimeters: 0 in the sky, 2 to 40 m elsewhere."""
    rng = np.random.default_rng(number)
    depth = rng.integers(2000, 40000, (SIZE[0] * scale, SIZE[1] * scale))
    return np.where(labels(0, scale) == 23, 0, depth).astype(np.uint16)


def paths(root, split='train', city='aachen', number=0):
    """Kind -> file of a frame."""
    stem = f'{city}_000000_{number:06d}'
    return dict(
        images=root / f'leftImg8bit/{split}/{city}/{stem}_leftImg8bit.png',
        semantic=root / f'gtFine/{split}/{city}/{stem}_gtFine_labelIds.png',
        instances=root / f'gtFine/{split}/{city}/{stem}_gtFine_instanceIds.png',
        depth=root / f'depth/{split}/{city}/{stem}_depth.png',
        calib=root / f'camera/{split}/{city}/{stem}_camera.json',
    )


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), pixels)


def make_street(root, frames=1, scale=1):
    """Write the folder, each pixel repeated ``scale`` times; return it."""
    colors = np.random.default_rng(0).integers(0, 256, (34, 3))
    for split, cities in CITIES.items():
        for city in cities:
            for number in range(frames):
                files = paths(root, split, city, number)
                save(files['images'], colors[labels(0, scale)].astype(np.uint8))
                save(files['semantic'], labels(0, scale).astype(np.uint8))
                save(files['instances'], labels(1, scale).astype(np.uint16))
                save(files['depth'], depth_mm(number, scale))
                lens = dict(fx=9.0 * scale, fy=9.5 * scale, u0=3.5 * scale, v0=2.5 * scale)
                files['calib'].parent.mkdir(parents=True, exist_ok=True)
                files['calib'].write_text(json.dumps(dict(intrinsic=lens, extrinsic=dict(x=1.7))))
    return root


def write_classes(path, **changes):
    """Write the classes of the page; ``changes`` are of single entries, by name."""
    classes = yaml.safe_load(listing('yaml'))
    for entry in classes:
        entry.update(changes.get(entry['name'], {}))
    path.write_text(yaml.safe_dump(classes))
    return path
