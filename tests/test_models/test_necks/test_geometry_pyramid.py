"""What a depth map says, added to the levels that proposals and RoIs read."""

import pytest
import torch
from plain_layers import conv_norm_act, randomize_norms, separable

from pandepth_mm.models.layers.geometry_maps import geometry_maps
from pandepth_mm.models.necks import GeometryPyramid

CHANNELS = 8


@pytest.fixture
def inputs():
    """Maps of strides 2 to 32, a depth and intrinsics."""
    torch.manual_seed(0)
    feats = [torch.randn(2, CHANNELS, 64 // s, 96 // s) for s in (2, 4, 8, 16, 32)]
    depth = torch.rand(2, 1, 64, 96) * 40 + 2
    cam2img = torch.tensor([[70.0, 0, 48], [0, 70, 32], [0, 0, 1]]).expand(2, 3, 3)
    return feats, depth, cam2img


def test_equals_recomposition(inputs):
    neck = GeometryPyramid(CHANNELS, geometry_channels=5, act_cfg=dict(type='LeakyReLU')).eval()
    randomize_norms(neck)
    feats, depth, cam2img = inputs
    with torch.no_grad():
        found = neck(*inputs)
        first, second = neck.geometry
        geometry = separable(second, conv_norm_act(first, geometry_maps(depth, cam2img, 4)))
    assert len(found) == 4
    for level, x in enumerate(feats[1:]):
        side = 2**level
        mean = geometry.reshape(2, CHANNELS, 16 // side, side, 24 // side, side).mean((3, 5))
        torch.testing.assert_close(found[level], x + mean, rtol=0, atol=1e-5)
        assert mean.std() > 0.01


def test_every_level_reads_depth_and_intrinsics(inputs):
    neck = GeometryPyramid(CHANNELS).eval()
    feats, depth, cam2img = inputs
    other = cam2img * torch.tensor([1.5, 1, 1])[:, None]
    with torch.no_grad():
        usual = neck(feats, depth, cam2img)
        for changed in (neck(feats, depth * 1.5, cam2img), neck(feats, depth, other)):
            for found, expected in zip(changed, usual, strict=True):
                assert not torch.equal(found, expected)


def test_without_geometry_the_finest_map_is_left_out_and_no_more(inputs):
    neck = GeometryPyramid(CHANNELS, geometry_channels=0)
    assert list(neck.parameters()) == [] and not neck.reads_depth
    found = neck(inputs[0], None, None)
    assert [id(x) for x in found] == [id(x) for x in inputs[0][1:]]
