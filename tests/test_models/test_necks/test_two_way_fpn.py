import pytest
import torch
from plain_layers import conv_norm_act, nearest, randomize_norms, separable

from pandepth_mm.models.necks import TwoWayFPN

CHANNELS = (5, 6, 7, 8)


def feature_maps(height, width, batch=2):
    """Maps of strides 4 to 32, each size rounded up."""
    torch.manual_seed(0)
    return [
        torch.randn(batch, c, -(-height // s), -(-width // s))
        for c, s in zip(CHANNELS, (4, 8, 16, 32), strict=True)
    ]


def recomposed(neck, feats):
    """The two paths written out, level by level."""
    t4, t8, t16, t32 = (
        conv_norm_act(m, x) for m, x in zip(neck.top_down_laterals, feats, strict=True)
    )
    t16 = t16 + nearest(t32, t16.shape[-2:])
    t8 = t8 + nearest(t16, t8.shape[-2:])
    t4 = t4 + nearest(t8, t4.shape[-2:])
    b4, b8, b16, b32 = (
        conv_norm_act(m, x) for m, x in zip(neck.bottom_up_laterals, feats, strict=True)
    )
    b8 = b8 + nearest(b4, b8.shape[-2:])
    b16 = b16 + nearest(b8, b16.shape[-2:])
    b32 = b32 + nearest(b16, b32.shape[-2:])
    sums = (t4 + b4, t8 + b8, t16 + b16, t32 + b32)
    return [separable(m, x) for m, x in zip(neck.output_convs, sums, strict=True)]


@pytest.mark.parametrize('size', [(64, 96), (50, 77)])
def test_equals_recomposition(size):
    neck = TwoWayFPN(CHANNELS, out_channels=4).double().eval()
    randomize_norms(neck)
    feats = [x.double() for x in feature_maps(*size)]
    with torch.no_grad():
        for out, expected in zip(neck(feats), recomposed(neck, feats), strict=True):
            assert torch.allclose(out, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('size', [(200, 1000), (375, 1242), (33, 65)])
def test_shapes(size):
    feats = feature_maps(*size, batch=1)
    outs = TwoWayFPN(CHANNELS, out_channels=4).eval()(feats)
    assert [o.shape[2:] for o in outs] == [x.shape[2:] for x in feats]
    assert {o.shape[1] for o in outs} == {4}


def test_every_level_reaches_every_other():
    neck = TwoWayFPN(CHANNELS, out_channels=4)
    feats = [x.requires_grad_() for x in feature_maps(64, 96)]
    outs = neck(feats)
    for out in outs:
        grads = torch.autograd.grad(out.square().sum(), feats, retain_graph=True)
        assert all(g.abs().max() > 0 for g in grads)
    sum(o.square().sum() for o in outs).backward()
    assert all(p.grad is not None for p in neck.parameters())


def test_skipped_maps_pass_as_they_are():
    neck = TwoWayFPN(CHANNELS[1:], out_channels=4, num_skips=1).eval()
    feats = feature_maps(64, 96)
    with torch.no_grad():
        outs = neck(feats)
        neck.num_skips = 0
        expected = neck(feats[1:])
    assert len(outs) == 4 and outs[0] is feats[0]
    for out, other in zip(outs[1:], expected, strict=True):
        assert torch.equal(out, other)


def test_number_of_parameters():
    neck = TwoWayFPN((40, 64, 176, 2048))
    # Table 2: 1.5 M, with biases before the norms
    assert sum(p.numel() for p in neck.parameters()) == 1475584 - 16 * 256


@pytest.mark.parametrize('num_skips', [0, 1])
def test_wrong_number_of_maps(num_skips):
    with pytest.raises(ValueError):
        TwoWayFPN(CHANNELS[num_skips:], 4, num_skips)(feature_maps(64, 96)[:3])
