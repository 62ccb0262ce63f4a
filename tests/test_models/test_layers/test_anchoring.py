"""Corrections at the measurements."""

import math

import pytest
import torch

from pandepth_mm.models.layers.anchoring import anchor_depth

SIZE = (40, 60)


def maps(depth=20.0):
    return torch.full((1, *SIZE), depth), torch.zeros(1, *SIZE)


def test_without_measurements_nothing_changes():
    depth, sparse = maps()
    assert torch.equal(anchor_depth(depth, sparse), depth)


def test_one_measurement_by_hand():
    """1 % too near: full correction there (but for the prior), a Gaussian's share beside it."""
    depth, sparse = maps()
    sparse[0, 20, 30] = 20 * math.exp(0.01)
    corrected = anchor_depth(depth, sparse)
    for col in (30, 32, 35):
        weight = math.exp(-0.5 * ((col - 30) / 2.5) ** 2)
        expected = 20 * math.exp(0.01 * weight / (weight + 0.05))
        assert corrected[0, 20, col].item() == pytest.approx(expected, rel=1e-6)
    assert torch.equal(corrected[0, :, :20], depth[0, :, :20])  # out of reach


def test_the_mean_of_two():
    depth, sparse = maps()
    sparse[0, 20, 28] = 20 * math.exp(0.02)
    sparse[0, 20, 32] = 20 * math.exp(-0.01)
    weight = math.exp(-0.5 * (2 / 2.5) ** 2)
    expected = 20 * math.exp((0.02 - 0.01) * weight / (2 * weight + 0.05))
    assert anchor_depth(depth, sparse)[0, 20, 30].item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize('factor', [0.95, 1.05, 3.0])
def test_what_differs_much_is_left_out(factor):
    """A LiDAR beside the camera sees past edges: such a point draws nothing to it."""
    depth, sparse = maps()
    sparse[0, 20, 30] = 20 * factor
    assert torch.equal(anchor_depth(depth, sparse), depth)


def test_a_slope_measured_between_the_pixels_of_a_coarse_prediction():
    """A road predicted half a coarse cell off: most of the error goes."""
    rows = torch.arange(SIZE[0], dtype=torch.float32)[:, None].expand(SIZE)
    truth = (1 / (0.02 + 0.001 * rows))[None]
    predicted = (1 / (0.02 + 0.001 * (rows + 0.4)))[None]
    sparse = torch.zeros(1, *SIZE)
    sparse[:, ::4, ::2] = truth[:, ::4, ::2]
    errors = [(x - truth).abs().mean() for x in (predicted, anchor_depth(predicted, sparse))]
    assert errors[1] < 0.1 * errors[0]
