"""Small corrections of dense depth at what was measured."""

import cv2
import numpy as np

from pandepth_mm.geometry.planes import interpolate_planes

_SIGMA = 2.5  # pixels: how far a correction reaches
_RADIUS = 8  # pixels, of the window
_MAX_CHANGE = 0.03  # of the logarithm: a greater difference is taken for a wrong measurement
_PRIOR = 0.05  # measurements that say that nothing has to change
_PLANE_SCALE = 0.02  # of the logarithm: at this difference a plane's share is one half


def anchor_depth(depth: np.ndarray, sparse_depth: np.ndarray) -> np.ndarray:
    """Draw dense depth to the measurements around each pixel.

    A network that reads measurements on a coarse grid does not know where in a cell they lie, and
    on a road 20 m ahead half a cell is half a percent of the depth. Two steps, both in the
    logarithm:

    1. The factor of a pixel is the mean of those that the measurements around it need, weighted by
       a Gaussian of their distance in the image. A measurement that needs more than 3 % is left
       out: it may be one of a surface that the camera does not see.
    2. Between measurements of one surface a plane through them is better than what a network
       predicts, between those of two it means nothing. So the depth d goes to that of the plane, p
       (:func:`interpolate_planes`), by the share 1 / (1 + (log(p / d) / 2 %)^2).

    Args:
        depth: float32 (H, W), meters, > 0.
        sparse_depth: float32 (H, W), meters, 0 = no measurement.

    Returns:
        float32 (H, W), meters.

    Source: own; the mean is a normalized convolution (Knutsson and Westin, 1993), the share that of
    a Cauchy weight in robust regression.
    """
    measured = sparse_depth > 0
    if not measured.any():
        return depth
    log_depth = np.log(depth)
    change = np.zeros_like(depth)
    change[measured] = np.log(sparse_depth[measured]) - log_depth[measured]
    used = measured & (np.abs(change) < _MAX_CHANGE)
    change[~used] = 0
    log_depth += _around(change) / (_around(used.astype(depth.dtype)) + _PRIOR)

    planes = interpolate_planes(sparse_depth)
    between = planes > 0
    change = np.log(np.where(between, planes, 1)) - log_depth
    change /= 1 + (change / _PLANE_SCALE) ** 2
    log_depth += np.where(between, change, 0)
    return np.exp(log_depth)


def _around(values: np.ndarray) -> np.ndarray:
    """Sum of the values around each pixel, float32 (H, W), weighted by a Gaussian."""
    steps = np.arange(-_RADIUS, _RADIUS + 1)
    kernel = np.exp(-0.5 * (steps / _SIGMA) ** 2).astype(values.dtype)
    return cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
