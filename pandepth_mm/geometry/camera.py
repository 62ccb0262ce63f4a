"""Camera geometry: pure functions on arrays.

Conventions: integer pixel coordinates are pixel centers, u to the right, v down; depth is along the
camera's z axis in meters, 0 = no measurement; points are in the camera frame (x right, y down, z
forward), meters.
"""

from typing import Any

import numpy as np

from pandepth_mm.errors import InputError


def check_intrinsics(cam2img: Any, source, field: str) -> None:
    """Refuse what is no intrinsic matrix.

    Args:
        cam2img: To check: (3, 3), pixels, numbers in any nesting.
        source: File or argument that it comes from, for the message.
        field: Field in it.

    Raises:
        InputError: Another shape, not finite, or not of the form [[fx, s, cx], [0, fy, cy], [0, 0,
            1]] with fx, fy > 0.
    """
    try:
        k = np.array(cam2img, dtype=np.float64)
    except (TypeError, ValueError):
        k = np.empty(0)
    if (
        k.shape != (3, 3)
        or not np.isfinite(k).all()
        or k[0, 0] <= 0
        or k[1, 1] <= 0
        or k[1, 0] != 0
        or k[2].tolist() != [0, 0, 1]
    ):
        if isinstance(cam2img, np.ndarray):
            cam2img = cam2img.tolist()  # on one line
        raise InputError(
            source,
            f'{cam2img}',
            '[[fx, s, cx], [0, fy, cy], [0, 0, 1]] in pixels, fx, fy > 0',
            field,
        )


def resize_intrinsics(cam2img: np.ndarray, scale_factor: tuple[float, float]) -> np.ndarray:
    """Intrinsics after a resize: u' = (u + 0.5) s - 0.5.

    Args:
        cam2img: (3, 3), pixels.
        scale_factor: (new width / width, new height / height).

    Returns:
        float64 (3, 3).
    """
    sx, sy = scale_factor
    resize = np.array([[sx, 0, 0.5 * sx - 0.5], [0, sy, 0.5 * sy - 0.5], [0, 0, 1]])
    return resize @ np.asarray(cam2img, dtype=np.float64)


def flip_intrinsics(cam2img: np.ndarray, width: int) -> np.ndarray:
    """Intrinsics after a horizontal flip: cx' = width - 1 - cx.

    fx stays positive, so the points come out mirrored (x' = -x), as the image is.

    Args:
        cam2img: (3, 3), pixels.
        width: Width of the image in pixels.

    Returns:
        float64 (3, 3).
    """
    flip = np.array([[-1, 0, width - 1], [0, 1, 0], [0, 0, 1.0]])
    mirror = np.diag([-1.0, 1.0, 1.0])
    return flip @ np.asarray(cam2img, dtype=np.float64) @ mirror


def crop_intrinsics(cam2img: np.ndarray, left: int, top: int) -> np.ndarray:
    """Intrinsics after ``left`` columns and ``top`` rows are cut away.

    Args:
        cam2img: (3, 3), pixels.
        left: Columns cut at the left; negative where columns are added.
        top: Rows cut at the top.

    Returns:
        float64 (3, 3). Cuts and pads at the right or bottom change nothing.
    """
    cropped = np.array(cam2img, dtype=np.float64)
    cropped[0] -= left * cropped[2]
    cropped[1] -= top * cropped[2]
    return cropped


def fold_projection(
    projection: np.ndarray, source: str = 'projection'
) -> tuple[np.ndarray, np.ndarray]:
    """Split a 3x4 projection into intrinsics and a shift of the camera.

    K (X + K^-1 p4) = P (X, 1): a point moved by the shift and projected by the 3x3 part lands where
    P puts it.

    Args:
        projection: P (3, 4), as in KITTI's calibration files.
        source: File or argument that it comes from, for messages.

    Returns:
        tuple: intrinsics float64 (3, 3) and shift float64 (3,) in meters, to be added to points in
        P's frame (to the translation of the extrinsics).

    Raises:
        InputError: Not 3x4, or its 3x3 part is no intrinsic matrix.
    """
    projection = np.asarray(projection, dtype=np.float64)
    if projection.shape != (3, 4):
        raise InputError(source, f'shape {projection.shape}', '(3, 4)', 'projection')
    projection = projection / (projection[2, 2] or 1)
    cam2img = projection[:, :3]
    lower = cam2img[[1, 2, 2], [0, 0, 1]]
    if np.abs(lower).max() > 1e-9 or cam2img.diagonal().min() <= 0:
        raise InputError(
            source,
            f'3x3 part {cam2img.tolist()}',
            'an upper triangular matrix with a positive diagonal (a rectified camera)',
            'projection',
        )
    return cam2img, np.linalg.solve(cam2img, projection[:, 3])


def back_project(depth: np.ndarray, cam2img: np.ndarray) -> np.ndarray:
    """Points of a depth map, in raster order.

    Args:
        depth: float (H, W), meters, 0 = no measurement.
        cam2img: (3, 3), pixels.

    Returns:
        float32 (N, 3), meters, camera frame; N = number of depths > 0.
    """
    k = np.asarray(cam2img, dtype=np.float64)
    v, u = np.nonzero(depth > 0)
    z = depth[v, u].astype(np.float64)
    y = (v - k[1, 2]) / k[1, 1]
    x = (u - k[0, 2] - k[0, 1] * y) / k[0, 0]
    return np.stack([x * z, y * z, z], axis=-1).astype(np.float32)


def project(points: np.ndarray, cam2img: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Project points into the image.

    Args:
        points: (N, 3), meters, camera frame.
        cam2img: (3, 3), pixels.

    Returns:
        tuple: pixel coordinates (u, v) float64 (N, 2), NaN for points that are not in front of the
        camera, and depth float64 (N,), meters.
    """
    points = np.asarray(points, dtype=np.float64)
    image = points @ np.asarray(cam2img, dtype=np.float64).T
    depth = image[:, 2]
    uv = np.full((len(points), 2), np.nan)
    front = depth > 0
    uv[front] = image[front, :2] / depth[front, None]
    return uv, depth


def transform_points(points: np.ndarray, transform: np.ndarray) -> np.ndarray:
    """Bring points into another frame.

    Args:
        points: (N, 3), meters.
        transform: Rotation and translation to the other frame, (4, 4).

    Returns:
        float64 (N, 3), meters, in the other frame.
    """
    return np.asarray(points, dtype=np.float64) @ transform[:3, :3].T + transform[:3, 3]


def points_to_depth(points: np.ndarray, cam2img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rasterize points into a sparse depth map.

    A point lies in the pixel whose center is nearest. Of several in one pixel the nearest to the
    camera stays.

    Args:
        points: (N, 3), meters, camera frame, finite.
        cam2img: (3, 3), pixels.
        size: (height, width) of the map.

    Returns:
        float32 (H, W), meters; 0 = no point.
    """
    return rasterize_depth(*project(points, cam2img), size)


def rasterize_depth(uv: np.ndarray, depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Rasterize projected points, as :func:`points_to_depth` does.

    Args:
        uv: Pixel coordinates (N, 2); NaN for points that are not in the image.
        depth: (N,), meters, above 0 where the point is in the image.
        size: (height, width) of the map.

    Returns:
        float32 (H, W), meters; 0 = no point.
    """
    height, width = size
    with np.errstate(invalid='ignore'):  # NaN behind the camera
        col, row = np.floor(uv + 0.5).T
        inside = (col >= 0) & (col < width) & (row >= 0) & (row < height)
    row, col = row[inside].astype(np.int64), col[inside].astype(np.int64)
    depth_map = np.full(size, np.inf, dtype=np.float32)
    np.minimum.at(depth_map, (row, col), depth[inside].astype(np.float32))
    depth_map[np.isinf(depth_map)] = 0
    return depth_map


def nearest_indices(source: int, target: int) -> np.ndarray:
    """Which source pixel a nearest-neighbor resize takes.

    The pixel nearest to the center-aligned position (t + 0.5) / s - 0.5, as the intrinsics have it:
    cv2.INTER_NEAREST_EXACT, but for its rounding; cv2.INTER_NEAREST aligns the corners of the
    pixels instead, and is off by up to half a source pixel everywhere. Ties go to the right.

    Args:
        source: Number of source pixels along the axis.
        target: Number of pixels after the resize.

    Returns:
        int64 (target,), in 0..source - 1.
    """
    # floor((t + 0.5) * source / target) in integers, so that ties are exact
    return (2 * np.arange(target) + 1) * source // (2 * target)


def resize_nearest(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Nearest-neighbor resize, aligned with `resize_intrinsics`.

    Keeps values and the density of sparse maps; where the map shrinks, measurements drop out.

    Args:
        maps: (..., H, W), any dtype.
        size: (height, width) after the resize.

    Returns:
        (..., height, width), same dtype.
    """
    rows = nearest_indices(maps.shape[-2], size[0])
    cols = nearest_indices(maps.shape[-1], size[1])
    return maps[..., rows, :][..., cols]
