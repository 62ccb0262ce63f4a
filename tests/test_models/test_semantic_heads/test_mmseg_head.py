"""Decode heads of mmseg as semantic heads."""

import sys

import mmdet.models
import mmseg.models
import pytest
import torch
from torch.nn import functional as F

from pandepth_mm.errors import InputError
from pandepth_mm.models.losses import HardPixelCrossEntropyLoss
from pandepth_mm.registry import MODELS

CLASSES = 5
LAST = dict(in_channels=8, in_index=3, channels=8)
ALL = dict(in_channels=[8] * 4, in_index=[0, 1, 2, 3], channels=8)
FITTING = dict(
    FPNHead=dict(ALL, feature_strides=[4, 8, 16, 32]),
    FCNHead=LAST,
    PSPHead=LAST,
    UPerHead=ALL,
    DepthwiseSeparableASPPHead=dict(
        LAST, dilations=(1, 2, 3), c1_in_channels=8, c1_channels=4
    ),  # DeepLabV3+
    SegformerHead=ALL,
    SegmenterMaskTransformerHead=dict(LAST, num_layers=1, num_heads=2, embed_dims=8),
)


def build(kind='FPNHead', classes=CLASSES, loss='default', prefix='', **changes):
    torch.manual_seed(0)
    decode_head = dict(FITTING.get(kind, LAST), type=prefix + kind, **changes)
    cfg = dict(type='MMSegHead', num_classes=classes, decode_head=decode_head)
    if loss != 'default':
        cfg['loss'] = loss
    return MODELS.build(cfg)


def feature_maps(height, width):
    torch.manual_seed(1)
    return [torch.randn(2, 8, -(-height // s), -(-width // s)) for s in (4, 8, 16, 32)]


def labels(height, width):
    target = torch.randint(CLASSES, (2, height, width))
    target[:, :5] = 255
    return target


@pytest.mark.parametrize('kind', FITTING)
@pytest.mark.parametrize('loss', ['default', None])
def test_trains_all_its_parameters(kind, loss):
    size = (50, 130)  # no multiple of any stride
    head = build(kind, loss=loss)
    logits = head(feature_maps(*size), size)
    assert logits.shape == (2, CLASSES, *size)
    losses = head.loss_by_feat(logits, labels(*size))
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    for name, param in head.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name


def test_logits_are_the_decode_heads_upsampled():
    head = build().eval()
    feats = feature_maps(64, 96)
    expected = F.interpolate(head.decode_head(feats), (64, 96), mode='bilinear')
    assert torch.equal(head(feats, (64, 96)), expected)


def test_our_loss_in_place_of_its_own():
    head = build(loss=dict(type='HardPixelCrossEntropyLoss', fraction=0.5, loss_weight=0.3))
    logits, target = torch.randn(2, CLASSES, 8, 9), labels(8, 9)
    losses = head.loss_by_feat(logits, target)
    assert set(losses) == {'loss_semantic'}
    expected = 0.3 * HardPixelCrossEntropyLoss(fraction=0.5)(logits, target)
    assert torch.equal(losses['loss_semantic'], expected)


@pytest.mark.parametrize('prefix', ['', 'mmseg.'])
def test_its_own_loss_is_mmsegs(prefix):
    """A bare name inside of the head is not mmdet's, which has it too."""
    head = build(
        loss=None,
        prefix=prefix,
        loss_decode=[
            dict(type='CrossEntropyLoss', loss_weight=0.7, avg_non_ignore=True),
            dict(type='DiceLoss'),
        ],
    )
    kinds = [type(loss) for loss in head.loss]
    assert kinds == [mmseg.models.CrossEntropyLoss, mmseg.models.DiceLoss]
    assert kinds[0] is not mmdet.models.CrossEntropyLoss
    logits, target = torch.randn(2, CLASSES, 8, 9), labels(8, 9)
    losses = head.loss_by_feat(logits, target)
    assert set(losses) == {'semantic.loss_ce', 'semantic.loss_dice', 'semantic.acc_seg'}
    expected = 0.7 * F.cross_entropy(logits, target, ignore_index=255)
    torch.testing.assert_close(losses['semantic.loss_ce'], expected)
    right = (logits.argmax(1) == target)[target != 255].float().mean()
    torch.testing.assert_close(losses['semantic.acc_seg'], 100 * right[None])


def test_its_own_sampler_chooses_pixels():
    head = build(
        loss=None,
        sampler=dict(type='OHEMPixelSampler', thresh=0.9, min_kept=10),
        loss_decode=dict(type='CrossEntropyLoss'),
    )
    logits, target = 3 * torch.randn(2, CLASSES, 8, 9), labels(8, 9)
    pixel_loss = F.cross_entropy(logits, target, ignore_index=255, reduction='none')
    probability = torch.exp(-pixel_loss)
    # mmseg keeps what it is less sure of than 0.9, and divides by all pixels
    kept = (probability < 0.9) & (target != 255)
    assert 10 < kept.sum() < (target != 255).sum()
    expected = pixel_loss[kept].sum() / target.numel()
    found = head.loss_by_feat(logits, target)['semantic.loss_ce']
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(
    'kind, reason',
    [
        ('OCRHead', 'logits of another head'),
        ('PointHead', 'logits of another head'),
        ('Mask2FormerHead', 'no BaseDecodeHead'),
        ('EncHead', 'more than logits and labels'),
        ('PIDHead', 'more than logits and labels'),
        ('DPTHead', 'maps of one size'),
        ('NoSuchHead', 'mmseg does not have'),
    ],
)
def test_heads_that_do_not_fit_are_refused(kind, reason):
    with pytest.raises(InputError) as error:
        build(kind)
    message = str(error.value)
    assert message.startswith(f'config: model.semantic_head.decode_head.type: found {kind}, ')
    assert reason in message and '\n' not in message


@pytest.mark.parametrize(
    'changes, message',
    [
        (dict(ignore_index=0), 'ignore_index: found 0; expected 255'),
        (dict(num_classes=7), 'num_classes: found 7; expected 5'),
        (dict(out_channels=1, threshold=0.5), 'out_channels: found 1; expected 2'),
    ],
)
def test_counts_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=f'model.semantic_head.decode_head.{message}'):
        build(classes=2 if 'out_channels' in changes else CLASSES, **changes)


def test_missing_mmseg_is_named(monkeypatch):
    for name in [n for n in sys.modules if n.split('.')[0] == 'mmseg']:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(InputError, match='no mmseg .*; expected mmsegmentation'):
        build()
