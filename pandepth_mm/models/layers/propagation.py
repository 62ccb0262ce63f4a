"""Spreading of depth along what a network holds for one surface."""

import torch
from torch import Tensor
from torch.nn import functional as F

# cells of a 3x3 neighborhood
NUM_NEIGHBORS = 9


def neighborhood(x: Tensor) -> Tensor:
    """The 3x3 neighbors of every cell, row by row; the border's are repeated.

    Args:
        x: (B, 1, H, W).

    Returns:
        (B, 9, H, W).
    """
    height, width = x.shape[-2:]
    padded = F.pad(x, (1, 1, 1, 1), mode='replicate')
    shifted = [padded[..., i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return torch.cat(shifted, dim=1)


def propagate(
    values: Tensor, affinity: Tensor, anchors: Tensor, trust: Tensor, steps: int
) -> Tensor:
    """Replace each cell by a mean of its neighbors and draw it to its measurement, several times.

    Spatial propagation (CSPN, Cheng et al. 2018, with the confidence of CSPN++, 2020): what one
    cell was measured reaches all cells that the affinities connect with it.

    Args:
        values: (B, 1, H, W).
        affinity: Weights of the 3x3 neighbors, (B, 9, H, W), of sum 1.
        anchors: Measurements, (B, 1, H, W); any value where there is none.
        trust: How far a cell is drawn to its anchor, 0 to 1; 0 where there is none.
        steps: Number of repetitions.
    """
    for _ in range(steps):
        values = (affinity * neighborhood(values)).sum(dim=1, keepdim=True)
        values = torch.lerp(values, anchors, trust)
    return values
