"""Masks of boxes as masks of an image."""

import torch
from torch import Tensor

from pandepth_mm.mmcv_ops import count_up


def paste_masks(masks: Tensor, boxes: Tensor, size: tuple[int, int], threshold: float) -> Tensor:
    """Sample masks at the pixels of an image and compare them with a threshold.

    As mmdet's ``FCNMaskHead`` does it: bilinear, cell j of n covers [j / n, (j + 1) / n] of the
    box, and the probability falls to 0 within one cell at its border. Here it is a product of
    matrices, rows times mask times columns, whose weights are made for all boxes at once. The
    fusion's ``paste_mask`` is another function: of logits, whose outermost values hold there.

    Args:
        masks: Probabilities, float (N, h, w).
        boxes: (N, 4), x0, y0, x1, y1 in pixels, where pixel i spans [i, i + 1].
        size: (height, width) of the image.
        threshold: Above 0.

    Returns:
        bool (N, height, width): whether the probability is at least the threshold.
    """
    pasted = torch.zeros(len(masks), *size, dtype=torch.bool, device=masks.device)
    columns, left = _weights(boxes[:, 0::2], size[1], masks.shape[2])
    rows, top = _weights(boxes[:, 1::2], size[0], masks.shape[1])
    for image, mask, x, y, x0, y0 in zip(pasted, masks, columns, rows, left, top, strict=True):
        image[y0 : y0 + len(y), x0 : x0 + len(x)] = y @ mask @ x.T >= threshold
    return pasted


def _weights(sides: Tensor, size: int, cells: int) -> tuple[tuple[Tensor, ...], list[int]]:
    """Weights of the cells of each mask along one axis.

    Args:
        sides: Where the boxes begin and end, (N, 2), pixels.
        size: Pixels of the image.
        cells: Cells of a mask.

    Returns:
        Of each box the weights, (pixels, cells), and its first pixel. The pixels are all whose
        center a cell reaches, and perhaps one more at each end.
    """
    start, end = sides.unbind(1)
    reach = (end - start) / (2 * cells)  # beyond the border
    first = (start - reach).floor().nan_to_num(0).clamp(0, size).long()
    last = (end + reach).ceil().nan_to_num(0).clamp(0, size).long()
    count = (last - first).clamp(min=0)
    box, along = count_up(count)
    place = (first[box] + along + 0.5 - start[box]) / (end - start)[box] * cells - 0.5
    distance = place[:, None] - torch.arange(cells, device=sides.device)
    weights = (1 - distance.abs()).clamp(min=0)
    return weights.split(count.tolist()), first.tolist()
