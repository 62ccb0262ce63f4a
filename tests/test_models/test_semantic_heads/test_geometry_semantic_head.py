"""Semantic logits from features and the dense depth."""

import pytest
import torch
from torch.nn import functional as F

from pandepth_mm.models.layers.geometry_maps import geometry_maps
from pandepth_mm.models.semantic_heads import GeometrySemanticHead

SIZE = (64, 96)


def make_head(geometry_channels=5):
    torch.manual_seed(0)
    return GeometrySemanticHead(
        4,
        in_channels=6,
        skip_channels=3,
        channels=8,
        fine_channels=7,
        geometry_channels=geometry_channels,
        loss=dict(type='HardPixelCrossEntropyLoss', fraction=1.0),
    )


def inputs(batch=2):
    rng = torch.Generator().manual_seed(0)
    feats = [
        torch.randn(batch, c, SIZE[0] // s, SIZE[1] // s, generator=rng)
        for c, s in ((3, 2), (6, 4), (6, 8), (6, 16), (6, 32))
    ]
    depth = 5 + 20 * torch.rand(batch, 1, *SIZE, generator=rng)
    cam2img = torch.tensor([[60.0, 0, 48], [0, 60, 32], [0, 0, 1]]).expand(batch, 3, 3)
    return feats, depth, cam2img


@pytest.mark.parametrize('geometry_channels', [0, 5])
def test_equals_recomposition(geometry_channels):
    head = make_head(geometry_channels).eval()
    assert head.reads_depth == (geometry_channels > 0)
    feats, depth, cam2img = inputs()
    if not head.reads_depth:
        depth = cam2img = None
    with torch.no_grad():
        x = head.reduce(head.scene(feats[1:], depth, cam2img))
        parts = [F.interpolate(x, (32, 48), mode='bilinear'), feats[0]]
        if head.reads_depth:
            parts.append(geometry_maps(depth, cam2img, 2))
        x = head.classifier(head.fine(torch.cat(parts, dim=1)))
        found = head(feats, depth, cam2img)
    assert found.shape == (2, 4, *SIZE)
    for row in (0, 1):  # the four pixels of a cell are neighboring channels
        for col in (0, 1):
            torch.testing.assert_close(found[:, :, row::2, col::2], x[:, 2 * row + col :: 4])


@pytest.mark.parametrize('geometry_channels', [0, 5])
def test_every_parameter_gets_a_gradient(geometry_channels):
    head = make_head(geometry_channels)
    feats, depth, cam2img = inputs()
    labels = torch.randint(4, (2, *SIZE))
    losses = head.loss_by_feat(head(feats, depth, cam2img), labels)
    assert losses.keys() == {'loss_semantic'}
    losses['loss_semantic'].backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_void_does_not_count():
    head = make_head()
    labels = torch.randint(4, (1, 8, 8))
    logits = torch.randn(1, 4, 8, 8)
    labels[:, :3] = 255
    expected = F.cross_entropy(logits[:, :, 3:], labels[:, 3:])
    torch.testing.assert_close(head.loss_by_feat(logits, labels)['loss_semantic'], expected)


def test_depth_matters():
    head = make_head().eval()
    feats, depth, cam2img = inputs(batch=1)
    with torch.no_grad():
        near, far = (head(feats, depth * scale, cam2img) for scale in (1.0, 3.0))
    assert (near - far).abs().max() > 1e-3
