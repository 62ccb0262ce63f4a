"""Depth between measurements, by planes."""

import cv2
import numpy as np


def interpolate_planes(depth: np.ndarray) -> np.ndarray:
    """Lay planes through the Delaunay triangles of the measurements.

    The inverse depth of a plane is linear in the pixel coordinates, so linear inverse depth inside
    each triangle restores planes exactly.

    The numbers are those of SciPy's ``LinearNDInterpolator`` on 1 / depth, except where four
    measurements lie on one circle: both diagonals between them make Delaunay triangles, and the two
    libraries may differ in their choice. SciPy looks for the triangle of each pixel; here each
    triangle lists its pixels, which is faster.

    Args:
        depth: float (H, W), meters, 0 = no measurement.

    Returns:
        float32 (H, W), meters, the measurements unchanged; 0 outside their hull, and everywhere
        between them if all lie on one line.
    """
    measured = depth > 0
    if measured.all():
        return depth.astype(np.float32)
    filled = np.zeros(depth.shape, np.float32)
    corners = _triangles(measured)
    (x0, y0), (x1, y1), (x2, y2) = corners.transpose(1, 2, 0)
    v0, v1, v2 = 1 / depth[corners[..., 1], corners[..., 0]].astype(np.float64).T
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    slope_x = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) / area
    slope_y = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) / area

    triangle, y, left, width = _runs(corners)
    slope = slope_x[triangle]
    first = v0[triangle] + (y - y0[triangle]) * slope_y[triangle] + (left - x0[triangle]) * slope
    along = _count_up(width)
    pixels = np.repeat(y * depth.shape[1] + left, width) + along
    filled.ravel()[pixels] = 1 / (np.repeat(first, width) + along * np.repeat(slope, width))
    return np.where(measured, depth, filled).astype(np.float32)


def _triangles(measured: np.ndarray) -> np.ndarray:
    """Triangulate the pixels of a mask (Delaunay).

    Args:
        measured: bool (H, W).

    Returns:
        int32 (T, 3, 2), x and y of the corners, from top to bottom; none has area 0. T = 0 if all
        pixels lie on one line.
    """
    columns, rows = np.nonzero(measured.T)  # by columns: half the time of by rows
    # OpenCV starts with one triangle around all, whose corners lie at three times this size. So far
    # away they bend no border of the hull: the largest circle through three pixels is smaller.
    size = 1 << 28
    subdivision = cv2.Subdiv2D((0, 0, size, size))
    subdivision.insert(np.stack([columns, rows], axis=1).astype(np.float32))
    corners = np.reshape(subdivision.getTriangleList(), (-1, 3, 2)).astype(np.int32)
    order = np.argsort(corners[..., 1], axis=1)
    return np.take_along_axis(corners, order[..., None], axis=1)


def _runs(corners: np.ndarray) -> tuple[np.ndarray, ...]:
    """List the pixels of triangles as runs along the rows.

    In whole numbers, borders included: no pixel falls between two triangles.

    Args:
        corners: int (T, 3, 2), x and y, from top to bottom.

    Returns:
        Four int (N,), one entry per triangle and row: the triangle's index, y, the first x, and how
        many pixels follow it, itself included; 0 if the row passes between two pixels.
    """
    height = corners[:, 2, 1] - corners[:, 0, 1] + 1
    triangle = np.repeat(np.arange(len(corners)), height)
    (x0, y0), (x1, y1), (x2, y2) = corners[triangle].transpose(1, 2, 0)
    y = y0 + _count_up(height)
    # each row meets the long side, 0 to 2, and one of the short ones
    upper = (y <= y1) & (y0 < y1)
    rise = np.where(upper, y1 - y0, np.maximum(y2 - y1, 1))
    run = np.where(upper, x1 - x0, x2 - x1)
    sides = ((x0 * (y2 - y0) + (x2 - x0) * (y - y0), y2 - y0), (x1 * rise + run * (y - y1), rise))
    left = np.minimum(*(-(-x // scale) for x, scale in sides))
    right = np.maximum(*(x // scale for x, scale in sides))
    return triangle, y, left, np.maximum(right - left + 1, 0)


def _count_up(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... n - 1 for each n of (N,), one after the other."""
    starts = np.cumsum(counts, dtype=np.int32) - counts
    return np.arange(counts.sum(), dtype=np.int32) - np.repeat(starts, counts)
