"""Corrections of dense depth at what was measured."""

import math

import cv2
import numpy as np

from pandepth_mm.geometry.planes import interpolate_planes

_SIGMA = 2.5  # pixels: how far a correction reaches
_MAX_CHANGE = 0.03  # of the logarithm: a greater difference is taken for a wrong measurement
_PRIOR = 0.05  # measurements that say that nothing has to change
_PLANE_SCALE = 0.02  # of the logarithm: at this difference a plane's share is one half

_VOTERS_SIGMA = 4.0  # pixels: how far away a measurement has a vote about the depth
_CONTRADICTS = 0.1  # of the logarithm
_VOTERS_PRIOR = 1.0  # votes for the depth
_VOTES = (0.25, 0.75)  # shares of contradicting votes at which a plane begins and has won


def anchor_depth(depth: np.ndarray, sparse_depth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw dense depth to the measurements around each pixel.

    A network that reads measurements on a coarse grid does not know where in a cell they lie, and
    on a road 20 m ahead half a cell is half a percent of the depth. And it may be wrong where
    measurements are plain. Three steps, the first two in the logarithm:

    1. The factor of a pixel is the mean of those that the measurements around it need, weighted by
       a Gaussian of their distance in the image. A measurement that needs more than 3 % is left
       out: it may be one of a surface that the camera does not see.
    2. Between measurements of one surface a plane through them is better than what a network
       predicts, between those of two it means nothing. So the depth d goes to that of the plane, p
       (:func:`interpolate_planes`), by the share 1 / (1 + (log(p / d) / 2 %)^2).
    3. One measurement that differs by more than 10 % may be of a surface that the camera does not
       see. Where most of those around do, they are right, or the camera sees that surface too. So
       the depth goes to that of the plane by a share that rises from 0 to 1 while that of the
       contradicting measurements, weighted by a Gaussian, rises from 1/4 to 3/4.

    Args:
        depth: float32 (H, W), meters, > 0.
        sparse_depth: float32 (H, W), meters, 0 = no measurement.

    Returns:
        The depth, float32 (H, W), meters; and by how much the last step changed it, float32 (H, W),
        meters: there, measurements and prediction are at odds.

    Source: own; the mean is a normalized convolution (Knutsson and Westin, 1993), the share of the
    second step that of a Cauchy weight in robust regression.
    """
    measured = sparse_depth > 0
    if not measured.any():
        return depth, np.zeros_like(depth)
    log_depth = np.log(depth)
    change = np.zeros_like(depth)
    change[measured] = np.log(sparse_depth[measured]) - log_depth[measured]
    difference = np.abs(change)
    against = difference > _CONTRADICTS
    used = measured & (difference < _MAX_CHANGE)
    change[~used] = 0
    log_depth += _around(change, _SIGMA) / (_around(used, _SIGMA) + _PRIOR)

    planes = interpolate_planes(sparse_depth)
    between = planes > 0
    change = np.log(np.where(between, planes, 1)) - log_depth
    change /= 1 + (change / _PLANE_SCALE) ** 2
    log_depth += np.where(between, change, 0)
    anchored = np.exp(log_depth)

    votes = _around(against, _VOTERS_SIGMA) / (_around(measured, _VOTERS_SIGMA) + _VOTERS_PRIOR)
    share = ((votes - _VOTES[0]) / (_VOTES[1] - _VOTES[0])).clip(0, 1) * between
    change = share * (planes - anchored)
    return anchored + change, np.abs(change)


def _around(values: np.ndarray, sigma: float) -> np.ndarray:
    """Sum of the values around each pixel, weighted by a Gaussian.

    Args:
        values: (H, W), float32 or bool.
        sigma: Of the Gaussian, pixels.

    Returns:
        float32 (H, W).
    """
    radius = math.ceil(3 * sigma)
    steps = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (steps / sigma) ** 2).astype(np.float32)
    values = values.astype(np.float32, copy=False)
    return cv2.sepFilter2D(values, -1, kernel, kernel, borderType=cv2.BORDER_CONSTANT)
