"""Small corrections of dense depth at what was measured."""

import torch
from torch import Tensor
from torch.nn import functional as F

_SIGMA = 2.5  # pixels: how far a correction reaches
_RADIUS = 8  # pixels, of the window
_MAX_CHANGE = 0.03  # of the logarithm: a greater difference is taken for a wrong measurement
_PRIOR = 0.05  # measurements that say that nothing has to change


def anchor_depth(depth: Tensor, sparse_depth: Tensor) -> Tensor:
    """Draw dense depth to the measurements around each pixel.

    The factor of a pixel is the mean, in the logarithm, of those that the measurements around it
    need, weighted by a Gaussian of their distance in the image. A network that reads measurements
    on a coarse grid does not know where in a cell they lie, and on a road 20 m ahead half a cell is
    half a percent of the depth. A measurement that needs more than 3 % is left out: it may be one
    of a surface that the camera does not see.

    Args:
        depth: (1, H, W), meters, > 0.
        sparse_depth: (1, H, W), meters, 0 = no measurement.

    Returns:
        (1, H, W), meters.

    Source: own; the mean is a normalized convolution (Knutsson and Westin, 1993).
    """
    measured = sparse_depth > 0
    change = torch.where(measured, sparse_depth, depth).log() - depth.log()
    used = measured & (change.abs() < _MAX_CHANGE)
    maps = torch.cat([torch.where(used, change, 0.0), used.to(depth.dtype)])[:, None]
    steps = torch.arange(-_RADIUS, _RADIUS + 1, device=depth.device, dtype=depth.dtype)
    kernel = (-0.5 * (steps / _SIGMA).square()).exp()
    maps = F.conv2d(maps, kernel[None, None, None], padding=(0, _RADIUS))
    changes, weight = F.conv2d(maps, kernel[None, None, :, None], padding=(_RADIUS, 0))
    return depth * (changes / (weight + _PRIOR)).exp()
