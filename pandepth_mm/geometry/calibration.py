"""Calibration of a camera and a LiDAR: from KITTI's text or from matrices."""

import math
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import InputError, require_file
from pandepth_mm.fileio import PathLike, is_path
from pandepth_mm.geometry.camera import check_intrinsics, fold_projection

_FOCAL, _WIDTH = 725.0087, 1242  # of Virtual KITTI 2's camera, pixels
_MAX_BYTES = 1 << 20  # a calibration is a few lines


class Calibration(NamedTuple):
    """Where a camera looks, and where a LiDAR stands beside it.

    Attributes:
        cam2img: Intrinsics, float64 (3, 3), pixels of the image as given; integer coordinates are
            pixel centers.
        lidar2cam: LiDAR frame to camera frame, float64 (4, 4), meters; None where no point cloud
            belongs to it.
    """

    cam2img: np.ndarray
    lidar2cam: np.ndarray | None = None


def make_calibration(
    cam2img: np.ndarray, lidar2cam: np.ndarray | None = None, source: str = 'calib'
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

    Raises:
        InputError: Another shape, numbers that are not finite, a ``cam2img`` of a camera that is
            not rectified, or a ``lidar2cam`` that is no rotation with a translation.
    """
    matrix = _matrix(cam2img, source, 'cam2img', ((3, 3), (3, 4), (4, 4)))
    shift = np.zeros(3)
    if matrix.shape == (4, 4):
        _check_last_row(matrix, source, 'cam2img')
        matrix = matrix[:3]
    if matrix.shape == (3, 4):
        matrix, shift = fold_projection(matrix, source)
    check_intrinsics(matrix, source, 'cam2img')
    if lidar2cam is None:
        return Calibration(matrix)

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
    return Calibration(matrix, extrinsics)


def as_calibration(calib: PathLike | np.ndarray | Mapping[str, Any] | Calibration) -> Calibration:
    """Make a calibration from what a user has.

    Args:
        calib: A text for :func:`read_kitti_calibration`, or matrices for :func:`make_calibration`:
            ``cam2img`` alone, or a dict of ``cam2img`` and ``lidar2cam``.

    Raises:
        InputError: Other keys, and what those two refuse.
    """
    if is_path(calib):
        return read_kitti_calibration(calib)
    if isinstance(calib, Calibration):
        return make_calibration(*calib)
    if isinstance(calib, Mapping):
        if 'cam2img' not in calib or not set(calib) <= {'cam2img', 'lidar2cam'}:
            raise InputError(
                'calib', f'the keys {sorted(calib)}', 'cam2img and, for points, lidar2cam'
            )
        return make_calibration(**calib)
    return make_calibration(calib)


def read_kitti_calibration(path: PathLike, camera: int = 2) -> Calibration:
    """Read a calibration text of the KITTI object data set.

    A LiDAR point X projects to P R0_rect Tr_velo_to_cam X. The camera frame of the result is that
    of the given camera: P's fourth column is folded into ``lidar2cam``.

    Args:
        path: Lines ``NAME: numbers``. ``P2`` (12 numbers, row by row) is needed; with ``R0_rect``
            (9) and ``Tr_velo_to_cam`` (12) points can be projected. Other lines are ignored.
        camera: Number of the camera, 0 to 3: which of P0 to P3 is taken.

    Raises:
        InputError: Missing or unreadable file, a name that is missing, or a wrong count of numbers.
    """
    rows = _read_rows(path)
    projection = _row(rows, path, f'P{camera}', (3, 4))
    names = 'R0_rect', 'Tr_velo_to_cam'
    present = [name for name in names if name in rows]
    if not present:
        return make_calibration(projection, source=str(path))
    rectify, velo2cam = np.eye(4), np.eye(4)
    rectify[:3, :3] = _row(rows, path, names[0], (3, 3))
    velo2cam[:3] = _row(rows, path, names[1], (3, 4))
    return make_calibration(projection, rectify @ velo2cam, str(path))


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


def _read_rows(path: PathLike) -> dict[str, list]:
    """The lines ``NAME: words`` of a file, as lists of words by name."""
    require_file(path, 'a calibration text')
    if os.path.getsize(path) > _MAX_BYTES:
        raise InputError(path, f'{os.path.getsize(path)} bytes', 'a calibration text of some lines')
    try:
        with open(path, encoding='utf-8') as f:
            lines = f.read().splitlines()
    except UnicodeDecodeError:
        raise InputError(path, 'a binary file', 'a calibration text') from None
    rows = {}
    for line in lines:
        name, colon, rest = line.partition(':')
        if colon:
            rows[name.strip()] = rest.split()
    return rows


def _row(rows: dict[str, list], path: PathLike, name: str, shape: tuple) -> np.ndarray:
    """One line as a matrix, float64."""
    count = math.prod(shape)
    expected = f'a line "{name}: " with {count} numbers, as in KITTI'
    if name not in rows:
        raise InputError(path, f'the lines {sorted(rows)}', expected, name)
    try:
        values = [float(word) for word in rows[name]]
    except ValueError as e:
        raise InputError(path, str(e), expected, name) from None
    if len(values) != count:
        raise InputError(path, f'{len(values)} numbers', expected, name)
    return np.array(values).reshape(shape)


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
