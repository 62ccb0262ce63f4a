"""Points in the image of a lens with distortion."""

from collections.abc import Sequence

import cv2
import numpy as np

from pandepth_mm.geometry.camera import project

COEFFICIENTS = (4, 5, 8, 12, 14)  # numbers that OpenCV takes


def project_distorted(
    points: np.ndarray, cam2img: np.ndarray, distortion: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Project points into an image that is not rectified, by OpenCV's model of a lens.

    Args:
        points: (N, 3), meters, camera frame.
        cam2img: (3, 3), pixels; OpenCV knows no skew.
        distortion: 4, 5, 8, 12 or 14 coefficients in OpenCV's order: k1, k2, p1, p2, k3, ...

    Returns:
        tuple: pixel coordinates (u, v) float64 (N, 2), NaN for points that are not in front of the
        camera, or farther from the axis than the model holds; and depth float64 (N,), meters.
    """
    uv, depth = project(points, cam2img)
    with np.errstate(divide='ignore', invalid='ignore'):
        radius = np.hypot(*np.asarray(points, dtype=np.float64)[:, :2].T) / depth
    seen = (depth > 0) & (radius < turning_radius(distortion))
    uv[~seen] = np.nan
    if seen.any():
        zero, ahead = np.zeros(3), np.asarray(points, dtype=np.float64)[seen]
        coefficients = np.asarray(distortion, dtype=np.float64)
        uv[seen] = cv2.projectPoints(ahead, zero, zero, cam2img, coefficients)[0][:, 0]
    return uv, depth


def turning_radius(distortion: Sequence[float]) -> float:
    """Where a lens model turns round, and would lead points back into the image.

    A model is fitted to what the image shows. Its polynomial says nothing about points outside.

    Args:
        distortion: As in :func:`project_distorted`.

    Returns:
        Distance from the axis at depth 1, at most 10; infinity where it never turns.
    """
    k1, k2, _, _, k3, k4, k5, k6 = [*distortion, 0, 0, 0, 0][:8]
    radius = np.linspace(0, 10, 10_001)
    square = radius**2
    with np.errstate(divide='ignore', invalid='ignore'):
        image = radius * (1 + square * (k1 + square * (k2 + square * k3)))
        image /= 1 + square * (k4 + square * (k5 + square * k6))
    turns = ~(np.diff(image) > 0)
    return float(radius[turns.argmax()]) if turns.any() else np.inf
