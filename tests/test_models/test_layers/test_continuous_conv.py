"""Continuous convolution against a loop over points and neighbors."""

import pytest
import torch
from plain_layers import continuous_conv, randomize_norms

from pandepth_mm.models.layers import ContinuousConv, point_neighbors
from pandepth_mm.models.layers.point_graph import knn


def apply(conv, feats, points, neighbors):
    return conv(feats, point_neighbors(points, neighbors))


def make(num=40, k=3, in_channels=6, out_channels=5, seed=0, **kwargs):
    """A float64 layer with random weights, features, points, neighbors."""
    torch.manual_seed(seed)
    conv = ContinuousConv(in_channels, out_channels, **kwargs).double()
    randomize_norms(conv)
    feats = torch.randn(num, in_channels, dtype=torch.float64)
    points = torch.randn(num, 3, dtype=torch.float64) * 5
    return conv, feats, points, knn(points, k)


@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('norm_cfg', [dict(type='BN'), None])
def test_equals_the_loop(training, norm_cfg):
    conv, feats, points, neighbors = make(norm_cfg=norm_cfg)
    neighbors[3, 2] = -1
    neighbors[7] = -1
    conv.train(training)
    with torch.no_grad():
        expected = continuous_conv(conv, feats, points, neighbors)
        found = apply(conv, feats, points, neighbors)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_float32_equals_the_loop():
    conv, feats, points, neighbors = make()
    expected = continuous_conv(conv, feats, points, neighbors)
    found = apply(conv.float(), feats.float(), points.float(), neighbors)
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-5)


def test_order_of_neighbors_does_not_matter():
    conv, feats, points, neighbors = make(k=4)
    neighbors[0, 1] = -1
    expected = apply(conv, feats, points, neighbors)
    shuffled = neighbors[:, torch.tensor([2, 0, 3, 1])]
    torch.testing.assert_close(
        apply(conv, feats, points, shuffled), expected, rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize('training', [True, False])
def test_equivariant_to_the_order_of_points(training):
    conv, feats, points, neighbors = make()
    conv.train(training)
    expected = apply(conv, feats, points, neighbors)
    order = torch.randperm(len(points))
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order))
    moved = place[neighbors[order]]
    torch.testing.assert_close(
        apply(conv, feats[order], points[order], moved), expected[order], rtol=1e-10, atol=1e-10
    )


def test_train_and_eval_differ_by_the_statistics_only():
    conv, feats, points, neighbors = make()
    before = []
    conv.norm.register_forward_hook(lambda module, args, out: before.append(args[0]))
    apply(conv.train(), feats, points, neighbors)
    apply(conv.eval(), feats, points, neighbors)
    assert torch.equal(before[0], before[1])


def test_other_numbers_of_points_and_neighbors():
    conv, _, _, _ = make(num=40, k=3)
    for num, k in ((17, 3), (4, 9), (60, 1)):
        feats = torch.randn(num, 6, dtype=torch.float64)
        points = torch.randn(num, 3, dtype=torch.float64)
        neighbors = knn(points, k)
        with torch.no_grad():
            torch.testing.assert_close(
                apply(conv, feats, points, neighbors),
                continuous_conv(conv, feats, points, neighbors),
                rtol=1e-10,
                atol=1e-10,
            )


@pytest.mark.parametrize('num', [0, 1])
@pytest.mark.parametrize('training', [True, False])
def test_no_point_or_one(num, training):
    conv, feats, points, neighbors = make(num=num)
    conv.train(training)
    mean = conv.norm.running_mean.clone()
    out = apply(conv, feats, points, neighbors)
    assert out.shape == (num, 5)
    assert out.isfinite().all()
    # one row has no variance: the running statistics stay as they were
    assert torch.equal(conv.norm.running_mean, mean)
    if num:
        expected = continuous_conv(conv.eval(), feats, points, neighbors)
        torch.testing.assert_close(out, expected)
    out.sum().backward()
    for name, param in conv.named_parameters():
        assert param.grad is not None, name
        assert param.grad.isfinite().all(), name


def test_gradient_reaches_the_neighbors_features_only():
    conv, feats, points, neighbors = make(norm_cfg=None)
    feats.requires_grad_()
    apply(conv, feats, points, neighbors)[5].sum().backward()
    touched = feats.grad.abs().sum(1).nonzero().flatten().tolist()
    assert sorted(neighbors[5].tolist()) == touched
