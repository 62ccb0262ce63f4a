"""The classes' colours, as readers with each kind of vision see them."""

import numpy as np
import pytest

from pandepth_mm.structures.palette import BOUNDARY_COLOR, DRAW_COLORS, VOID_COLORS, default_palette
from pandepth_mm.structures.vkitti2_meta import CLASS_COLORS, CLASSES

# Machado, Oliveira and Fernandes, "A Physiologically-based Model for
# Simulation of Color Vision Deficiency", IEEE TVCG 2009, severity 1.0; for
# linear RGB.
VISION = dict(
    normal=np.eye(3),
    protanopia=[
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    deuteranopia=[
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    tritanopia=[
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
)
# Linear sRGB to XYZ, D65 (IEC 61966-2-1).
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
DRAWN_TOO = [*VOID_COLORS, BOUNDARY_COLOR]


def to_lab(rgb, vision='normal'):
    """CIELAB (n, 3) of sRGB colours (n, 3), 0 to 255, as a reader sees."""
    c = np.asarray(rgb, dtype=float) / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    linear = np.clip(linear @ np.transpose(VISION[vision]), 0, 1)
    t = linear @ TO_XYZ.T / TO_XYZ.sum(1)
    f = np.where(t > (6 / 29) ** 3, np.cbrt(t), t / (3 * (6 / 29) ** 2) + 4 / 29)
    x, y, z = f.T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def smallest_distance(colors, vision='normal', beside=()):
    """Smallest CIE76 distance of a colour to any other or to ``beside``."""
    lab, other = to_lab(colors, vision), to_lab([*colors, *beside], vision)
    distance = np.linalg.norm(lab[:, None] - other[None], axis=-1)
    distance[np.diag_indices(len(lab))] = np.inf
    return distance.min()


def test_lab_of_known_colors():
    """Red, green, blue, white and a grey; figures of many a reference."""
    assert to_lab(
        [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (119, 119, 119)]
    ) == pytest.approx(
        np.array(
            [
                [53.2, 80.1, 67.2],
                [87.7, -86.2, 83.2],
                [32.3, 79.2, -107.9],
                [100, 0, 0],
                [50.0, 0, 0],
            ]
        ),
        abs=0.1,
    )


# smallest distance of the data set's own colours: 18.5, 5.6, 3.8, 2.8
@pytest.mark.parametrize(
    'vision, own', [('normal', 19), ('protanopia', 6), ('deuteranopia', 4), ('tritanopia', 3)]
)
def test_classes_can_be_told_apart(vision, own):
    colors = default_palette(CLASSES)
    assert smallest_distance(colors, vision, DRAWN_TOO) > 19.5
    before = [CLASS_COLORS[name] for name in CLASSES]
    assert smallest_distance(before, vision, DRAWN_TOO) < own


def test_colors_keep_their_meaning():
    lab = dict(zip(CLASSES, to_lab(default_palette(CLASSES)), strict=True))
    assert set(DRAW_COLORS) == set(CLASSES)
    assert lab['Road'][0] < 30  # dark
    assert lab['Sky'][0] > 70 and lab['Sky'][2] < -20  # light blue
    for name in ('Tree', 'Vegetation'):
        assert lab[name][1] < -30 and lab[name][2] > 10  # green
    for name in ('Truck', 'Car', 'Van'):
        assert lab[name][1] > 30  # red
    assert np.abs(lab['Building'][1:]).max() < 10  # grey


def test_a_class_keeps_its_color_in_other_data_sets():
    names = ['Person', 'Sky', 'Wall', 'Car', 'Road']
    palette = default_palette(names)
    for name in ('Sky', 'Car', 'Road'):
        assert palette[names.index(name)] == DRAW_COLORS[name]
    assert len(set(palette)) == 5
    assert palette == default_palette(tuple(names))


@pytest.mark.parametrize('known', [0, 5, 14])
@pytest.mark.parametrize('count', [12, 60, 255])
def test_other_classes_are_distinct(known, count):
    names = [f'class {i}' for i in range(count - known)]
    names += CLASSES[:known]
    palette = default_palette(names)
    assert len(palette) == len(set(palette)) == len(names)
    assert all(isinstance(c, int) and 0 <= c <= 255 for color in palette for c in color)
    if count == 12:
        for vision in VISION:
            assert smallest_distance(palette, vision, DRAWN_TOO) > 19.5
    if count == 60:
        assert smallest_distance(palette, beside=DRAWN_TOO) > 12
