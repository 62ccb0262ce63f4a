import pytest
import torch
from mmdet.models.dense_heads import RPNHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from plain_layers import randomize_norms, separable

from pandepth_mm.registry import MODELS

STRIDES = (4, 8, 16, 32)
METAS = [dict(img_shape=(64, 96), pad_shape=(64, 96), batch_input_shape=(64, 96))]


def head_of(channels=8, num_convs=1, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(
        dict(
            type='SeparableRPNHead',
            in_channels=channels,
            feat_channels=channels,
            num_convs=num_convs,
            anchor_generator=dict(
                type='AnchorGenerator', scales=[8], ratios=[0.5, 1.0, 2.0], strides=STRIDES
            ),
            train_cfg=dict(
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=0.7,
                    neg_iou_thr=0.3,
                    min_pos_iou=0.3,
                    ignore_iof_thr=-1,
                ),
                sampler=dict(
                    type='RandomSampler',
                    num=32,
                    pos_fraction=0.5,
                    neg_pos_ub=-1,
                    add_gt_as_proposals=False,
                ),
                allowed_border=-1,
                pos_weight=-1,
                debug=False,
            ),
            **kwargs,
        )
    )


def feature_maps(channels=8, batch=1):
    return [torch.randn(batch, channels, 64 // s, 96 // s) for s in STRIDES]


@pytest.mark.parametrize('num_convs', [1, 2])
def test_equals_recomposition(num_convs):
    head = head_of(num_convs=num_convs).double().eval()
    randomize_norms(head)
    feats = [x.double() for x in feature_maps()]
    scores, deltas = head(feats)
    for x, score, delta in zip(feats, scores, deltas, strict=True):
        for module in head.rpn_conv:
            x = separable(module, x)
        for layer, out, channels in ((head.rpn_cls, score, 3), (head.rpn_reg, delta, 12)):
            weight, bias = layer.weight[:, :, 0, 0], layer.bias
            expected = torch.einsum('oc,bchw->bohw', weight, x)
            expected = expected + bias[:, None, None]
            assert out.shape == (1, channels, *x.shape[2:])
            assert torch.allclose(out, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize('boxes', [[[8.0, 8.0, 60.0, 50.0]], []])
def test_losses(boxes):
    head = head_of().train()
    feats = [x.requires_grad_() for x in feature_maps()]
    gt = InstanceData(
        bboxes=torch.tensor(boxes).reshape(-1, 4), labels=torch.zeros(len(boxes), dtype=torch.long)
    )
    losses = head.loss_by_feat(*head(feats), [gt], METAS)
    assert set(losses) == {'loss_rpn_cls', 'loss_rpn_bbox'}
    total = sum(sum(values) for values in losses.values())
    assert total.isfinite() and total > 0
    box_loss = sum(losses['loss_rpn_bbox'])
    assert (box_loss > 0) == bool(boxes)
    total.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in head.parameters())
    assert feats[0].grad.abs().max() > 0


def test_initialization():
    head = head_of(channels=64)
    head.init_weights()
    for layer in (head.rpn_cls, head.rpn_reg):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.2)
        assert layer.bias.abs().max() == 0
    # those of 0.01 would leave little to the norms after them
    conv = head.rpn_conv[0].pointwise_conv.conv
    assert conv.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.2)


def test_number_of_parameters():
    # the authors' 73,231 have biases before the norms
    assert sum(p.numel() for p in head_of(256).parameters()) == 73231 - 2 * 256


@pytest.mark.parametrize('nms_pre', [-1, 3, 40, 10_000])
def test_proposals_are_those_of_mmdet(nms_pre):
    """Which sorts all anchors."""
    test_cfg = dict(
        nms_pre=nms_pre, max_per_img=20, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0
    )
    head = head_of(test_cfg=ConfigDict(test_cfg)).eval()
    torch.nn.init.normal_(head.rpn_cls.weight, std=1.0)
    torch.nn.init.normal_(head.rpn_reg.weight, std=0.3)
    with torch.no_grad():
        scores, deltas = head(feature_maps())
    (found,) = head.predict_by_feat(scores, deltas, batch_img_metas=METAS)
    levels = [(s.shape[-2:], s[0], d[0]) for s, d in zip(scores, deltas, strict=True)]
    sizes, scores, deltas = zip(*levels, strict=True)
    priors = head.prior_generator.grid_priors(sizes, device='cpu')
    expected = RPNHead._predict_by_feat_single(
        head, scores, deltas, [None] * 4, priors, METAS[0], ConfigDict(test_cfg)
    )
    assert 5 < len(expected) <= 20
    assert torch.equal(found.bboxes, expected.bboxes)
    assert torch.equal(found.scores, expected.scores)
