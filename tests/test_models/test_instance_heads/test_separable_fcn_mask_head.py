import copy

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox2roi
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from plain_layers import randomize_norms, separable
from torch.nn import functional as F

from pandepth_mm.models.instance_heads import SeparableFCNMaskHead
from pandepth_mm.registry import MODELS

SIZE = (64, 96)  # of the network's input
ORI_SIZE = (128, 144)
SCALE_FACTOR = (96 / 144, 64 / 128)


def mask_head_of(channels=8, **kwargs):
    torch.manual_seed(0)
    head = SeparableFCNMaskHead(
        in_channels=channels, conv_out_channels=channels, num_classes=3, **kwargs
    )
    head.init_weights()
    return head


def roi_head_of(score_thr=0.0):
    torch.manual_seed(0)
    align = dict(type='RoIAlign', sampling_ratio=0)
    extractor = dict(type='SingleRoIExtractor', out_channels=8, featmap_strides=[4, 8, 16, 32])
    head = MODELS.build(
        dict(
            type='StandardRoIHead',
            bbox_roi_extractor=dict(roi_layer=dict(output_size=7, **align), **extractor),
            bbox_head=dict(
                type='Shared2FCBBoxHead',
                in_channels=8,
                fc_out_channels=16,
                roi_feat_size=7,
                num_classes=3,
            ),
            mask_roi_extractor=dict(roi_layer=dict(output_size=14, **align), **extractor),
            mask_head=dict(
                type='SeparableFCNMaskHead', in_channels=8, conv_out_channels=8, num_classes=3
            ),
            train_cfg=ConfigDict(
                assigner=dict(
                    type='MaxIoUAssigner',
                    pos_iou_thr=0.5,
                    neg_iou_thr=0.5,
                    min_pos_iou=0.5,
                    ignore_iof_thr=-1,
                ),
                sampler=dict(
                    type='RandomSampler',
                    num=16,
                    pos_fraction=0.25,
                    neg_pos_ub=-1,
                    add_gt_as_proposals=True,
                ),
                mask_size=28,
                pos_weight=-1,
                debug=False,
            ),
            test_cfg=ConfigDict(
                score_thr=score_thr,
                nms=dict(type='nms', iou_threshold=0.5),
                max_per_img=6,
                mask_thr_binary=0.5,
            ),
        )
    )
    head.init_weights()
    return head


def feature_maps(batch=2):
    torch.manual_seed(1)
    return [torch.randn(batch, 8, SIZE[0] // s, SIZE[1] // s) for s in (4, 8, 16, 32)]


def proposals(number, seed=2):
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(number, 2, generator=generator) * 40
    extent = 10 + torch.rand(number, 2, generator=generator) * 14
    return InstanceData(bboxes=torch.cat([corner, corner + extent], 1))


def sample_of(boxes):
    sample = DetDataSample(
        metainfo=dict(img_shape=SIZE, ori_shape=ORI_SIZE, scale_factor=SCALE_FACTOR)
    )
    masks = torch.zeros(len(boxes), *SIZE, dtype=torch.uint8).numpy()
    for mask, (x1, y1, x2, y2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = 1
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.arange(len(boxes)) % 3,
        masks=BitmapMasks(masks, *SIZE),
    )
    return sample


# ---- the network


def test_equals_recomposition():
    head = mask_head_of().double().eval()
    randomize_norms(head)
    x = torch.randn(3, 8, 14, 14, dtype=torch.float64)
    out = head(x)
    for module in head.convs:
        x = separable(module, x)
    weight, bias = head.upsample.weight, head.upsample.bias
    # a 2x2 kernel with stride 2: each pixel becomes a block of its own
    x = torch.einsum('bchw,cokl->bohkwl', x, weight).reshape(3, 8, 28, 28)
    x = x + bias[:, None, None]
    norm = head.relu[0]
    x = (x - norm.running_mean[:, None, None]) / torch.sqrt(
        norm.running_var[:, None, None] + norm.eps
    )
    x = x * norm.weight[:, None, None] + norm.bias[:, None, None]
    x = torch.where(x > 0, x, 0.01 * x)
    x = torch.einsum('oc,bchw->bohw', head.conv_logits.weight[:, :, 0, 0], x)
    x = x + head.conv_logits.bias[:, None, None]
    assert out.shape == (3, 3, 28, 28)
    assert torch.allclose(out, x, rtol=0, atol=1e-10)


def test_number_of_parameters():
    # the authors' 541,444 have a channel of no class, and biases before the norms
    found = sum(p.numel() for p in mask_head_of(256).parameters())
    assert found == 541444 - 257 - 4 * 2 * 256


def test_no_roi_in_training():
    head = mask_head_of().train()
    randomize_norms(head)
    before = copy.deepcopy(head.state_dict())
    out = head(torch.zeros(0, 8, 14, 14))
    assert out.shape == (0, 3, 28, 28)
    out.sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() == 0 for p in head.parameters())
    for name, value in head.state_dict().items():
        if not name.endswith('num_batches_tracked'):
            assert torch.equal(value, before[name]), name


# ---- training, through mmdet's RoI head


@pytest.mark.parametrize(
    'boxes',
    [([[4, 4, 30, 40], [50, 10, 90, 60]], [[8, 20, 40, 50]]), ([[4, 4, 30, 40]], []), ([], [])],
)
def test_losses(boxes):
    head = roi_head_of().train()
    feats = [x.requires_grad_() for x in feature_maps()]
    losses = head.loss(feats, [proposals(20), proposals(20, seed=3)], [sample_of(b) for b in boxes])
    assert set(losses) == {'loss_cls', 'acc', 'loss_bbox', 'loss_mask'}
    total = losses['loss_cls'] + losses['loss_bbox'] + losses['loss_mask']
    assert total.isfinite() and losses['loss_cls'] > 0
    some = any(boxes)
    assert (losses['loss_bbox'] > 0) == some
    assert (losses['loss_mask'] > 0) == some
    total.backward()
    for name, p in head.named_parameters():
        assert p.grad is not None and p.grad.isfinite().all(), name
    assert feats[0].grad.abs().max() > 0
    assert all(v.isfinite().all() for v in head.state_dict().values())


# ---- prediction, through mmdet's RoI head


def predict(head, numbers, rescale):
    head.eval()
    with torch.no_grad():
        return head.predict(
            feature_maps(),
            [proposals(n) for n in numbers],
            [sample_of([]) for _ in numbers],
            rescale=rescale,
        )


def test_mask_logits_are_the_raw_ones_of_the_predicted_class():
    head = roi_head_of()
    results = predict(head, (20, 12), rescale=False)
    with torch.no_grad():
        raw = head._mask_forward(feature_maps(), bbox2roi([r.bboxes for r in results]))[
            'mask_preds'
        ]
    labels = torch.cat([r.labels for r in results])
    assert len(labels) > 2 and len(labels.unique()) > 1
    expected = torch.stack([masks[label] for masks, label in zip(raw, labels, strict=True)])
    logits = torch.cat([r.mask_logits for r in results])
    assert torch.equal(logits, expected)
    assert logits.min() < 0


def test_rescale():
    head = roi_head_of()
    small = predict(head, (20, 12), rescale=False)
    large = predict(head, (20, 12), rescale=True)
    scale = torch.tensor(SCALE_FACTOR * 2)
    for a, b in zip(small, large, strict=True):
        assert len(a) == len(b) > 0
        assert torch.allclose(b.bboxes, a.bboxes / scale)
        assert torch.equal(a.mask_logits, b.mask_logits)
        assert a.masks.shape == (len(a), *SIZE)
        assert b.masks.shape == (len(b), *ORI_SIZE)
        assert a.masks.dtype == b.masks.dtype == torch.bool


def test_masks_are_the_pasted_logits():
    for results in predict(roi_head_of(), (20, 12), rescale=True):
        for box, logits, mask in zip(
            results.bboxes, results.mask_logits, results.masks, strict=True
        ):
            x1, y1, x2, y2 = box.tolist()
            rows = (torch.arange(ORI_SIZE[0]) + 0.5 - y1) / (y2 - y1) * 2 - 1
            cols = (torch.arange(ORI_SIZE[1]) + 0.5 - x1) / (x2 - x1) * 2 - 1
            grid = torch.stack([cols.expand(ORI_SIZE), rows[:, None].expand(ORI_SIZE)], -1)
            pasted = F.grid_sample(logits.sigmoid()[None, None], grid[None], align_corners=False)[
                0, 0
            ]
            clear = (pasted - 0.5).abs() > 1e-4
            assert torch.equal(mask[clear], (pasted > 0.5)[clear])


@pytest.mark.parametrize('rescale', [True, False])
def test_image_without_detection(rescale):
    some, none = predict(roi_head_of(), (20, 0), rescale)
    assert some.mask_logits.shape == (len(some), 28, 28) and len(some)
    assert none.mask_logits.shape == (0, 28, 28)
    assert none.masks.shape[0] == len(none.bboxes) == 0


def test_class_agnostic():
    head = mask_head_of(class_agnostic=True).eval()
    preds = head(torch.randn(2, 8, 14, 14)).detach()
    assert preds.shape[1] == 1
    results = InstanceData(
        bboxes=torch.tensor([[2.0, 2.0, 20.0, 30.0], [40.0, 5.0, 60.0, 50.0]]),
        labels=torch.tensor([2, 1]),
    )
    meta = dict(ori_shape=SIZE, scale_factor=(1.0, 1.0))
    [results] = head.predict_by_feat([preds], [results], [meta], ConfigDict(mask_thr_binary=0.5))
    assert torch.equal(results.mask_logits, preds[:, 0])
