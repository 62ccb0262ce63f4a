"""Dense depth without a network: the baselines that a network has to beat."""

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from pandepth_mm.geometry.planes import interpolate_planes

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

    See :func:`interpolate_planes`. Outside the hull of the measurements each pixel takes the
    nearest one.

    Args:
        depth: float (H, W), meters, 0 = no measurement.

    Returns:
        float32 (H, W), meters; dense, the measurements unchanged. All zeros if nothing was
        measured; the nearest measurement everywhere if all lie on one line.
    """
    planes = interpolate_planes(depth)
    return np.where(planes > 0, planes, nearest_fill(depth))


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
