"""Panoptic fusion of EfficientPS, as functions on tensors."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.structures.panoptic_ids import INSTANCE_OFFSET


def best_classes(logits: Tensor) -> tuple[Tensor, Tensor]:
    """The greatest logit of each pixel and its class, as ``logits.max(dim=0)``.

    torch's own search over the first dimension takes several times as long on a CPU.

    Args:
        logits: (C, H, W), C > 0.

    Returns:
        The logit, (H, W), and the class, long (H, W); of equal ones the first.
    """
    best = logits.amax(dim=0)
    # the first class ranks highest; small numbers are searched faster
    dtype = torch.uint8 if len(logits) < 256 else torch.int16
    ranks = torch.arange(len(logits), 0, -1, dtype=dtype, device=logits.device)
    rank = ((logits == best) * ranks[:, None, None]).amax(dim=0)
    return best, len(logits) - rank.clamp(min=1).long()


def box_region(box: list[float], height: int, width: int) -> tuple[slice, slice]:
    """Pixels of an image whose centers lie in a box.

    Args:
        box: x0, y0, x1, y1 in pixels, where pixel i spans [i, i + 1], as in mmdet. The center of
            pixel i is at i + 0.5.
        height: Height of the image.
        width: Width of the image.

    Returns:
        Row and column slices; empty for a box off the image, one that falls between pixel centers,
        and one that is not finite.
    """
    if not all(math.isfinite(side) for side in box):
        return slice(0, 0), slice(0, 0)
    x0, y0, x1, y1 = (math.ceil(side - 0.5) for side in box)
    top, left = max(y0, 0), max(x0, 0)
    return (slice(top, max(min(y1, height), top)), slice(left, max(min(x1, width), left)))


def paste_mask(mask: Tensor, box: list[float], region: tuple[slice, slice]) -> Tensor:
    """Sample an instance's mask at the pixels of its box.

    Bilinear, with the grid of RoIAlign and mmdet's pasting: cell j of n covers [j / n, (j + 1) / n]
    of the box. Beyond the outermost cell centers the outermost values hold, so that no logit is
    blended with a zero.

    Args:
        mask: Logits, (h, w).
        box: x0, y0, x1, y1, pixels.
        region: From :func:`box_region`, not empty.

    Returns:
        (rows of region, columns of region).
    """
    x0, y0, x1, y1 = box
    rows, cols = region
    y = torch.arange(rows.start, rows.stop, dtype=mask.dtype, device=mask.device)
    x = torch.arange(cols.start, cols.stop, dtype=mask.dtype, device=mask.device)
    y = (y + 0.5 - y0) / (y1 - y0) * 2 - 1
    x = (x + 0.5 - x0) / (x1 - x0) * 2 - 1
    grid_y, grid_x = torch.meshgrid(y, x, indexing='ij')
    return F.grid_sample(
        mask[None, None],
        torch.stack([grid_x, grid_y], dim=-1)[None],
        mode='bilinear',
        padding_mode='border',
        align_corners=False,
    )[0, 0]


@torch.no_grad()
def fuse_panoptic(
    sem_logits: Tensor,
    bboxes: Tensor,
    scores: Tensor,
    labels: Tensor,
    mask_logits: Tensor,
    num_things: int,
    score_thr: float = 0.5,
    overlap_thr: float = 0.5,
    stuff_area_limit: float = 0,
    sem_labels: Tensor | None = None,
) -> Tensor:
    """Fuse semantic logits and instances into one panoptic map.

    Mohan and Valada (2021), section 3.4; PanDepth section 3.1. Instances are taken by falling score
    (equal scores in their given order). An instance is dropped if its score is below ``score_thr``,
    it has no pixel, its mask is empty, or more than ``overlap_thr`` of its mask lies under the
    masks kept before. Each other one, with mask logits a and semantic logits b of its class, has
    inside its box

        FL = (sigmoid(a) + sigmoid(b)) * (a + b)

    and outside it minus infinity. FL competes with the logits of the stuff classes and the FL of
    the other instances; on a tie stuff goes first, then the higher score. Pixels that no instance
    wins get the semantic prediction over all classes: its stuff class, or void where it is a thing
    class. Stuff classes that cover less than ``stuff_area_limit`` in all become void.

    Args:
        sem_logits: (C, H, W), things first.
        bboxes: Where the masks lie, (N, 4), x0, y0, x1, y1, pixels of the same grid.
        scores: (N,).
        labels: Long (N,), 0 .. num_things - 1.
        mask_logits: (N, h, w), any size, the masks within their boxes, before the sigmoid.
        num_things: Number of thing classes.
        score_thr: Lowest score.
        overlap_thr: Largest part of a mask that may lie under others.
        stuff_area_limit: Smallest area of a stuff class, pixels.
        sem_labels: Class of the greatest logit of each pixel, long (H, W), where it is known
            already.

    Returns:
        Long (H, W): label + 1000 * k for the instances, k >= 1; the label for stuff; C for void.

    Raises:
        ValueError: The numbers of boxes, scores, labels and masks differ, or a label is not a
            thing.
    """
    if sem_logits.dtype in (torch.float16, torch.bfloat16):
        sem_logits = sem_logits.float()
    num_classes, height, width = sem_logits.shape
    if not len(bboxes) == len(scores) == len(labels) == len(mask_logits):
        raise ValueError(
            'instances do not fit together: '
            f'{len(bboxes)} boxes, {len(scores)} scores, {len(labels)} '
            f'labels, {len(mask_logits)} masks'
        )
    if len(labels) and not (0 <= labels.min() and labels.max() < num_things):
        raise ValueError(
            'labels of instances must be things, 0 to '
            f'{num_things - 1}, got {labels.unique().tolist()}'
        )

    stuff = sem_logits[num_things:]
    if len(stuff):
        best = stuff.amax(dim=0)
    else:
        best = sem_logits.new_full((height, width), -torch.inf)
    panoptic = best_classes(sem_logits)[1] if sem_labels is None else sem_labels
    panoptic = torch.where(panoptic < num_things, num_classes, panoptic)
    owner = torch.zeros_like(panoptic)
    occupied = torch.zeros_like(best, dtype=torch.bool)
    count = 0
    boxes, classes = bboxes.tolist(), labels.tolist()
    order = torch.sort(scores, descending=True, stable=True)[1]
    for i in order[scores[order] >= score_thr].tolist():
        region = box_region(boxes[i], height, width)
        if owner[region].numel() == 0:
            continue
        a = paste_mask(mask_logits[i].to(sem_logits), boxes[i], region)
        mask = a > 0
        area = int(mask.sum())
        if area == 0 or int((mask & occupied[region]).sum()) / area > overlap_thr:
            continue
        occupied[region] |= mask
        b = sem_logits[classes[i]][region]
        fused = (a.sigmoid() + b.sigmoid()) * (a + b)
        # a running maximum, so that no stack of full-size maps is held
        wins = fused > best[region]
        count += 1
        best[region] = torch.where(wins, fused, best[region])
        owner[region].masked_fill_(wins, classes[i] + INSTANCE_OFFSET * count)

    panoptic[owner > 0] = num_classes
    area = torch.bincount(panoptic.flatten(), minlength=num_classes + 1)
    kept = torch.arange(num_classes + 1, device=area.device)
    kept[area < stuff_area_limit] = num_classes
    return torch.where(owner > 0, owner, kept[panoptic])
