"""Colors of labels and depth at known pixels."""

import numpy as np
import pytest
from color_vision import VISION, to_lab

from pandepth_mm.errors import InputError
from pandepth_mm.visualization.frame import colors

PALETTE = [(160, 60, 60), (255, 127, 80), (0, 139, 139)]


def test_semantic_has_the_class_colors_and_hatches_void():
    labels = np.array([[0, 1, 2], [255, 3, -1]])
    picture = colors.color_semantic(labels, PALETTE)
    assert picture.dtype == np.uint8
    assert picture[0].tolist() == [list(c) for c in PALETTE]
    hatch = colors.void_hatch(2, 3)
    assert np.array_equal(picture[1], hatch[1])
    assert labels.tolist() == [[0, 1, 2], [255, 3, -1]]  # not changed


def test_hatch_has_both_stripes_in_each_row():
    hatch = colors.void_hatch(40, 50, period=6)
    assert tuple(hatch[0, 0]) == colors.VOID_COLORS[0]
    assert tuple(hatch[0, 6]) == colors.VOID_COLORS[1]
    for row in hatch:
        assert {tuple(p) for p in row} == set(colors.VOID_COLORS)


@pytest.mark.parametrize('void', [3, 255, 3 + 1000, -1])
def test_all_void_panoptic_map(void):
    picture = colors.color_panoptic(np.full((20, 30), void), PALETTE)
    assert np.array_equal(picture, colors.void_hatch(20, 30))


def test_panoptic_colors():
    ids = np.full((20, 40), 2)  # stuff
    ids[:10, :10] = 1001  # label 1, instance 1
    ids[:10, 20:30] = 5001  # label 1, instance 5
    ids[12:14, :4] = 2000  # label 0, small: no boundary
    picture = colors.color_panoptic(ids, PALETTE)
    assert tuple(picture[15, 35]) == PALETTE[2]
    assert tuple(picture[5, 5]) == PALETTE[1]
    assert tuple(picture[5, 25]) == colors.instance_shade(PALETTE[1], 1)
    assert (picture[12:14, :4] == PALETTE[0]).all()
    # the line lies inside the instance, not on its neighbor, not at the edge of the picture
    assert tuple(picture[5, 9]) == colors.BOUNDARY_COLOR
    assert tuple(picture[5, 10]) == PALETTE[2]
    assert tuple(picture[9, 3]) == colors.BOUNDARY_COLOR
    assert tuple(picture[5, 0]) == PALETTE[1]


def test_stuff_has_no_boundary():
    ids = np.repeat([[0, 1]], 20, axis=0).repeat(20, axis=1)
    picture = colors.color_panoptic(ids, PALETTE)
    assert np.array_equal(picture, colors.color_semantic(ids, PALETTE))


def test_shades_differ_and_begin_with_the_class_color():
    for color in PALETTE:
        shades = [colors.instance_shade(color, i) for i in range(11)]
        assert shades[0] == color
        assert len(set(shades)) == 11
        assert all(0 <= c <= 255 for shade in shades for c in shade)
    counted = colors.instance_shades([0, 1, 0], PALETTE)
    assert tuple(counted[1]) == PALETTE[1]
    assert tuple(counted[2]) == colors.instance_shade(PALETTE[0], 1)


def test_a_label_without_a_color_is_an_input_error():
    with pytest.raises(InputError, match='instance labels.*0 to 2'):
        colors.instance_shades([0, 3], PALETTE)
    with pytest.raises(InputError, match='palette'):
        colors.color_semantic(np.zeros((2, 2)), [(0, 0), (1, 1)])


def test_depth_colors():
    depth = np.array([[0, -1, np.nan, np.inf], [1e-3, 40, 80, 500]])
    lut = colors.depth_lut('viridis')
    picture = colors.color_depth(depth, 0, 80, 'viridis')
    assert (picture[0] == colors.NO_DEPTH_COLOR).all()
    assert picture[1].tolist() == lut[[0, 128, 255, 255]].tolist()
    with pytest.raises(InputError, match='vmin < vmax'):
        colors.color_depth(depth, 5, 5)
    with pytest.raises(InputError, match='no_such_map'):
        colors.color_depth(depth, 0, 80, 'no_such_map')


def test_default_depth_colors_darken_evenly_with_distance():
    red, green, blue = colors.depth_lut().astype(float).T
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    steps = np.diff(luma[::5])  # of single ones, 8 bits hide the sign
    assert (steps < 0).all() and steps.min() > 2.5 * steps.mean()
    assert luma[0] > 180 > 40 > luma[-1]
    # the colors never meet the one of "no depth"
    assert (colors.depth_lut() != colors.NO_DEPTH_COLOR).any(1).all()


def test_percent_of_depth():
    depth = np.array([[10, 4, 0, -1, np.nan, np.inf, 2]], dtype=np.float32)
    uncertainty = np.array([[0.5, 1, 1, 1, 1, 1, np.nan]], dtype=np.float32)
    percent = colors.percent_of_depth(uncertainty, depth)
    assert percent.dtype == np.float32
    np.testing.assert_allclose(percent, [[5, 25, 0, 0, 0, 0, np.nan]], rtol=1e-6)
    assert colors.percent_of_depth(np.ones(1), np.array([8.0]))[0] == 12.5


@pytest.mark.parametrize('vision', VISION)
def test_uncertainty_colors_brighten_evenly_for_every_reader(vision):
    lab = to_lab(colors.depth_lut(colors.UNCERTAINTY_CMAP), vision)
    steps = np.diff(lab[::17, 0])  # lightness
    assert (steps > 2).all() and lab[-1, 0] - lab[0, 0] > 60
    # certain is dark, and yet not the color of "no depth"
    black = to_lab([colors.NO_DEPTH_COLOR], vision)
    assert np.linalg.norm(lab - black, axis=1).min() > 15


def test_depth_range_ignores_what_is_no_measurement_and_a_few_far_points():
    depth = np.concatenate([np.linspace(1, 37, 990), np.full(10, 600)])
    assert colors.depth_range([depth, np.zeros(5)]) == (0, 40)
    assert colors.depth_range([np.zeros(5)]) == (0, 80)
    assert colors.depth_range([depth], max_depth=80) == (0, 80)
    with pytest.raises(InputError, match='a number above 0 m'):
        colors.depth_range([depth], max_depth=-1)


@pytest.mark.parametrize(
    'vmin, vmax, expected',
    [
        (0, 80, [0, 20, 40, 60, 80]),
        (0, 50, [0, 10, 20, 30, 40, 50]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (3, 21, [5, 10, 15, 20]),
        (0, 7, [0, 2, 4, 6]),
    ],
)
def test_depth_ticks(vmin, vmax, expected):
    assert colors.depth_ticks(vmin, vmax) == pytest.approx(expected)


def test_splat_keeps_every_point_at_its_place_and_makes_dots():
    rng = np.random.default_rng(0)
    depth = np.zeros((100, 300), dtype=np.float32)
    rows, cols = rng.integers(0, 100, 60), rng.integers(0, 300, 60)
    depth[rows, cols] = rng.uniform(2, 60, 60)
    out = colors.splat_depth(depth, (200, 600))
    # far more pixels than points, all of them depths that were measured
    assert (out > 0).sum() > 4 * (depth > 0).sum()
    assert np.isin(out[out > 0], depth).all()
    # center (u + .5) * 2 - .5 lies between two pixels
    near = np.stack([out[2 * rows + i, 2 * cols + j] for i in (0, 1) for j in (0, 1)])
    seen = (near == depth[rows, cols]).any(0)
    covered = ((near > 0) & (near < depth[rows, cols])).any(0)
    assert (seen | covered).all() and seen.mean() > 0.8


def test_splat_lets_the_nearest_point_win():
    depth = np.zeros((200, 200), dtype=np.float32)
    depth[100, 100], depth[100, 101] = 9, 4
    out = colors.splat_depth(depth, (200, 200))
    assert out[100, 101] == 4 and out[100, 100] == 4


def test_splat_of_dense_and_of_empty_maps():
    dense = np.arange(1, 13, dtype=np.float32).reshape(3, 4)
    out = colors.splat_depth(dense, (6, 8))
    assert np.array_equal(out, dense.repeat(2, 0).repeat(2, 1))
    # also where only the lower half is measured: no holes in it
    half = np.zeros((40, 60), dtype=np.float32)
    half[20:] = 7
    out = colors.splat_depth(half, (80, 120))
    assert np.array_equal(out, half.repeat(2, 0).repeat(2, 1))
    assert not colors.splat_depth(np.zeros((3, 4)), (6, 8)).any()
