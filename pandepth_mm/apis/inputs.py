"""What a user hands in: named, checked, and read frame by frame."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
from PIL import Image, UnidentifiedImageError

from pandepth_mm.errors import InputError, require_file
from pandepth_mm.fileio import (
    POINT_SUFFIXES,
    PathLike,
    check_depth_map,
    check_points,
    check_points_file,
    is_path,
    read_depth_map,
    read_points,
)
from pandepth_mm.geometry.calibration import Calibration, as_calibration, guess_calibration
from pandepth_mm.geometry.camera import points_to_depth, transform_points

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
DEPTH_SUFFIXES = ('.npy', '.png')
CALIB_SUFFIXES = ('.txt',)


class FrameSource(NamedTuple):
    """One frame as the user names it, not read yet.

    Attributes:
        name: For files and messages.
        image: Path, or uint8 (H, W, 3) BGR.
        sparse_depth: Path, or float (H, W) in meters.
        points: Path, or (N, 3) or wider in meters, LiDAR frame.
        calib: Path, matrix, dict of matrices, or :class:`Calibration`.
    """

    name: str
    image: PathLike | np.ndarray
    sparse_depth: PathLike | np.ndarray | None = None
    points: PathLike | np.ndarray | None = None
    calib: PathLike | np.ndarray | Mapping[str, Any] | Calibration | None = None


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


def list_frames(
    image: Any, sparse_depth: Any, points: Any, calib: Any
) -> tuple[list[FrameSource], bool]:
    """Put together the frames of a call.

    An image, a list of images, or a folder. The others are one per frame: a single one for a single
    image, a list as long as that of the images, or a folder whose files have the stems of the
    images. A single calibration holds for all frames.

    Args:
        image: Path, array, sequence of those, or folder.
        sparse_depth: The same of depth maps, or None.
        points: The same of point clouds, or None.
        calib: The same of calibrations, or None.

    Returns:
        The frames, in the order of the list or by name, and whether the call named a single image.

    Raises:
        InputError: Files that are missing, counts that differ, depth and points at once, or points
            without calibration.
    """
    if sparse_depth is not None and points is not None:
        raise InputError('sparse_depth, points', 'both', 'one of the two')
    if points is not None and calib is None:
        raise InputError(
            'calib',
            'None',
            'the calibration of camera and LiDAR (KITTI '
            'text, or cam2img and lidar2cam), since points were given',
        )
    single = False
    if is_path(image) and os.path.isdir(image):
        images: Sequence = list(_by_stem(image, IMAGE_SUFFIXES).values())
    elif isinstance(image, (list, tuple)):
        images = image
    else:
        images, single = [image], True
    if not images:
        raise InputError('image', 'an empty list', 'at least one image')
    columns = [
        _names(images),
        images,
        _column('sparse_depth', sparse_depth, images, DEPTH_SUFFIXES),
        _column('points', points, images, POINT_SUFFIXES),
        _column('calib', calib, images, CALIB_SUFFIXES, shared=True),
    ]
    frames = [FrameSource(*row) for row in zip(*columns, strict=True)]
    for frame in frames:
        for field in FrameSource._fields[1:]:
            value = getattr(frame, field)
            if is_path(value):
                require_file(value, f'the {field} of {frame.name}')
    return frames, single


def check_sources(sources: Sequence[FrameSource]) -> None:
    """Look into the files of all frames, without reading them whole.

    A long run then stops at a bad file before its first frame: files that are no image,
    calibrations, and point clouds of a wrong size.

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
        if source.calib is not None:
            as_calibration(source.calib)


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
    image = load_image(source.image)
    height, width = size = image.shape[:2]
    if source.calib is None:
        calibration = guess_calibration(width, height)
    else:
        calibration = as_calibration(source.calib)
        _check_fits(calibration, source, width, height)
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


def load_image(image: PathLike | np.ndarray) -> np.ndarray:
    """Image of a path or an array, uint8 (H, W, 3), BGR."""
    if is_path(image):
        content = Path(image).read_bytes()
        pixels = mmcv.imfrombytes(content) if content else None
        if pixels is None:
            raise _not_decoded(image)
        return pixels
    _require_array(image, 'image')
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            'image',
            f'{image.dtype} of shape {image.shape}',
            'uint8 (H, W, 3), BGR as mmcv and OpenCV read it',
        )
    return image


def _by_stem(folder: PathLike, suffixes: Sequence[str]) -> dict[str, str]:
    """The files of a folder with one of the suffixes, by stem, sorted."""
    files: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in suffixes or name.startswith('.'):
            continue
        if stem in files:
            raise InputError(
                folder, f'{os.path.basename(files[stem])} and {name}', 'one file per frame'
            )
        files[stem] = os.path.join(folder, name)
    if not files:
        raise InputError(
            folder, 'no such file in the folder', f'files ending in {", ".join(suffixes)}'
        )
    return files


def _names(images: Sequence[Any]) -> list[str]:
    """Names of frames: stems of the paths, numbers where they repeat."""
    stems = [
        Path(image).stem if is_path(image) else f'frame_{i:06d}' for i, image in enumerate(images)
    ]
    if len(set(stems)) < len(stems):
        stems = [f'{i:06d}_{stem}' for i, stem in enumerate(stems)]
    return stems


def _column(
    field: str, value: Any, images: Sequence[Any], suffixes: Sequence[str], shared: bool = False
) -> list:
    """One input of all frames, None where there is none."""
    if value is None:
        return [None] * len(images)
    if is_path(value) and os.path.isdir(value):
        files = _by_stem(value, suffixes)
        stems = [Path(i).stem if is_path(i) else None for i in images]
        lacking = [stem for stem in stems if stem not in files]
        if lacking:
            raise InputError(
                value,
                f'none for {len(lacking)} of {len(images)} images, the first is {lacking[0]}',
                'a file of the same stem for every image',
                field,
            )
        return [files[stem] for stem in stems]
    # a calibration is a tuple too, and a matrix may be nested lists
    if isinstance(value, (list, tuple)) and not (
        isinstance(value, Calibration) or _is_matrix(value)
    ):
        if len(value) != len(images):
            raise InputError(field, f'{len(value)} of them', f'{len(images)}, one per image')
        return list(value)
    if shared or len(images) == 1:
        return [value] * len(images)
    raise InputError(
        field,
        f'a single one for {len(images)} images',
        'a list, or a folder with files of the same stems',
    )


def _is_matrix(value: Sequence) -> bool:
    """Whether nested lists are the numbers of one matrix."""
    return len(value) in (3, 4) and all(
        isinstance(row, (list, tuple))
        and len(row) in (3, 4)
        and all(isinstance(x, (int, float)) for x in row)
        for row in value
    )


def _where(source: FrameSource, field: str) -> str:
    """File or argument, for messages."""
    value = getattr(source, field)
    return str(value) if is_path(value) else field


def _not_decoded(path: PathLike) -> InputError:
    """Say that a file is no image."""
    return InputError(path, 'a file that cannot be decoded', 'an image')


def _require_array(value: Any, field: str) -> None:
    """Refuse what is neither a path nor an array."""
    if not isinstance(value, np.ndarray):
        raise InputError(field, type(value).__name__, 'a path or a numpy array')


def _check_fits(calibration: Calibration, source: FrameSource, width: int, height: int) -> None:
    """Refuse intrinsics of another image size, as far as they show it."""
    cx, cy = calibration.cam2img[:2, 2]
    if not (0 <= cx < width and 0 <= cy < height):
        raise InputError(
            _where(source, 'calib'),
            f'the principal point ({cx:.1f}, {cy:.1f}), outside of the image '
            f'of {width}x{height} pixels',
            'a calibration of images of this size',
            'cam2img',
        )


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


def _camera_points(source: FrameSource, calibration: Calibration) -> np.ndarray:
    """A frame's points in the camera's frame, float64 (N, 3), meters."""
    if is_path(source.points):
        points = read_points(source.points)
    else:
        _require_array(source.points, 'points')
        points = check_points(source.points, 'points')
    if not len(points):
        raise InputError(
            _where(source, 'points'), 'no point', 'points; leave them out where there are none'
        )
    if calibration.lidar2cam is None:
        raise InputError(
            _where(source, 'calib'),
            'no place of the LiDAR',
            'R0_rect and Tr_velo_to_cam (text) or lidar2cam (matrices), since points were given',
            'lidar2cam',
        )
    return transform_points(points, calibration.lidar2cam)
