"""Reading what a user hands in, and checking it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
from PIL import Image, UnidentifiedImageError

from pandepth_mm.apis.sources import ArrayInput, CalibInput, FrameSource, ImageInput, is_path
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import (
    check_points,
    check_points_file,
    read_depth_png,
    read_npy,
    read_points,
)
from pandepth_mm.geometry.calibration import (
    Calibration,
    guess_calibration,
    make_calibration,
    read_kitti_calibration,
)
from pandepth_mm.geometry.camera import back_project, points_to_depth, transform_points


class Frame(NamedTuple):
    """One frame, read and checked.

    Attributes:
        name: For files and messages.
        image: uint8 (H, W, 3), BGR.
        sparse_depth: float32 (H, W), metres, 0 = no measurement.
        points: The measurements, (N, 3), metres, camera frame; where they
            came as points, more than the pixels of ``sparse_depth``.
        cam2img: Intrinsics, float64 (3, 3), pixels of the image.
        calibrated: Whether they were given, or else assumed.
    """

    name: str
    image: np.ndarray
    sparse_depth: np.ndarray
    points: np.ndarray
    cam2img: np.ndarray
    calibrated: bool


def check_sources(sources: Sequence[FrameSource]) -> None:
    """Look into the files of all frames, without reading them whole.

    A long run then stops at a bad file before its first frame: images that
    are none, calibrations, and point clouds of a wrong size.

    Args:
        sources: The frames.

    Raises:
        InputError: The first file that is wrong.
    """
    for source in sources:
        if is_path(source.image):
            try:
                with Image.open(source.image):
                    pass
            except (UnidentifiedImageError, OSError):
                raise _not_decoded(source.image) from None
        if is_path(source.points):
            check_points_file(source.points)
        load_calibration(source.calib)


def load_frame(source: FrameSource, depth_scale: float, max_depth: float) -> Frame:
    """Read and check a frame.

    Args:
        source: The frame.
        depth_scale: Units per metre of depth PNGs.
        max_depth: Depth range of the model, metres; measurements that lie
            beyond it for the most part are in another unit.

    Raises:
        InputError: What is wrong, with the file or the argument.
    """
    image = load_image(source.image)
    height, width = size = image.shape[:2]
    given = load_calibration(source.calib)
    if given is not None:
        _check_fits(given, source, width, height)
    calibration = given or guess_calibration(width, height)
    cam2img = calibration.cam2img
    if source.points is not None:
        points = _camera_points(source, calibration)
        depth = points_to_depth(points, cam2img, size)
        if not depth.any():
            raise InputError(
                _where(source.points, 'points'),
                f'none of {len(points)} points in the image',
                f'points that {_where(source.calib, "calib")} projects into it',
            )
        _check_unit(depth, max_depth, _where(source.points, 'points'), 'x, y, z')
    else:
        depth = np.zeros(size, dtype=np.float32)
        if source.sparse_depth is not None:
            depth = load_sparse_depth(source.sparse_depth, depth_scale, size)
            _check_unit(
                depth,
                max_depth,
                _where(source.sparse_depth, 'sparse_depth'),
                'units per metre: depth_scale',
            )
        points = back_project(depth, cam2img)
    return Frame(source.name, image, depth, points, cam2img, given is not None)


def _where(value: Any, field: str) -> str:
    """File or argument, for messages."""
    return str(value) if is_path(value) else field


def _not_decoded(path: Any) -> InputError:
    """Say that a file is no image."""
    return InputError(path, 'a file that cannot be decoded', 'an image')


def load_image(image: ImageInput) -> np.ndarray:
    """Image of a path or an array, uint8 (H, W, 3), BGR."""
    if is_path(image):
        with open(image, 'rb') as f:
            content = f.read()
        pixels = mmcv.imfrombytes(content) if content else None
        if pixels is None:
            raise _not_decoded(image)
        return pixels
    if not isinstance(image, np.ndarray):
        raise InputError('image', type(image).__name__, 'a path or a numpy array')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            'image',
            f'{image.dtype} of shape {image.shape}',
            'uint8 (H, W, 3), BGR as mmcv and OpenCV read it',
        )
    return image


def load_sparse_depth(depth: ArrayInput, depth_scale: float, size: tuple[int, int]) -> np.ndarray:
    """Depth map of a path or an array, float32 (H, W), metres."""
    where = _where(depth, 'sparse_depth')
    if is_path(depth) and str(depth).lower().endswith('.png'):
        return read_depth_png(depth, depth_scale, size)
    if is_path(depth):
        if not str(depth).lower().endswith('.npy'):
            raise InputError(
                where, f'suffix {Path(depth).suffix!r}', '.png (16 bits) or .npy (metres)'
            )
        depth = read_npy(depth)
    if not isinstance(depth, np.ndarray):
        raise InputError(where, type(depth).__name__, 'a path or a numpy array')
    if depth.dtype.kind != 'f':
        raise InputError(where, f'{depth.dtype}', 'float metres (divide by the units per metre)')
    if depth.shape != tuple(size):
        raise InputError(where, f'shape {depth.shape}', f'{tuple(size)}, the size of the image')
    if not np.isfinite(depth).all() or depth.min() < 0:
        raise InputError(where, 'negative or not finite values', 'metres, 0 = no measurement')
    return depth.astype(np.float32)


def load_calibration(calib: CalibInput | None) -> Calibration | None:
    """Calibration of a path, matrices, or None."""
    if calib is None:
        return None
    if is_path(calib):
        return read_kitti_calibration(calib)
    if isinstance(calib, Calibration):
        return make_calibration(*calib)
    if isinstance(calib, Mapping):
        unknown = set(calib) - {'cam2img', 'lidar2cam'}
        if unknown or 'cam2img' not in calib:
            raise InputError(
                'calib', f'the keys {sorted(calib)}', 'cam2img and, for points, lidar2cam'
            )
        return make_calibration(calib['cam2img'], calib.get('lidar2cam'))
    return make_calibration(calib)


def _check_fits(calibration: Calibration, source: FrameSource, width: int, height: int) -> None:
    """Refuse intrinsics of another image size, as far as they show it."""
    cx, cy = calibration.cam2img[:2, 2]
    if not (0 <= cx < width and 0 <= cy < height):
        raise InputError(
            _where(source.calib, 'calib'),
            f'the principal point ({cx:.1f}, {cy:.1f}), outside of the image '
            f'of {width}x{height} pixels',
            'a calibration of images of this size',
            'cam2img',
        )


def _check_unit(depth: np.ndarray, max_depth: float, where: str, field: str) -> None:
    """Refuse measurements in another unit than metres."""
    measured = depth[depth > 0]
    if len(measured) and np.median(measured) > max_depth:
        raise InputError(
            where,
            f'depths of {np.median(measured):.4g} m in the median',
            f'metres, within the {max_depth:g} m of the model for the most part',
            field,
        )


def _camera_points(source: FrameSource, calibration: Calibration) -> np.ndarray:
    """A frame's points in the camera's frame, float64 (N, 3), metres."""
    where = _where(source.points, 'points')
    if is_path(source.points):
        points = read_points(source.points)
    elif isinstance(source.points, np.ndarray):
        points = check_points(source.points, where)
    else:
        raise InputError(where, type(source.points).__name__, 'a path or a numpy array')
    if not len(points):
        raise InputError(where, 'no point', 'points; leave them out where there are none')
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise InputError(
            where,
            f'{bad.sum()} of {len(points)} points that are not '
            f'finite, the first in row {bad.argmax()}',
            'finite metres',
        )
    if calibration.lidar2cam is None:
        raise InputError(
            _where(source.calib, 'calib'),
            'no place of the LiDAR',
            'R0_rect and Tr_velo_to_cam (text) or lidar2cam (matrices), since points were given',
            'lidar2cam',
        )
    return transform_points(points, calibration.lidar2cam)
