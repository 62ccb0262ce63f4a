"""Which instances anchors can find, against mmdet's own anchors and assigner."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData

from pandepth_mm.models.instance_heads.anchor_fit import (
    best_anchor_iou,
    count_unmatched,
    needed_iou,
)
from pandepth_mm.registry import TASK_UTILS, TRANSFORMS

RESIZE = dict(type='ResizePanopticDepth')
SIZE = (50, 130)  # no multiple of any stride
STRIDES = [4, 8, 16, 32]
GENERATOR = dict(
    type='AnchorGenerator', scales=[2, 8], ratios=[0.5, 1.0, 2.0], strides=STRIDES, center_offset=0
)


def random_boxes(count=60):
    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(1), np.log(120), (count, 2)))
    low = rng.uniform(0, 1, (count, 2)) * np.array(SIZE[::-1])
    high = np.minimum(low + sides, SIZE[::-1])
    return np.concatenate([low, np.maximum(high, low + 0.5)], axis=1)


def all_anchors(generator):
    maps = [(-(-SIZE[0] // s), -(-SIZE[1] // s)) for s in STRIDES]
    return torch.cat(TASK_UTILS.build(generator).grid_priors(maps, device='cpu'))


@pytest.mark.parametrize('offset', [0.0, 0.5])
def test_best_iou_is_that_of_all_anchors(offset):
    generator = dict(GENERATOR, center_offset=offset)
    boxes = random_boxes()
    every = bbox_overlaps(torch.tensor(boxes).float(), all_anchors(generator))
    found = best_anchor_iou(boxes, SIZE, generator)
    np.testing.assert_allclose(found, every.amax(dim=1).numpy(), atol=1e-5)
    assert 0 < found.min() < 0.3 < 0.6 < found.max()


@pytest.mark.parametrize('low_quality', [True, False])
def test_threshold_is_the_assigners(low_quality):
    """A box is matched exactly where mmdet's assigner gives it an anchor."""
    cfg = dict(
        type='MaxIoUAssigner',
        pos_iou_thr=0.5,
        neg_iou_thr=0.3,
        min_pos_iou=0.4,
        match_low_quality=low_quality,
    )
    assert needed_iou(cfg) == (0.4 if low_quality else 0.5)
    assigner, anchors = TASK_UTILS.build(cfg), all_anchors(GENERATOR)
    boxes = random_boxes()
    fits = best_anchor_iou(boxes, SIZE, GENERATOR) >= needed_iou(cfg)
    assert 5 < fits.sum() < len(boxes) - 5
    for box, fit in zip(boxes, fits, strict=True):
        gt = InstanceData(bboxes=torch.tensor(box[None]).float(), labels=torch.zeros(1).long())
        assigned = assigner.assign(InstanceData(priors=anchors), gt)
        assert bool((assigned.gt_inds > 0).any()) == fit


def test_no_box_and_another_assigner():
    assert best_anchor_iou(np.zeros((0, 4)), SIZE, GENERATOR).shape == (0,)
    assert needed_iou(dict(type='ATSSAssigner', topk=9)) is None


@pytest.mark.parametrize(
    ('side', 'steps', 'unmatched'),
    [
        (32, [], 0),
        (8, [], 1),
        (32, [RESIZE], 1),  # 128 at img_scale
        (8, [RESIZE], 0),
        (8, [(0.5, 2.0)], 1),  # the image's own size
        (32, [(0.5, 2.0)], 0),
        (8, [(2.0, 8.0)], 0),  # times 4
        (32, [RESIZE, (0.125, 0.5)], 0),  # times 4, by 4
        (8, [RESIZE, (0.125, 0.5)], 1),
        (32, [dict(RESIZE, shrink_only=True)], 0),  # no more pixels than img_scale has
        (8, [dict(RESIZE, shrink_only=True)], 1),
        (128, [(2.0, 8.0), dict(RESIZE, shrink_only=True), (0.125, 0.5)], 1),
    ],
)
def test_boxes_have_the_size_that_the_network_sees(side, steps, unmatched):
    """Anchors of 32 pixels alone; an image of 160 x 80 and an ``img_scale`` four times as large."""
    generator = dict(type='AnchorGenerator', scales=[8], ratios=[1.0], strides=[4])
    assigner = dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
    model = dict(
        rpn_head=dict(anchor_generator=generator), train_cfg=dict(rpn=dict(assigner=assigner))
    )
    steps = [
        TRANSFORMS.build(
            step
            if isinstance(step, dict)
            else dict(type='RandomResizePanopticDepth', ratio_range=step)
        )
        for step in steps
    ]
    dataset = SimpleNamespace(img_scale=(640, 320), pipeline=SimpleNamespace(transforms=steps))
    thing = SimpleNamespace(box=(40, 20, side, side), area=side**2, iscrowd=False)
    frame = SimpleNamespace(things=[thing])
    assert count_unmatched(model, dataset, [frame], [(160, 80)]) == (unmatched, 1)
