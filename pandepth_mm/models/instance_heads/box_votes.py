"""What every pixel votes for, and the instances that come of it."""

from typing import NamedTuple

import torch
from mmdet.structures.bbox import bbox_overlaps
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.models.layers.cells import max_3x3, sum_3x3

STRIDE = 2  # of the maps
_MASK_SIZE = 28
# the votes of large objects fall short: a mask reaches beyond its box, at each end by this share of
# the pixels that a side has beyond the first ones
_MASK_MARGIN, _SMALL_SIDE = 0.125, 32
_SHARPNESS = 8.0  # mask logit per IoU
_VOTES_SIZE = 14  # of the grid of a box whose votes are counted
_ROUNDS = 3  # of counting
_FULL_VOTE = 0.5  # the mask logit from which on a vote counts in full
_REPEAT_IOU = 0.6  # of two boxes that mean one instance
_OVERLAP_SCALE = 0.5  # of the square of two boxes' IoU, by which the worse one's score falls


class BoxVotes(NamedTuple):
    """What the head predicts at stride 2.

    Attributes:
        centers: Logits of "an instance of this class has its center here", (B, num_things, h, w).
        sides: Distances to the sides of the pixel's instance: left, top, right, bottom, (B, 4, h,
            w), pixels of the input, > 0.
        things: Logits of "a pixel of a thing", (B, 1, h, w).
    """

    centers: Tensor
    sides: Tensor
    things: Tensor


def decode_boxes(sides: Tensor) -> Tensor:
    """Boxes that pixels vote for.

    Args:
        sides: Distances (B, 4, h, w) to the left, top, right, bottom, pixels.

    Returns:
        (B, 4, h, w): x0, y0, x1, y1, pixels of the input.
    """
    height, width = sides.shape[-2:]
    x = (torch.arange(width, device=sides.device, dtype=sides.dtype) + 0.5) * STRIDE
    y = (torch.arange(height, device=sides.device, dtype=sides.dtype) + 0.5)[:, None] * STRIDE
    left, top, right, bottom = sides.unbind(1)
    return torch.stack([x - left, y - top, x + right, y + bottom], dim=1)


def mask_boxes(boxes: Tensor) -> Tensor:
    """Where the masks of instances lie: their boxes, large ones up to a quarter larger.

    Args:
        boxes: (..., 4): x0, y0, x1, y1, pixels of the input.
    """
    margin = (boxes[..., 2:] - boxes[..., :2] - _SMALL_SIDE).clamp(min=0) * _MASK_MARGIN
    return boxes + torch.cat([-margin, margin], dim=-1)


def decode_instances(
    votes: BoxVotes, logits: Tensor | None, count: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Peaks with their boxes and masks, of fixed number, without a loop over them.

    Args:
        votes: Maps of a batch.
        logits: Semantic logits of the input's size, things first, (B, C, H, W); None where there
            are none. With them a score is the cube root of the peak's times the mean, in the mask,
            of the probability of its class times the IoU of the pixel's vote and the box. It is
            lower where a better instance overlaps it, see :func:`_uniqueness`.
        count: Number of peaks of the smoothed centers, the greatest.

    Returns:
        tuple: boxes (B, N, 4), scores (B, N), labels (B, N), mask logits (B, N, 28, 28) within
        :func:`mask_boxes`; by falling score.
    """
    # single cells are noisy
    scores = sum_3x3(F.pad(votes.centers.sigmoid(), (1, 1, 1, 1), mode='replicate')) / 4
    peaks = scores * (max_3x3(scores) == scores)
    batch, _, height, width = scores.shape
    count = min(count, peaks[0].numel())
    scores, index = peaks.flatten(1).topk(count)
    labels, place = index // (height * width), index % (height * width)
    voted = decode_boxes(votes.sides)
    boxes = voted.flatten(2).gather(2, place[:, None].expand(-1, 4, -1)).transpose(1, 2)
    sides = boxes.new_tensor([width, height, width, height]) * STRIDE
    boxes = boxes.clamp(min=0).minimum(sides)
    maps = torch.cat([voted, votes.things], dim=1)
    for _ in range(_ROUNDS):
        boxes = _median_votes(_sample_boxes(maps, boxes, _VOTES_SIZE), boxes)
        boxes = boxes.clamp(min=0).minimum(sides)
    if logits is not None:
        things = logits.float().softmax(dim=1)[:, : votes.centers.shape[1]]
        maps = torch.cat([maps, F.avg_pool2d(things, STRIDE)], dim=1)
    sampled = _sample_boxes(maps, mask_boxes(boxes), _MASK_SIZE)
    masks = _box_masks(sampled, boxes)
    if logits is not None:
        chosen = labels[:, None, :, None, None].expand(-1, 1, -1, *masks.shape[-2:])
        agreement = sampled[:, 5:].gather(1, chosen)[:, 0] * (masks / _SHARPNESS + 0.5)
        scores = (scores * _mean_in_mask(agreement, masks)) ** (1 / 3)
    scores, order = (scores * _uniqueness(boxes, scores, labels)).topk(count)
    return (
        boxes.gather(1, order[..., None].expand_as(boxes)),
        scores,
        labels.gather(1, order),
        masks.gather(1, order[..., None, None].expand_as(masks)),
    )


def _sample_boxes(maps: Tensor, boxes: Tensor, size: int) -> Tensor:
    """Maps on a grid of ``size`` x ``size`` within each box.

    Args:
        maps: (B, C, h, w), of stride 2.
        boxes: (B, N, 4), pixels of the input.
        size: Cells of a side.

    Returns:
        (B, C, N, size, size).
    """
    batch, count = boxes.shape[:2]
    height, width = maps.shape[-2:]
    step = (torch.arange(size, device=boxes.device, dtype=boxes.dtype) + 0.5) / size
    x = boxes[..., 0:1] + step * (boxes[..., 2:3] - boxes[..., 0:1])  # (B, N, size)
    y = boxes[..., 1:2] + step * (boxes[..., 3:4] - boxes[..., 1:2])
    grid = torch.stack(
        [
            (x / (width * STRIDE) * 2 - 1)[:, :, None].expand(-1, -1, size, -1),
            (y / (height * STRIDE) * 2 - 1)[..., None].expand(-1, -1, -1, size),
        ],
        dim=-1,
    ).flatten(1, 2)
    sampled = F.grid_sample(maps, grid, padding_mode='border', align_corners=False)
    return sampled.view(batch, -1, count, size, size)


def _box_masks(sampled: Tensor, boxes: Tensor) -> Tensor:
    """Mask logits (B, N, h, w): of a thing, and the own vote overlaps the box.

    Args:
        sampled: Votes and logits of things, (B, 5 or more, N, h, w).
        boxes: (B, N, 4), pixels.
    """
    own = boxes.transpose(1, 2)[..., None, None]
    near = torch.maximum(sampled[:, :2], own[:, :2])
    far = torch.minimum(sampled[:, 2:4], own[:, 2:])
    overlap = (far - near).clamp(min=0).prod(dim=1)
    area = (sampled[:, 2:4] - sampled[:, :2]).prod(dim=1) + (own[:, 2:] - own[:, :2]).prod(dim=1)
    iou = overlap / (area - overlap).clamp(min=1e-6)
    return torch.minimum(_SHARPNESS * (iou - 0.5), sampled[:, 4])


def _median_votes(sampled: Tensor, boxes: Tensor) -> Tensor:
    """Weighted median of each side's votes in an instance's mask; the box itself where it is empty.

    At the border of an object, and of what hides it, votes are wrong: a mean would follow them. The
    weights are the mask's logits up to a limit, so that the votes for a neighbor whose box overlaps
    by hardly more than a half count little.

    Args:
        sampled: As in :func:`_box_masks`.
        boxes: (B, N, 4), pixels.

    Returns:
        (B, N, 4), interpolated between the votes around the middle: small changes of the weights
        change it little.
    """
    weight = _box_masks(sampled, boxes).clamp(0.0, _FULL_VOTE).flatten(2)
    votes, order = sampled[:, :4].flatten(3).sort(dim=-1)
    weight = weight[:, None].expand_as(votes).gather(3, order)
    below = weight.cumsum(dim=-1)
    half = below[..., -1:] / 2
    below = below - weight / 2
    # between the last vote up to the half and the next one
    last = ((below <= half).sum(dim=-1, keepdim=True) - 1).clamp(min=0, max=votes.shape[-1] - 2)
    pair = torch.cat([last, last + 1], dim=-1)
    start, end = below.gather(3, pair).split(1, dim=-1)
    share = ((half - start) / (end - start).clamp(min=1e-6)).clamp(0.0, 1.0)
    first, second = votes.gather(3, pair).split(1, dim=-1)
    median = torch.lerp(first, second, share)
    own = boxes.transpose(1, 2)[..., None]
    return torch.where(half > 0, median, own)[..., 0].transpose(1, 2)


def _uniqueness(boxes: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
    """How sure it is that an instance is none of the better ones, (B, N), 0 to 1.

    A Gaussian of its greatest IoU with a better one of its class, and 0 from a limit on: those mean
    one instance. All pairs at once, so that a repeat of a repeat counts too.

    Args:
        boxes: (B, N, 4), pixels.
        scores: (B, N); of two equal ones the first is the better.
        labels: (B, N).

    Source: Soft-NMS (Bodla et al., 2017) for the Gaussian, Fast NMS (YOLACT, Bolya et al., 2019)
    for the pairs.
    """
    place = torch.arange(boxes.shape[1], device=boxes.device)
    first = (scores[:, None] == scores[:, :, None]) & (place < place[:, None])
    better = (scores[:, None] > scores[:, :, None]) | first
    same = labels[:, :, None] == labels[:, None]
    iou = (bbox_overlaps(boxes, boxes) * (better & same)).amax(dim=-1)
    return (iou.square() / -_OVERLAP_SCALE).exp() * (iou <= _REPEAT_IOU)


def _mean_in_mask(values: Tensor, masks: Tensor) -> Tensor:
    """Mean of a map within each instance's mask, (B, N), 0 in an empty one.

    Args:
        values: (B, N, h, w).
        masks: Logits, (B, N, h, w).
    """
    inside = (masks > 0).to(values.dtype)
    return (values * inside).sum(dim=(2, 3)) / inside.sum(dim=(2, 3)).clamp(min=1)
