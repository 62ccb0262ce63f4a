"""The loss of log depth, meters, inverse depth and uncertainty."""

import math

import pytest
import torch

from pandepth_mm.models.depth_heads.base import DepthPrediction
from pandepth_mm.models.losses import LogDepthLoss


def prediction(depth, uncertainty):
    maps = (torch.tensor(x, dtype=torch.float32)[None, None, None] for x in (depth, uncertainty))
    return DepthPrediction(*(m.requires_grad_() for m in maps))


def target(values):
    return torch.tensor(values, dtype=torch.float32)[None, None, None]


def test_by_hand():
    """Errors of 1 m (square, under 2 m) and 10 m (straight), one pixel without ground truth."""
    losses = LogDepthLoss()(prediction([3.0, 10.0, 50.0], [0.3, 2.0, 1.0]), target([2.0, 20.0, 0]))
    log = [math.log(1.5), math.log(2)]
    meters = [1**2 / 2 / 2, 10 - 1]
    inverse = [1 / 2 - 1 / 3, 1 / 10 - 1 / 20]
    mean = (sum(log) + 0.05 * sum(meters) + 5 * sum(inverse)) / 2
    expected = 0.1 * math.log(1 + mean / 0.1)  # damped
    assert losses['loss_depth'].item() == pytest.approx(expected, rel=1e-6)
    # Laplace: |error| / scale + log scale, the scale relative to the depth
    likelihood = (log[0] / 0.1 + math.log(0.1) + log[1] / 0.2 + math.log(0.2)) / 2
    assert losses['loss_depth_uncertainty'].item() == pytest.approx(0.1 * likelihood, rel=1e-6)
    assert losses.keys() == {'loss_depth', 'loss_depth_uncertainty'}


def test_weights():
    pred, gt = prediction([3.0, 10.0], [0.3, 2.0]), target([2.0, 20.0])
    one = LogDepthLoss()(pred, gt)
    two = LogDepthLoss(loss_weight=2)(pred, gt)
    for name, value in one.items():
        torch.testing.assert_close(two[name], 2 * value)
    plain = LogDepthLoss(meters=0, inverse=0, uncertainty=0)(pred, gt)
    mean = (math.log(1.5) + math.log(2)) / 2
    assert plain['loss_depth'].item() == pytest.approx(0.1 * math.log(1 + mean / 0.1))
    undamped = LogDepthLoss(meters=0, inverse=0, damping=1e4)(pred, gt)
    assert undamped['loss_depth'].item() == pytest.approx(mean, rel=1e-3)
    assert plain['loss_depth_uncertainty'] == 0


def test_each_image_is_damped_alone():
    """An image with an error of 100 % does not drown one of 1 %."""
    gt = torch.full((2, 1, 1, 4), 10.0)
    depth = (gt * torch.tensor([1.01, 2.0]).view(2, 1, 1, 1)).requires_grad_()
    pred = DepthPrediction(depth, depth.detach())
    LogDepthLoss(meters=0, inverse=0)(pred, gt)['loss_depth'].backward()
    relative = (depth.grad * depth.detach())[:, 0, 0, 0]  # by the log of depth
    errors = torch.tensor([1.01, 2.0]).log()
    torch.testing.assert_close(relative, 1 / (1 + errors / 0.1) / 8)


def test_perfect_depth():
    pred = prediction([3.0, 70.0], [0.3, 7.0])
    losses = LogDepthLoss()(pred, target([3.0, 70.0]))
    assert losses['loss_depth'] == 0
    assert losses['loss_depth_uncertainty'].item() == pytest.approx(0.1 * math.log(0.1))


def test_without_ground_truth():
    pred = prediction([3.0, 10.0], [0.3, 2.0])
    losses = LogDepthLoss()(pred, target([0.0, 0.0]))
    assert all(value == 0 for value in losses.values())
    sum(losses.values()).backward()
    for x in pred:
        assert x.grad is not None and (x.grad == 0).all()


def test_gradient_only_where_there_is_ground_truth():
    pred = prediction([3.0, 10.0, 1e30], [0.3, 2.0, 1e30])
    sum(LogDepthLoss()(pred, target([2.0, 20.0, 0.0])).values()).backward()
    for x in pred:
        assert torch.isfinite(x.grad).all()
        assert (x.grad[..., :2] != 0).all() and x.grad[..., 2] == 0


def test_likelihood_does_not_reach_the_depth():
    pred = prediction([3.0, 10.0], [0.3, 2.0])
    likelihood = LogDepthLoss()(pred, target([2.0, 20.0]))['loss_depth_uncertainty']
    depth, uncertainty = torch.autograd.grad(likelihood, pred, allow_unused=True)
    assert depth is None or (depth == 0).all()
    assert (uncertainty != 0).all()


def test_best_uncertainty_is_the_error():
    """Of many pixels of one scale: the mean absolute error of log depth."""
    errors = torch.tensor([0.01, 0.02, 0.06, 0.11])
    gt = torch.full((1, 1, 1, 4), 10.0)
    depth = gt * errors.exp()
    scales = torch.linspace(0.01, 0.2, 191)  # steps of 0.001
    found = [
        LogDepthLoss()(DepthPrediction(depth, depth * s), gt)['loss_depth_uncertainty']
        for s in scales
    ]
    assert scales[torch.stack(found).argmin()].item() == pytest.approx(0.05, abs=1e-6)


def test_half_precision_is_computed_in_full():
    pred = DepthPrediction(*(x.half() for x in prediction([60.0, 10.0], [0.3, 2.0])))
    losses = LogDepthLoss()(pred, target([80.0, 20.0]))
    exact = LogDepthLoss()(prediction([60.0, 10.0], [0.3, 2.0]), target([80.0, 20.0]))
    for name, value in losses.items():
        assert value.dtype == torch.float32
        torch.testing.assert_close(value, exact[name], rtol=1e-3, atol=0)
