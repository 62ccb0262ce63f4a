"""Maps and their cells of pixels: the greatest value, sums, one channel for each pixel, and back.

As torch's ``max_pool2d``, ``conv2d``, ``pixel_unshuffle`` and ``pixel_shuffle``. Those go from
number to number on a CPU where channels are few, which takes two to twenty times as long.
"""

import torch
from torch import Tensor
from torch.nn import functional as F


def max_2x2(x: Tensor) -> Tensor:
    """The greatest value of each cell of 2x2 pixels, (..., H, W) to (..., H / 2, W / 2)."""
    rows = torch.maximum(x[..., ::2, :], x[..., 1::2, :])
    return torch.maximum(rows[..., ::2], rows[..., 1::2])


def max_3x3(x: Tensor) -> Tensor:
    """The greatest of each pixel and its neighbors within the image, (B, C, H, W)."""
    x = F.pad(x, (1, 1, 1, 1), mode='replicate')
    rows = torch.maximum(torch.maximum(x[..., :-2, :], x[..., 1:-1, :]), x[..., 2:, :])
    return torch.maximum(torch.maximum(rows[..., :-2], rows[..., 1:-1]), rows[..., 2:])


def sum_3x3(padded: Tensor) -> Tensor:
    """Sum of each pixel and its neighbors, 1/2 of those beside it, 1/4 of those at its corners.

    Args:
        padded: (B, C, H + 2, W + 2).

    Returns:
        (B, C, H, W).
    """
    rows = (padded[..., :-2, :] + padded[..., 2:, :]) / 2 + padded[..., 1:-1, :]
    return (rows[..., :-2] + rows[..., 2:]) / 2 + rows[..., 1:-1]


def split_cells(x: Tensor, side: int) -> Tensor:
    """Cells of (side x side) pixels to channels, (B, C, H, W) to (B, C * side^2, H / side, ...)."""
    steps = range(side)
    pixels = [x[..., row::side, column::side] for row in steps for column in steps]
    return torch.stack(pixels, dim=2).flatten(1, 2)


def join_cells(x: Tensor) -> Tensor:
    """Channels to cells of 2x2 pixels, (B, 4 * C, h, w) to (B, C, 2 * h, 2 * w)."""
    left, right = x.unflatten(1, (-1, 2, 2)).unbind(3)
    upper, lower = torch.stack([left, right], dim=-1).flatten(-2).unbind(2)
    return torch.stack([upper, lower], dim=-2).flatten(-3, -2)
