"""Dense depth without a network: the baselines that a network has to beat."""

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

# 5 x 5 diamond: pixels at a city-block distance of at most 2.
_DIAMOND = np.uint8(
    [[0, 0, 1, 0, 0], [0, 1, 1, 1, 0], [1, 1, 1, 1, 1], [0, 1, 1, 1, 0], [0, 0, 1, 0, 0]]
)
_FULL_5 = np.ones((5, 5), np.uint8)
_FULL_7 = np.ones((7, 7), np.uint8)
_FULL_31 = np.ones((31, 31), np.uint8)


def nearest_fill(depth: np.ndarray) -> np.ndarray:
    """Give each pixel the depth of the nearest measured pixel.

    Args:
        depth: float (H, W), meters, 0 = no measurement.

    Returns:
        float32 (H, W), meters; dense. All zeros if nothing was measured.
    """
    depth = depth.astype(np.float32)
    empty = ~(depth > 0)
    if empty.all():
        return np.zeros_like(depth)
    rows, columns = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return depth[rows, columns]


def classical_fill(depth: np.ndarray) -> np.ndarray:
    """Fill by morphology, the algorithm called IP-Basic.

    Written from its description in Ku, Harakeh and Waslander, "In Defense of Classical Image
    Processing: Fast Depth Completion on the CPU", CRV 2018, section III. Depth is inverted, so that
    a dilation lets near surfaces cover far ones, then: diamond dilation, closing, 7x7 dilation into
    empty pixels, extension of each column to the top, 31x31 dilation into empty pixels, median and
    Gaussian blur.

    Two differences: the paper inverts as 100 m - depth, here the maximum of the input stands for
    the 100 m, which changes no step below and needs no range; and a pixel out of reach of the 31x31
    kernel takes the nearest value, so that every input gives a dense map.

    Args:
        depth: float (H, W), meters, 0 = no measurement.

    Returns:
        float32 (H, W), meters; dense, within the range of the measurements. All zeros if nothing
        was measured.
    """
    depth = depth.astype(np.float32)
    measured = depth > 0
    if not measured.any():
        return np.zeros_like(depth)
    near, far = depth[measured].min(), depth[measured].max()
    # 0 stays "empty": the farthest measurement becomes 1
    offset = far + 1
    inverse = np.where(measured, offset - depth, 0).astype(np.float32)

    inverse = cv2.dilate(inverse, _DIAMOND)
    inverse = cv2.morphologyEx(inverse, cv2.MORPH_CLOSE, _FULL_5)
    inverse = _dilate_into_empty(inverse, _FULL_7)
    inverse = _extend_to_top(inverse)
    inverse = _dilate_into_empty(inverse, _FULL_31)
    inverse = nearest_fill(inverse)
    inverse = cv2.medianBlur(inverse, 5)
    inverse = cv2.GaussianBlur(inverse, (5, 5), 0)
    return np.clip(offset - inverse, near, far)


def _dilate_into_empty(inverse: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Dilate, and keep the result only where the map was empty."""
    return np.where(inverse > 0, inverse, cv2.dilate(inverse, kernel))


def _extend_to_top(inverse: np.ndarray) -> np.ndarray:
    """Fill each column above its topmost value with that value."""
    top = np.argmax(inverse > 0, axis=0)
    value = inverse[top, np.arange(inverse.shape[1])]
    above = np.arange(inverse.shape[0])[:, None] < top
    return np.where(above, value, inverse)


def planar_fill(depth: np.ndarray) -> np.ndarray:
    """Lay planes through the Delaunay triangles of the measurements.

    The inverse depth of a plane is linear in the pixel coordinates, so linear inverse depth inside
    each triangle restores planes exactly. Outside the hull of the measurements each pixel takes the
    nearest one.

    The numbers are those of SciPy's ``LinearNDInterpolator`` on 1 / depth, except where four
    measurements lie on one circle: both diagonals between them make Delaunay triangles, and the two
    libraries may differ in their choice. SciPy looks for the triangle of each pixel; here each
    triangle lists its pixels, which is faster.

    Args:
        depth: float (H, W), meters, 0 = no measurement.

    Returns:
        float32 (H, W), meters; dense, the measurements unchanged. All zeros if nothing was
        measured; the nearest measurement everywhere if all lie on one line.
    """
    filled = nearest_fill(depth)
    measured = depth > 0
    if measured.all():
        return filled
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


# Baselines by their names in metrics: float (H, W), 0 = no measurement, to float32 (H, W).
FILLS = dict(nearest_fill=nearest_fill, classical_fill=classical_fill, planar_fill=planar_fill)


def resize_bilinear(depth: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a dense map as the model's output is resized.

    The same as ``torch.nn.functional.interpolate`` with ``mode='bilinear', align_corners=False``.

    Args:
        depth: float (h, w), dense.
        shape: (H, W).

    Returns:
        float32 (H, W).
    """
    if depth.shape == tuple(shape):
        return depth.astype(np.float32)
    return cv2.resize(
        depth.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR
    )
