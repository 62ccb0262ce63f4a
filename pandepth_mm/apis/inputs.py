"""What a user hands in: named, checked, and read frame by frame."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mmcv
import numpy as np
from PIL import Image

from pandepth_mm.errors import InputError, require_choice, require_count, require_file
from pandepth_mm.fileio import (
    PathLike,
    check_depth_file,
    check_depth_map,
    is_path,
    natural_key,
    read_depth_map,
)
from pandepth_mm.geometry.calibration import Calibration, guess_calibration
from pandepth_mm.geometry.calibration_files import (
    CALIB_SUFFIXES,
    CAMERAS,
    as_calibration,
    holds_pair,
)
from pandepth_mm.geometry.camera import points_to_depth, transform_points
from pandepth_mm.geometry.point_files import (
    POINT_SUFFIXES,
    check_points,
    check_points_file,
    read_points,
)

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
DEPTH_SUFFIXES = ('.npy', '.png')
_ENDS = dict(JPEG=b'\xff\xd9', PNG=b'IEND')  # markers at the end of complete files
_TAIL = 1 << 16  # bytes in which to look for them


class FrameSource(NamedTuple):
    """One frame as the user names it, not read yet.

    Attributes:
        name: For files and messages.
        image: Path, or uint8 (H, W, 3) BGR.
        sparse_depth: Path, or float (H, W) in metres.
        points: Path, or (N, 3) or wider in metres, LiDAR frame.
        calib: Path, pair of paths, matrix, dict of matrices, or :class:`Calibration`.
        camera: Which camera of the calibration, 0 to 3; None for the left color camera.
        point_dims: Numbers per row of a .bin; None to tell it by the numbers.
    """

    name: str
    image: PathLike | np.ndarray
    sparse_depth: PathLike | np.ndarray | None = None
    points: PathLike | np.ndarray | None = None
    calib: PathLike | Sequence | np.ndarray | Mapping[str, Any] | Calibration | None = None
    camera: int | None = None
    point_dims: int | None = None


class Frame(NamedTuple):
    """One frame, read and checked.

    Attributes:
        name: For files and messages.
        image: uint8 (H, W, 3), BGR.
        sparse_depth: float32 (H, W), metres, 0 = no measurement.
        points: The LiDAR points, float64 (N, 3), metres, camera frame, more than the pixels of
            ``sparse_depth``; None where a map was given.
        cam2img: Intrinsics, float64 (3, 3), pixels of the image.
        calibrated: Whether they were given, or else assumed.
    """

    name: str
    image: np.ndarray
    sparse_depth: np.ndarray
    points: np.ndarray | None
    cam2img: np.ndarray
    calibrated: bool


def list_frames(
    image: Any,
    sparse_depth: Any,
    points: Any,
    calib: Any,
    camera: int | None = None,
    point_dims: int | None = None,
) -> tuple[list[FrameSource], bool]:
    """Put together the frames of a call.

    An image, a list of images, or a folder. The others are one per frame: a single one for a single
    image, a list as long as that of the images, or a folder whose files have the stems of the
    images. One calibration that is no folder of such files and no list holds for all frames.

    Args:
        image: Path, array, sequence of those, or folder.
        sparse_depth: The same of depth maps, or None.
        points: The same of point clouds, or None.
        calib: The same of calibrations, or None. For a single image also the two files of KITTI raw
            or KITTI-360, and for any images the folder that holds them.
        camera: Which camera of the calibration the images are of, 0 to 3. By default the one that
            the folder of an image names, such as ``image_3`` or ``image_03/data``; else the left
            color camera.
        point_dims: Numbers per row of .bin files.

    Returns:
        The frames, in the order of the list or by name (1, 2, 10), and whether the call named a
        single image. The files are looked into by :func:`check_sources`.

    Raises:
        InputError: Counts that differ, depth and points at once, points without calibration, or a
            folder that has nothing for any image.
    """
    if camera is not None:
        require_choice(camera, CAMERAS, 'camera')
    if point_dims is not None:
        require_count(point_dims, 'point_dims', least=3)
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
    if (is_path(calib) and os.path.isdir(calib) and holds_pair(calib)) or (
        len(images) == 1 and _is_pair(calib)
    ):
        calibs = [calib] * len(images)
    else:
        calibs = _column('calib', calib, images, CALIB_SUFFIXES, shared=True)
    columns = [
        _names(images),
        images,
        _column('sparse_depth', sparse_depth, images, DEPTH_SUFFIXES),
        _column('points', points, images, POINT_SUFFIXES),
        calibs,
        [_camera_of(i) if camera is None else camera for i in images],
        [point_dims] * len(images),
    ]
    return [FrameSource(*row) for row in zip(*columns, strict=True)], single


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
        height, width = _check_image_file(source.image, source.name)
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
        _check_fits(calibration, source, width, height)
        if source.points is not None:
            _lidar2cam(calibration, source)


def load_frame(source: FrameSource, depth_scale: float, max_depth: float) -> Frame:
    """Read and check a frame.

    Args:
        source: The frame.
        depth_scale: Units per metre of depth PNGs.
        max_depth: Depth range of the model, metres; measurements that lie beyond it for the most
            part are in another unit.

    Raises:
        InputError: What is wrong, with the file or the argument.
    """
    image = load_image(source.image, source.name)
    height, width = size = image.shape[:2]
    if source.calib is None:
        calibration = guess_calibration(width, height)
    else:
        calibration = as_calibration(source.calib, source.camera)
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
                depth, max_depth, _where(source, 'sparse_depth'), 'units per metre: depth_scale'
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
        _check_image_file(image, name)
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


def _check_image_file(path: PathLike, name: str) -> tuple[int, int]:
    """Check the header and the end of an image; its (height, width) when decoded."""
    require_file(path, f'the image of {name}')
    try:
        with Image.open(path) as image:
            width, height = image.size
            deep = (
                image.mode[0] in 'IF'
                or ';16' in str(image.tile)
                or (image.format == 'PPM' and isinstance(image.tile[0][3], tuple))  # with a maximum
            )
            if image.format == 'JPEG' and image.getexif().get(0x0112, 1) > 4:  # lies on its side
                width, height = height, width
            # rarely more than the end: some cameras append a video
            if not _has_end(path, image.format):
                image.load()
    # a broken file can fail in many ways
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
        found = f'a file that cannot be decoded ({e})' if 'truncated' in str(e) else None
        raise InputError(path, found or 'a file that cannot be decoded', 'an image') from None
    if deep:
        raise InputError(path, 'an image of more than 8 bits a channel', '8 bits: convert it')
    return height, width


def _has_end(path: PathLike, kind: str | None) -> bool:
    """Whether a file ends like a complete one of its kind, where that is known."""
    if kind not in _ENDS:
        return True
    with open(path, 'rb') as f:
        f.seek(max(0, os.path.getsize(path) - _TAIL))
        return _ENDS[kind] in f.read()


def _camera_of(image: Any) -> int | None:
    """Number of the camera that the folder of an image names as KITTI does, if it does."""
    if not is_path(image):
        return None
    folder = Path(os.path.abspath(image)).parent
    if folder.name in ('data', 'data_rect'):  # KITTI raw, KITTI-360
        folder = folder.parent
    number = re.fullmatch(r'image_0?([0-3])', folder.name)
    return int(number[1]) if number else None


def _by_stem(folder: PathLike, suffixes: Sequence[str]) -> dict[str, str]:
    """The files of a folder with one of the suffixes, by stem, in natural order."""
    files: dict[str, str] = {}
    for name in sorted(os.listdir(folder), key=natural_key):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in suffixes or name.startswith('.'):
            continue
        if name.lower().endswith('.pcd.bin'):
            stem = stem[:-4]
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
        files = {_paired(stem): path for stem, path in _by_stem(value, suffixes).items()}
        stems = [_paired(Path(i).stem) if is_path(i) else '' for i in images]
        if not files.keys() & set(stems):
            raise InputError(
                value,
                f'none for {len(images)} of {len(images)} images, the first is {stems[0]}',
                'a file of the same stem for every image',
                field,
            )
        # a name that is not there: this frame is found to be bad, not the call
        return [files.get(stem) or os.path.join(value, f'{stem}.*') for stem in stems]
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


def _paired(stem: str) -> str:
    """The stem that pairs a file with its image.

    Those of KITTI's val_selection_cropped differ: ``..._image_0000000005_image_02`` goes with
    ``..._velodyne_raw_0000000005_image_02``.
    """
    return re.sub(r'_(?:velodyne_raw|groundtruth_depth)_(?=\d+_image_0\d$)', '_image_', stem)


def _is_pair(calib: Any) -> bool:
    """Whether a calibration is the two files of KITTI raw or KITTI-360."""
    return isinstance(calib, (list, tuple)) and len(calib) == 2 and all(map(is_path, calib))


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


def _require_array(value: Any, field: str) -> None:
    """Refuse what is neither a path nor an array."""
    if not isinstance(value, np.ndarray):
        raise InputError(field, type(value).__name__, 'a path or a numpy array')


def _check_fits(calibration: Calibration, source: FrameSource, width: int, height: int) -> None:
    """Refuse intrinsics of another image size, as far as they show it."""
    size = calibration.image_size
    if size is not None:
        if size != (width, height):
            raise InputError(
                _where(source, 'calib'),
                f'a calibration of images of {size[0]}x{size[1]} pixels',
                f'one of {width}x{height}, as the image has',
                'image_size',
            )
        return
    cx, cy = calibration.cam2img[:2, 2]
    # images are cropped above or below, seldom at one side
    if not (0.3 * width <= cx + 0.5 <= 0.7 * width and 0 <= cy < height):
        raise InputError(
            _where(source, 'calib'),
            f'the principal point ({cx:.1f}, {cy:.1f}), far from the middle of an image of '
            f'{width}x{height} pixels',
            'a calibration of images of this size; if it is one, say so by '
            f'image_size: {width} {height}',
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


def _sparse_depth(source: FrameSource, scale: float, size: tuple[int, int]) -> np.ndarray:
    """A frame's depth map, float32 (H, W), metres."""
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
    """A frame's points in the camera's frame, float64 (N, 3), metres."""
    if is_path(source.points):
        points = read_points(source.points, source.point_dims)
    else:
        _require_array(source.points, 'points')
        points = check_points(source.points, 'points')
    return transform_points(points, _lidar2cam(calibration, source))
