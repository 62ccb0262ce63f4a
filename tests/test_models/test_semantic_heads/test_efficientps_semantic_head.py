import pytest
import torch
from plain_layers import bilinear, conv_norm_act, randomize_norms, separable

from pandepth_mm.models.losses import HardPixelCrossEntropyLoss
from pandepth_mm.models.semantic_heads import EfficientPSSemanticHead


def feature_maps(height, width, channels=6, batch=2):
    """Maps of strides 4 to 32, each size rounded up."""
    torch.manual_seed(0)
    return [torch.randn(batch, channels, -(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]


def head_of(num_classes=5, **kwargs):
    torch.manual_seed(1)
    return EfficientPSSemanticHead(num_classes, in_channels=6, channels=4, **kwargs)


def lsfe(module, x):
    return separable(module[1], separable(module[0], x))


def dpc(module, x):
    first = separable(module.first, x)
    second, third, fourth = (separable(m, first) for m in module.parallel)
    fifth = separable(module.last, fourth)
    return conv_norm_act(module.reduce, torch.cat([first, second, third, fourth, fifth], 1))


def recomposed(head, feats, out_size):
    """EfficientPS's figure of the semantic head, written out: both DPCs enter it unsummed."""
    x4, x8 = lsfe(head.extractors[0], feats[0]), lsfe(head.extractors[1], feats[1])
    x16, x32 = dpc(head.extractors[2], feats[2]), dpc(head.extractors[3], feats[3])
    both = x16 + bilinear(x32, x16.shape[-2:])
    x8 = x8 + bilinear(lsfe(head.corrections[1].convs, both), x8.shape[-2:])
    x4 = x4 + bilinear(lsfe(head.corrections[0].convs, x8), x4.shape[-2:])
    x = torch.cat([x4] + [bilinear(x, x4.shape[-2:]) for x in (x8, x16, x32)], 1)
    weight, bias = head.classifier.weight[:, :, 0, 0], head.classifier.bias
    x = torch.einsum('oc,bchw->bohw', weight, x) + bias[:, None, None]
    return bilinear(x, out_size)


@pytest.mark.parametrize('size', [(64, 96), (50, 77)])
def test_equals_recomposition(size):
    head = head_of().double().eval()
    randomize_norms(head)
    feats = [x.double() for x in feature_maps(*size)]
    with torch.no_grad():
        out, expected = head(feats, size), recomposed(head, feats, size)
    assert out.shape == (2, 5, *size)
    assert torch.allclose(out, expected, rtol=0, atol=1e-10)


def test_dilations():
    cell = head_of().extractors[3]
    convs = [cell.first, *cell.parallel, cell.last]
    assert [m.depthwise_conv.dilation for m in convs] == [(1, 6), (1, 1), (6, 21), (18, 15), (6, 3)]


@pytest.mark.parametrize('size', [(200, 1000), (375, 1242), (33, 65)])
def test_shapes(size):
    head = head_of().eval()
    assert head(feature_maps(*size, batch=1), size).shape == (1, 5, *size)


def test_every_scale_and_parameter_learns():
    head = head_of()
    feats = [x.requires_grad_() for x in feature_maps(64, 96)]
    target = torch.randint(5, (2, 64, 96))
    losses = head.loss_by_feat(head(feats, (64, 96)), target)
    losses['loss_semantic'].backward()
    assert all(x.grad.abs().max() > 0 for x in feats)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())


def test_loss():
    head = head_of(
        loss=dict(type='pandepth_mm.HardPixelCrossEntropyLoss', fraction=0.5, loss_weight=0.3)
    )
    logits = torch.randn(2, 5, 8, 9)
    target = torch.randint(5, (2, 8, 9))
    target[:, :3] = 255
    expected = 0.3 * HardPixelCrossEntropyLoss(fraction=0.5)(logits, target)
    losses = head.loss_by_feat(logits, target)
    assert set(losses) == {'loss_semantic'}
    assert torch.allclose(losses['loss_semantic'], expected)


def test_number_of_parameters():
    # Table 2: 1.2 M, with biases before the norms: two each of DPC, LSFE and MC
    biases = 2 * (10 * 256 + 128) + 2 * (256 + 3 * 128) + 2 * 4 * 128
    for num_classes, expected in ((15, 1212175), (14, 1211662)):
        head = EfficientPSSemanticHead(num_classes)
        assert sum(p.numel() for p in head.parameters()) == expected - biases


def test_wrong_number_of_maps():
    with pytest.raises(ValueError):
        head_of()(feature_maps(64, 96)[:3], (64, 96))
