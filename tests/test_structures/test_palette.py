"""The classes' colors, as readers with each kind of vision see them."""

import numpy as np
import pytest
from color_vision import VISION, smallest_distance, to_lab

from pandepth_mm.structures.palette import BOUNDARY_COLOR, DRAW_COLORS, VOID_COLORS, default_palette
from pandepth_mm.structures.vkitti2_meta import CLASS_COLORS, CLASSES

DRAWN_TOO = [*VOID_COLORS, BOUNDARY_COLOR]


def test_lab_of_known_colors():
    """Red, green, blue, white and a gray; figures of many a reference."""
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


# smallest distance of the data set's own colors: 18.5, 5.6, 3.8, 2.8
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
    assert np.abs(lab['Building'][1:]).max() < 10  # gray


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
