"""Calibration of a camera and a LiDAR, of matrices."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pandepth_mm.errors import InputError, require_count
from pandepth_mm.geometry.camera import check_intrinsics, fold_projection

_FOCAL, _WIDTH = 725.0087, 1242  # of Virtual KITTI 2's camera, pixels


class Calibration(NamedTuple):
    """Where a camera looks, and where a LiDAR stands beside it.

    Attributes:
        cam2img: Intrinsics, float64 (3, 3), pixels of the image as given; integer coordinates are
            pixel centers.
        lidar2cam: LiDAR frame to camera frame, float64 (4, 4), meters; None where no point cloud
            belongs to it.
        image_size: (width, height) of the images that it is for, pixels; None where that is not
            known.
    """

    cam2img: np.ndarray
    lidar2cam: np.ndarray | None = None
    image_size: tuple[int, int] | None = None


def make_calibration(
    cam2img: np.ndarray,
    lidar2cam: np.ndarray | None = None,
    source: str = 'calib',
    image_size: Sequence[int] | None = None,
) -> Calibration:
    """Check matrices and bring them to one form.

    Args:
        cam2img: Intrinsics (3, 3), or a projection (3, 4) or (4, 4), pixels. The fourth column of a
            projection is folded into the extrinsics (see
            :func:`pandepth_mm.geometry.camera.fold_projection`), so that points land where the
            projection puts them.
        lidar2cam: LiDAR frame to the frame that ``cam2img`` takes, a rotation and a translation in
            meters, (4, 4) or (3, 4).
        source: File or argument, for messages.
        image_size: (width, height) of the images, pixels, if known.

    Raises:
        InputError: Another shape, numbers that are not finite, a ``cam2img`` of a camera that is
            not rectified, a ``lidar2cam`` that is no rotation with a translation, or an
            ``image_size`` that is not two whole numbers.
    """
    if image_size is not None:
        if not isinstance(image_size, (list, tuple)) or len(image_size) != 2:
            raise InputError(source, repr(image_size), '(width, height)', 'image_size')
        for side in image_size:
            require_count(side, source, 'image_size')
        image_size = int(image_size[0]), int(image_size[1])
    matrix = _matrix(cam2img, source, 'cam2img', ((3, 3), (3, 4), (4, 4)))
    shift = np.zeros(3)
    if matrix.shape == (4, 4):
        _check_last_row(matrix, source, 'cam2img')
        matrix = matrix[:3]
    if matrix.shape == (3, 4):
        matrix, shift = fold_projection(matrix, source)
    check_intrinsics(matrix, source, 'cam2img')
    if lidar2cam is None:
        return Calibration(matrix, None, image_size)

    extrinsics = np.eye(4)
    given = _matrix(lidar2cam, source, 'lidar2cam', ((4, 4), (3, 4)))
    if given.shape == (4, 4):
        _check_last_row(given, source, 'lidar2cam')
    extrinsics[:3] = given[:3]
    rotation = extrinsics[:3, :3]
    # files round to a few digits
    if np.abs(rotation @ rotation.T - np.eye(3)).max() > 1e-3 or np.linalg.det(rotation) < 0:
        raise InputError(
            source,
            f'{rotation.round(4).tolist()} as its 3x3 part',
            'a rotation: orthonormal rows, determinant 1',
            'lidar2cam',
        )
    extrinsics[:3, 3] += shift
    return Calibration(matrix, extrinsics, image_size)


def check_image_size(calibration: Calibration, width: int, height: int, source: str) -> None:
    """Refuse intrinsics of another image size, as far as they show it.

    Args:
        calibration: To check.
        width: Of the image, pixels.
        height: Of the image, pixels.
        source: File or argument that the calibration comes from, for the message.

    Raises:
        InputError: It states another size, or states none and its principal point is far from the
            middle.
    """
    size = calibration.image_size
    if size is not None:
        if size != (width, height):
            raise InputError(
                source,
                f'a calibration of images of {size[0]}x{size[1]} pixels',
                f'one of {width}x{height}, as the image has',
                'image_size',
            )
        return
    cx, cy = calibration.cam2img[:2, 2]
    # images are cropped above or below, seldom at one side
    if not (0.3 * width <= cx + 0.5 <= 0.7 * width and 0 <= cy < height):
        raise InputError(
            source,
            f'the principal point ({cx:.1f}, {cy:.1f}), far from the middle of an image of '
            f'{width}x{height} pixels',
            'a calibration of images of this size; if it is one, say so by '
            f'image_size: {width} {height}',
            'cam2img',
        )


def guess_calibration(width: int, height: int) -> Calibration:
    """Intrinsics to assume for an unknown camera.

    Those of Virtual KITTI 2's camera, a horizontal field of view of 81 degrees, scaled to the
    width. Good enough for the 3-D branch of a model trained there, wrong for a cloud.

    Args:
        width: Of the image, pixels.
        height: Of the image, pixels.
    """
    focal = width * _FOCAL / _WIDTH
    return Calibration(
        np.array([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    )


def _matrix(value, source: str, field: str, shapes: tuple) -> np.ndarray:
    """A finite float64 matrix of one of the shapes."""
    try:
        matrix = np.array(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(source, repr(value)[:80], 'a matrix of numbers', field) from None
    if matrix.shape not in shapes:
        raise InputError(
            source, f'shape {matrix.shape}', ' or '.join(str(shape) for shape in shapes), field
        )
    if not np.isfinite(matrix).all():
        raise InputError(source, 'numbers that are not finite', 'finite numbers', field)
    return matrix


def _check_last_row(matrix: np.ndarray, source: str, field: str) -> None:
    """Refuse a 4x4 matrix whose last row is not 0, 0, 0, 1."""
    if matrix[3].tolist() != [0, 0, 0, 1]:
        raise InputError(source, f'{matrix[3].tolist()} as its last row', '[0, 0, 0, 1]', field)
