"""What a depth map says about the scene, as input of other branches."""

import torch
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.models.layers.cells import split_cells

# meters by which heights and sideways distances are divided
_HEIGHT, _SIDE = 3.0, 20.0
# channels of `geometry_maps` beside the details
NUM_GEOMETRY = 6


def geometry_maps(depth: Tensor, cam2img: Tensor, stride: int) -> Tensor:
    """Points and slopes of a depth map, at a coarser grid.

    Args:
        depth: Dense depth, (B, 1, H, W), meters, > 0; 0 all over an image of which nothing is
            known; H and W multiples of ``stride``.
        cam2img: Intrinsics of this grid, (B, 3, 3), pixels.
        stride: Of the result.

    Returns:
        (B, stride ** 2 + 6, H / stride, W / stride), all scaled and bounded to a few units: log
        depth of every pixel relative to its cell's mean; of the cell, this mean, the inverse of its
        exponential z, the position at z sideways and downwards in the camera frame, and the change
        of -log z by the direction x / z to the right and y / z downwards, which tells walls from
        roads (over one cell at the border, where one neighbor is missing). 0 where nothing is
        known.
    """
    known = depth > 0
    log_depth = torch.where(known, depth, 1.0).log()
    mean = F.avg_pool2d(log_depth, stride)
    details = split_cells(log_depth, stride) - mean
    height, width = mean.shape[-2:]
    fx, fy, cx, cy = (
        cam2img[:, row, col].to(depth)[:, None, None, None]
        for row, col in ((0, 0), (1, 1), (0, 2), (1, 2))
    )
    center = (stride - 1) / 2
    u = torch.arange(width, device=depth.device, dtype=depth.dtype) * stride + center
    v = torch.arange(height, device=depth.device, dtype=depth.dtype) * stride + center
    z = mean.exp()
    x = (u - cx) / fx * z
    y = (v[:, None] - cy) / fy * z
    padded = F.pad(mean, (1, 1, 1, 1), mode='replicate')
    # over two cells, over one at the border
    steps_u, steps_v = torch.full_like(u, 2), torch.full_like(v, 2)
    steps_u[0] = steps_u[-1] = steps_v[0] = steps_v[-1] = 1
    slope_u = (padded[..., 1:-1, :-2] - padded[..., 1:-1, 2:]) * fx / (steps_u * stride)
    slope_v = (padded[..., :-2, 1:-1] - padded[..., 2:, 1:-1]) * fy / (steps_v[:, None] * stride)
    cells = [
        mean - 2.5,
        3 / z,
        (x / _SIDE).clamp(-3, 3),
        (y / _HEIGHT).clamp(-4, 2),
        (slope_u / 4).tanh(),
        (slope_v / 4).tanh(),
    ]
    maps = torch.cat([details.clamp(-1, 1) * 4, *cells], dim=1)
    return torch.where(known[..., :1, :1], maps, 0.0)
