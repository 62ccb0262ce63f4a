"""Corrections at the measurements."""

import math

import numpy as np
import pytest

from pandepth_mm.geometry.anchoring import anchor_depth
from pandepth_mm.geometry.planes import interpolate_planes

SIZE = (40, 60)


def maps(depth=20.0):
    return np.full(SIZE, depth, np.float32), np.zeros(SIZE, np.float32)


def drawn(depth, sparse):
    return anchor_depth(depth, sparse)[0]


def test_without_measurements_nothing_changes():
    depth, sparse = maps()
    anchored, change = anchor_depth(depth, sparse)
    np.testing.assert_array_equal(anchored, depth)
    assert not change.any()


def test_the_input_stays_as_it_is():
    depth, sparse = maps()
    sparse[::7, ::5] = 20.2
    copies = depth.copy(), sparse.copy()
    anchor_depth(depth, sparse)
    np.testing.assert_array_equal((depth, sparse), copies)


def test_one_measurement_by_hand():
    """1 % too near: the measured depth there, a Gaussian's share beside it, less the prior's."""
    depth, sparse = maps()
    sparse[20, 30] = 20 * math.exp(0.01)
    corrected = drawn(depth, sparse)
    assert corrected[20, 30] == pytest.approx(sparse[20, 30], rel=1e-6)  # a plane of one pixel
    for col in (28, 32, 35):
        weight = math.exp(-0.5 * ((col - 30) / 2.5) ** 2)
        expected = 20 * math.exp(0.01 * weight / (weight + 0.05))
        assert corrected[20, col] == pytest.approx(expected, rel=1e-6)
    np.testing.assert_allclose(corrected[:, :20], depth[:, :20], rtol=1e-6)  # out of reach


def test_the_mean_of_two():
    depth, sparse = maps()
    sparse[20, 28] = 20 * math.exp(0.02)
    sparse[20, 32] = 20 * math.exp(-0.01)
    weight = math.exp(-0.5 * (2 / 2.5) ** 2)
    expected = 20 * math.exp((0.02 - 0.01) * weight / (2 * weight + 0.05))
    assert drawn(depth, sparse)[20, 30] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('factor', [0.95, 1.05, 3.0])
def test_what_differs_much_is_left_out(factor):
    """A LiDAR beside the camera sees past edges: such a point draws nothing around to it."""
    depth, sparse = maps()
    sparse[20, 30] = 20 * factor
    corrected = drawn(depth, sparse)
    corrected[20, 30] = 20
    np.testing.assert_allclose(corrected, depth, rtol=1e-6)


@pytest.mark.parametrize(('percent', 'share'), [(1, 0.8), (2, 0.5), (4, 0.2), (200, 1e-4)])
def test_a_plane_counts_the_less_the_more_it_differs(percent, share):
    """Three measurements 20 pixels away: no other correction reaches the place between."""
    depth, sparse = maps()
    plane = 20 * math.exp(percent / 100)
    sparse[0, 30] = sparse[39, 1] = sparse[39, 59] = plane
    expected = 20 * math.exp(share * percent / 100)
    assert drawn(depth, sparse)[26, 30] == pytest.approx(expected, rel=1e-6)


def test_a_slope_measured_between_the_pixels_of_a_coarse_prediction():
    """A road predicted half a coarse cell off: next to nothing is left of the error."""
    rows = np.arange(SIZE[0], dtype=np.float32)[:, None].repeat(SIZE[1], 1)
    truth = 1 / (0.02 + 0.001 * rows)
    predicted = 1 / (0.02 + 0.001 * (rows + 0.4))
    sparse = np.zeros(SIZE, np.float32)
    sparse[::4, ::2] = truth[::4, ::2]
    # beyond the lowest measurement there is no plane
    errors = [np.abs(x - truth)[:37].mean() for x in (predicted, drawn(predicted, sparse))]
    assert errors[1] < 0.01 * errors[0]


def votes_by_hand(row, col, sparse, against):
    """Share of the measurements around a pixel that contradict, one by one."""
    total, contradicting = 1.0, 0.0
    for y, x in zip(*np.nonzero(sparse), strict=True):
        if max(abs(y - row), abs(x - col)) <= 12:
            weight = math.exp(-0.5 * ((y - row) ** 2 + (x - col) ** 2) / 4.0**2)
            total += weight
            contradicting += weight * against[y, x]
    return contradicting / total


@pytest.mark.parametrize(('rate', 'low', 'high'), [(0.1, 0, 0), (0.6, 0.05, 0.95), (1.0, 1, 1)])
def test_most_of_the_measurements_around_overrule(rate, low, high):
    """A surface at 30 m that was predicted at 20 m; what is left of it says so, too."""
    depth, sparse = maps()
    sparse[::2, ::2] = 20
    against = np.zeros(SIZE, bool)
    against[::2, ::2] = np.random.default_rng(3).random((20, 30)) < rate
    sparse[against] = 30
    anchored, change = anchor_depth(depth, sparse)
    # the second step moves by up to 0.05 m before
    np.testing.assert_allclose(np.abs(anchored - depth), change, atol=0.05)
    planes = interpolate_planes(sparse)
    shares = []
    for row, col in ((19, 31), (16, 20), (25, 43)):
        votes = votes_by_hand(row, col, sparse, against)
        shares.append(min(max((votes - 0.25) / 0.5, 0), 1))
        expected = depth[row, col] + shares[-1] * (planes[row, col] - depth[row, col])
        assert anchored[row, col] == pytest.approx(expected, abs=0.05)
    assert low <= min(shares) and max(shares) <= high


def test_one_measurement_past_an_edge_overrules_nothing_around():
    depth, sparse = maps()
    sparse[::3, ::3] = 20
    sparse[18, 30] = 40
    anchored, change = anchor_depth(depth, sparse)
    assert not change.any()
    np.testing.assert_allclose(anchored, depth, rtol=3e-3)


def test_beyond_the_planes_nothing_overrules():
    """To the right of the last measurements there is nothing between them."""
    depth, sparse = maps()
    sparse[::2, :30:2] = 30
    anchored, change = anchor_depth(depth, sparse)
    assert (change[:39, :29] > 9).all() and not change[:, 29:].any()
    np.testing.assert_allclose(anchored[:, 29:], 20, rtol=1e-6)
