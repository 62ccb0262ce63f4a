"""Corrections at the measurements."""

import math

import numpy as np
import pytest

from pandepth_mm.geometry.anchoring import anchor_depth

SIZE = (40, 60)


def maps(depth=20.0):
    return np.full(SIZE, depth, np.float32), np.zeros(SIZE, np.float32)


def test_without_measurements_nothing_changes():
    depth, sparse = maps()
    np.testing.assert_array_equal(anchor_depth(depth, sparse), depth)


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
    corrected = anchor_depth(depth, sparse)
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
    assert anchor_depth(depth, sparse)[20, 30] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('factor', [0.95, 1.05, 3.0])
def test_what_differs_much_is_left_out(factor):
    """A LiDAR beside the camera sees past edges: such a point draws nothing around to it."""
    depth, sparse = maps()
    sparse[20, 30] = 20 * factor
    corrected = anchor_depth(depth, sparse)
    corrected[20, 30] = 20
    np.testing.assert_allclose(corrected, depth, rtol=1e-6)


@pytest.mark.parametrize(('percent', 'share'), [(1, 0.8), (2, 0.5), (4, 0.2), (200, 1e-4)])
def test_a_plane_counts_the_less_the_more_it_differs(percent, share):
    """Three measurements 20 pixels away: no other correction reaches the place between."""
    depth, sparse = maps()
    plane = 20 * math.exp(percent / 100)
    sparse[0, 30] = sparse[39, 1] = sparse[39, 59] = plane
    expected = 20 * math.exp(share * percent / 100)
    assert anchor_depth(depth, sparse)[26, 30] == pytest.approx(expected, rel=1e-6)


def test_a_slope_measured_between_the_pixels_of_a_coarse_prediction():
    """A road predicted half a coarse cell off: next to nothing is left of the error."""
    rows = np.arange(SIZE[0], dtype=np.float32)[:, None].repeat(SIZE[1], 1)
    truth = 1 / (0.02 + 0.001 * rows)
    predicted = 1 / (0.02 + 0.001 * (rows + 0.4))
    sparse = np.zeros(SIZE, np.float32)
    sparse[::4, ::2] = truth[::4, ::2]
    # beyond the lowest measurement there is no plane
    errors = [np.abs(x - truth)[:37].mean() for x in (predicted, anchor_depth(predicted, sparse))]
    assert errors[1] < 0.01 * errors[0]
