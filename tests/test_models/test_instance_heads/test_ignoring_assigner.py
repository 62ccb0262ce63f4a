"""Objects, background and what is neither."""

import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData

from pandepth_mm.errors import InputError
from pandepth_mm.registry import TASK_UTILS

THRESHOLDS = dict(pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
REGION = [[100.0, 0.0, 140.0, 40.0]]


def assigned(priors, objects=(), ignored=(), **kwargs):
    """1 for the first object and so on, 0 for background, -1 for neither."""
    assigner = TASK_UTILS.build(dict(type='IgnoringAssigner', **THRESHOLDS, **kwargs))
    boxes = [torch.tensor(b, dtype=torch.float32).reshape(-1, 4) for b in (objects, ignored)]
    gt = InstanceData(bboxes=boxes[0], labels=torch.zeros(len(boxes[0]), dtype=torch.long))
    priors = InstanceData(priors=torch.tensor(priors))
    return assigner.assign(priors, gt, InstanceData(bboxes=boxes[1])).gt_inds.tolist()


def share_inside(box, region):
    """Count of the pixels of a box that lie in a region, by area; whole numbers."""
    grid = np.zeros((400, 400), bool)
    x0, y0, x1, y1 = map(int, region)
    grid[y0:y1, x0:x1] = True
    x0, y0, x1, y1 = map(int, box)
    return grid[y0:y1, x0:x1].mean()


@pytest.mark.parametrize('objects', [(), [[0.0, 0.0, 40.0, 40.0]]])
def test_what_lies_in_a_region_is_not_background(objects):
    """Also in an image without objects."""
    rng = np.random.default_rng(0)
    corners = rng.integers([60, 0], [150, 50], (200, 2))
    priors = np.hstack([corners, corners + rng.integers(4, 50, (200, 2))]).astype(np.float32)
    found = assigned(priors, objects, REGION)
    expected = [-1 if share_inside(box, REGION[0]) > 0.5 else 0 for box in priors]
    assert 20 < expected.count(-1) < 180
    if objects:  # between the thresholds is mmdet's own -1
        plain = assigned(priors, objects)
        expected = [p if p else e for p, e in zip(plain, expected, strict=True)]
    assert found == expected


def test_objects_in_a_region_keep_their_boxes():
    inside = [[105.0, 5.0, 135.0, 35.0]]
    assert assigned(inside + [[110.0, 0.0, 118.0, 8.0]], inside, REGION) == [1, -1]


@pytest.mark.parametrize('side, found', [(0, [0, 0]), (8, [-1, 0])])
def test_tiny_regions_count_as_large_as_an_anchor(side, found):
    """Two anchors of 8 px, one around the region, one beside it."""
    anchors = [[96.0, 48.0, 104.0, 56.0], [104.0, 48.0, 112.0, 56.0]]
    tiny = [[99.0, 50.0, 101.0, 53.0]]
    assert assigned(anchors, ignored=tiny, min_ignored_side=side) == found


def test_share_is_checked():
    with pytest.raises(InputError, match='ignore_iof_thr'):
        assigned([[0.0, 0, 1, 1]], ignore_iof_thr=-1)
