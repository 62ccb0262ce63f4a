"""What a user hands in, checked and read frame by frame."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np

from pandepth_mm.apis.sources import FrameSource
from pandepth_mm.errors import InputError, require_file
from pandepth_mm.fileio import PathLike, check_depth_file, check_depth_map, is_path, read_depth_map
from pandepth_mm.geometry.calibration import Calibration, check_image_size, guess_calibration
from pandepth_mm.geometry.calibration_files import as_calibration
from pandepth_mm.geometry.camera import points_to_depth, transform_points
from pandepth_mm.geometry.point_files import check_points, check_points_file, read_points
from pandepth_mm.structures.image_files import check_image_file


class Frame(NamedTuple):
    """One frame, read and checked.

    Attributes:
        name: For files and messages.
        image: uint8 (H, W, 3), BGR.
        sparse_depth: float32 (H, W), meters, 0 = no measurement.
        points: The LiDAR points, float64 (N, 3), meters, camera frame, also those that
            ``sparse_depth`` does not show; None where a map was given.
        cam2img: Intrinsics, float64 (3, 3), pixels of the image.
        calibrated: Whether the intrinsics were given; else they are assumed.
    """

    name: str
    image: np.ndarray
    sparse_depth: np.ndarray
    points: np.ndarray | None
    cam2img: np.ndarray
    calibrated: bool


def check_sources(sources: Sequence[FrameSource]) -> dict[str, InputError]:
    """Look into the files of all frames, without reading them whole.

    So that a long run can tell of every bad frame before its first: files that are missing or cut
    off, images of 16 bits, depth maps of another type or size, point clouds that are empty or of no
    whole number of points, calibrations that are broken or cannot belong to the image.

    Args:
        sources: The frames.

    Returns:
        What is wrong with a frame, by its name; empty where all is well. What only reading a file
        whole can show, numbers that are not finite, say, is not found here.
    """
    bad = {}
    for source in sources:
        try:
            _check_source(source)
        except InputError as error:
            bad[source.name] = error
    return bad


def _check_source(source: FrameSource) -> None:
    """Look into the files of one frame."""
    if is_path(source.image):
        height, width = _check_image(source.image, source.name)
    else:
        height, width = load_image(source.image).shape[:2]
    for field in ('sparse_depth', 'points'):
        if is_path(getattr(source, field)):
            require_file(getattr(source, field), f'the {field} of {source.name}')
    if is_path(source.sparse_depth):
        check_depth_file(source.sparse_depth, (height, width))
    if is_path(source.points):
        check_points_file(source.points, source.point_dims)
    if source.calib is not None:
        calibration = as_calibration(source.calib, source.camera)
        check_image_size(calibration, width, height, _where(source, 'calib'))
        if source.points is not None:
            _lidar2cam(calibration, source)


def load_frame(source: FrameSource, depth_scale: float, max_depth: float) -> Frame:
    """Read and check a frame.

    Args:
        source: The frame.
        depth_scale: Units per meter of depth PNGs.
        max_depth: Depth range of the model, meters; if most measurements lie beyond it, they are in
            another unit.

    Raises:
        InputError: What is wrong, with the file or the argument.
    """
    image = load_image(source.image, source.name)
    height, width = size = image.shape[:2]
    if source.calib is None:
        calibration = guess_calibration(width, height)
    else:
        calibration = as_calibration(source.calib, source.camera)
        check_image_size(calibration, width, height, _where(source, 'calib'))
    cam2img = calibration.cam2img
    if source.points is not None:
        points = _camera_points(source, calibration)
        depth = points_to_depth(points, cam2img, size)
        if not depth.any():
            raise InputError(
                _where(source, 'points'),
                f'none of {len(points)} points in the image',
                f'points that {_where(source, "calib")} projects into it',
            )
        _check_unit(depth, max_depth, _where(source, 'points'), 'x, y, z')
    else:
        points, depth = None, np.zeros(size, dtype=np.float32)
        if source.sparse_depth is not None:
            depth = _sparse_depth(source, depth_scale, size)
            _check_unit(
                depth, max_depth, _where(source, 'sparse_depth'), 'units per meter: depth_scale'
            )
    return Frame(source.name, image, depth, points, cam2img, source.calib is not None)


def load_image(image: PathLike | np.ndarray, name: str = 'image') -> np.ndarray:
    """Image of a path or an array, uint8 (H, W, 3), BGR.

    Args:
        image: Path or array.
        name: Of the frame, for messages.

    Raises:
        InputError: No file, no complete image of 8 bits, or another array.
    """
    if is_path(image):
        _check_image(image, name)
        pixels = mmcv.imfrombytes(Path(image).read_bytes())
        if pixels is None:
            raise InputError(image, 'a file that cannot be decoded', 'an image')
        return pixels
    _require_array(image, 'image')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            'image',
            f'{image.dtype} of shape {image.shape}',
            'uint8 (H, W, 3), BGR as mmcv and OpenCV read it',
        )
    return image


def _check_image(path: PathLike, name: str) -> tuple[int, int]:
    """Check the header and the end of a frame's image; its (height, width) when decoded."""
    require_file(path, f'the image of {name}')
    try:
        with open(path, 'rb') as file:
            return check_image_file(file, path)
    except OSError as e:
        raise InputError(path, f'what cannot be read ({e.strerror})', 'an image') from None


def _where(source: FrameSource, field: str) -> str:
    """File or argument, for messages."""
    value = getattr(source, field)
    return str(value) if is_path(value) else field


def _require_array(value: Any, field: str) -> None:
    """Refuse what is neither a path nor an array."""
    if not isinstance(value, np.ndarray):
        raise InputError(field, type(value).__name__, 'a path or a numpy array')


def _check_unit(depth: np.ndarray, max_depth: float, where: str, field: str) -> None:
    """Refuse measurements in another unit than meters."""
    measured = depth[depth > 0]
    if len(measured) and np.median(measured) > max_depth:
        raise InputError(
            where,
            f'depths of {np.median(measured):.4g} m in the median',
            f'meters, within the {max_depth:g} m of the model for the most part',
            field,
        )


def _sparse_depth(source: FrameSource, scale: float, size: tuple[int, int]) -> np.ndarray:
    """A frame's depth map, float32 (H, W), meters."""
    if is_path(source.sparse_depth):
        return read_depth_map(source.sparse_depth, scale, size)
    _require_array(source.sparse_depth, 'sparse_depth')
    return check_depth_map(source.sparse_depth, 'sparse_depth', size)


def _lidar2cam(calibration: Calibration, source: FrameSource) -> np.ndarray:
    """Place of the LiDAR, which points need."""
    if calibration.lidar2cam is None:
        raise InputError(
            _where(source, 'calib'),
            'no place of the LiDAR',
            'R0_rect and Tr_velo_to_cam (text), the second file of KITTI raw or KITTI-360 beside '
            'it, or lidar2cam (matrices, .json), since points were given',
            'lidar2cam',
        )
    return calibration.lidar2cam


def _camera_points(source: FrameSource, calibration: Calibration) -> np.ndarray:
    """A frame's points in the camera's frame, float64 (N, 3), meters."""
    if is_path(source.points):
        points = read_points(source.points, source.point_dims)
    else:
        _require_array(source.points, 'points')
        points = check_points(source.points, 'points')
    return transform_points(points, _lidar2cam(calibration, source))
