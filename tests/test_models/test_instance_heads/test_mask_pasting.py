"""Pasting against mmdet's, which samples one grid per box."""

import pytest
import torch
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask

from pandepth_mm.models.instance_heads.mask_pasting import paste_masks

SIZE = (60, 90)


def expected(masks, boxes, threshold):
    pasted, _ = _do_paste_mask(masks[:, None], boxes, *SIZE, skip_empty=False)
    return pasted >= threshold


def some(number, shape=(28, 28), seed=0):
    torch.manual_seed(seed)
    corners = torch.rand(number, 2) * torch.tensor([110.0, 80.0]) - 10
    boxes = torch.cat([corners, corners + 50 * torch.rand(number, 2) ** 2 + 0.1], dim=1)
    return torch.rand(number, *shape), boxes


@pytest.mark.parametrize('shape', [(28, 28), (7, 5), (1, 1)])
@pytest.mark.parametrize('threshold', [0.5, 0.05])
def test_as_mmdet(shape, threshold):
    masks, boxes = some(40, shape)
    found = paste_masks(masks, boxes, SIZE, threshold)
    wanted = expected(masks, boxes, threshold)
    assert wanted.any() and found.dtype == torch.bool
    assert (found != wanted).sum() <= 1  # a probability at the threshold, up to rounding


def test_boxes_off_the_image_and_without_area():
    masks = torch.ones(5, 4, 4)
    boxes = torch.tensor(
        [
            [-50.0, -50, -20, -20],
            [200, 100, 300, 200],
            [10, 10, 10, 30],
            [-90, -60, 180, 120],
            [torch.nan, 0, torch.inf, 5],
        ]
    )
    found = paste_masks(masks, boxes, SIZE, 0.5)
    assert found.flatten(1).sum(dim=1).tolist() == [0, 0, 0, 90 * 60, 0]


def test_without_boxes():
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), SIZE, 0.5).shape == (0, *SIZE)
