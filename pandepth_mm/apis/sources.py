"""Which frames a user hands in: images, and the files that go with each."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import InputError, require_choice, require_count
from pandepth_mm.fileio import PathLike, is_path, natural_key
from pandepth_mm.geometry.calibration import Calibration
from pandepth_mm.geometry.calibration_files import CALIB_SUFFIXES, CAMERAS, holds_pair
from pandepth_mm.geometry.point_files import POINT_SUFFIXES

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
DEPTH_SUFFIXES = ('.npy', '.png')


class FrameSource(NamedTuple):
    """One frame as the user names it, not read yet.

    Attributes:
        name: For files and messages.
        image: Path, or uint8 (H, W, 3) BGR.
        sparse_depth: Path, or float (H, W) in meters.
        points: Path, or (N, 3) or wider in meters, LiDAR frame.
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


def _camera_of(image: Any) -> int | None:
    """Number of the camera that the folder of an image names as KITTI does, if it does."""
    if not is_path(image):
        return None
    folder = Path(os.path.abspath(image)).parent
    if folder.name in ('data', 'data_rect'):  # KITTI raw, KITTI-360
        folder = folder.parent
    number = re.fullmatch(r'image_0?([0-3])', folder.name)
    return int(number[1]) if number else None


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
