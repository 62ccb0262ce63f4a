"""Depth between measurements, by planes."""

import cv2
import numpy as np

# of a column that a side crosses; a side of whole pixels that does not cross one there is much
# farther from it: by one over its height
_ROUNDING = 1e-6
_STRIP = 16  # pixels


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
    y, x = np.divmod(corners, depth.shape[1])
    (x0, x1, x2), (y0, y1, y2) = x, y
    v0, v1, v2 = 1 / depth.ravel()[corners].astype(np.float64)
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    slope_x = ((v1 - v0) * (y2 - y0) - (v2 - v0) * (y1 - y0)) / area
    slope_y = ((v2 - v0) * (x1 - x0) - (v1 - v0) * (x2 - x0)) / area

    triangle, row, left, width = _runs(x, y)
    slope = slope_x[triangle]
    first = v0[triangle] + (row - y0[triangle]) * slope_y[triangle] + (left - x0[triangle]) * slope
    run, along = _count_up(width)
    inverse = slope[run]
    inverse *= along
    inverse += first[run]
    filled.ravel()[(row * depth.shape[1] + left)[run] + along] = 1 / inverse
    np.copyto(filled, depth, where=measured)
    return filled


# Indices are of NumPy's own type for them: others take three times as long to look things up.


def _triangles(measured: np.ndarray) -> np.ndarray:
    """Triangulate the pixels of a mask (Delaunay).

    Args:
        measured: bool (H, W).

    Returns:
        int (3, T), the corners as positions in the flat mask, rising, so from top to bottom; no
        triangle has area 0. T = 0 if all pixels lie on one line.
    """
    # OpenCV finds the place of a point from that of the last one: go through the image in strips
    height, width = measured.shape
    padded = np.pad(measured, ((0, 0), (0, -width % _STRIP)))
    strips, rows, columns = np.nonzero(padded.reshape(height, -1, _STRIP).transpose(1, 0, 2))
    columns += strips * _STRIP
    # OpenCV starts with one triangle around all, whose corners lie at three times this size. So far
    # away they bend no border of the hull: the largest circle through three pixels is smaller.
    size = 1 << 28
    subdivision = cv2.Subdiv2D((0, 0, size, size))
    subdivision.insert(np.stack([columns, rows], axis=1).astype(np.float32))
    corners = np.reshape(subdivision.getTriangleList(), (-1, 3, 2)).astype(np.intp)
    places = corners[..., 1] * width + corners[..., 0]
    return np.ascontiguousarray(np.sort(places, axis=1).T)


def _runs(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    """List the pixels of triangles as runs along the rows.

    Borders included: no pixel falls between two triangles.

    Args:
        x: int (3, T), columns of the corners.
        y: int (3, T), their rows, from top to bottom.

    Returns:
        Four int (N,), one entry per triangle and row: the triangle's index, the row, the first
        column, and how many pixels follow it, itself included; 0 if the row passes between two
        pixels.
    """
    (x0, x1, x2), (y0, y1, y2) = x, y
    upper = y1 - y0
    triangle, below = _count_up(y2 - y0 + 1)
    # each row meets the long side, 0 to 2, and one of the short ones
    long = x0[triangle] + below * ((x2 - x0) / (y2 - y0))[triangle]
    past = below - upper[triangle]
    short = np.where(
        (past <= 0) & (upper > 0)[triangle],
        x0[triangle] + below * ((x1 - x0) / np.maximum(upper, 1))[triangle],
        x1[triangle] + past * ((x2 - x1) / np.maximum(y2 - y1, 1))[triangle],
    )
    left = np.ceil(np.minimum(long, short) - _ROUNDING).astype(np.intp)
    right = np.floor(np.maximum(long, short) + _ROUNDING).astype(np.intp)
    return triangle, y0[triangle] + below, left, np.maximum(right - left + 1, 0)


def _count_up(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """0, 1, ... n - 1 for each n of (N,), one after the other; first the index of n itself."""
    index = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return index, np.arange(len(index)) - starts[index]
