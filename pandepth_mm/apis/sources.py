"""The frames that a call names: files and arrays, put together."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import POINT_SUFFIXES, PathLike
from pandepth_mm.geometry.calibration import Calibration

IMAGE_SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.ppm', '.tif', '.tiff', '.webp')
DEPTH_SUFFIXES = ('.npy', '.png')
CALIB_SUFFIXES = ('.txt',)

ImageInput = PathLike | np.ndarray
ArrayInput = PathLike | np.ndarray
CalibInput = PathLike | np.ndarray | Mapping[str, Any] | Calibration


class FrameSource(NamedTuple):
    """One frame as the user names it, not read yet.

    Attributes:
        name: For files and messages.
        image: Path, or uint8 (H, W, 3) BGR.
        sparse_depth: Path, or float (H, W) in metres.
        points: Path, or (N, 3) or wider in metres, LiDAR frame.
        calib: Path, matrix, dict of matrices, or :class:`Calibration`.
    """

    name: str
    image: ImageInput
    sparse_depth: ArrayInput | None = None
    points: ArrayInput | None = None
    calib: CalibInput | None = None


def is_path(value: Any) -> bool:
    """Whether an input names a file or a folder."""
    return isinstance(value, (str, os.PathLike))


def list_frames(
    image: Any, sparse_depth: Any, points: Any, calib: Any
) -> tuple[list[FrameSource], bool]:
    """Put together the frames of a call.

    An image, a list of images, or a folder. The others are one a frame: a
    single one for a single image, a list as long as that of the images, or a
    folder whose files have the stems of the images. One calibration that is
    no folder and no list holds for all frames.

    Args:
        image: Path, array, sequence of those, or folder.
        sparse_depth: The same of depth maps, or None.
        points: The same of point clouds, or None.
        calib: The same of calibrations, or None.

    Returns:
        The frames, in the order of the list or by name, and whether the call
        named a single image.

    Raises:
        InputError: Files that are missing, counts that differ, depth and
            points at once, or points without calibration.
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
    names = _names(images)
    columns = [
        _column('sparse_depth', sparse_depth, images, DEPTH_SUFFIXES),
        _column('points', points, images, POINT_SUFFIXES),
        _column('calib', calib, images, CALIB_SUFFIXES, shared=True),
    ]
    frames = [FrameSource(*row) for row in zip(names, images, *columns, strict=True)]
    for frame in frames:
        for field, value in frame._asdict().items():
            if field != 'name' and is_path(value) and not os.path.isfile(value):
                found = 'a folder' if os.path.isdir(value) else 'no such file'
                raise InputError(value, found, f'the {field} of {frame.name}', field)
    return frames, single


def _by_stem(folder: PathLike, suffixes: Sequence[str]) -> dict[str, str]:
    """The files of a folder with one of the suffixes, by stem, sorted."""
    files: dict[str, str] = {}
    for name in sorted(os.listdir(folder)):
        stem, suffix = os.path.splitext(name)
        if suffix.lower() not in suffixes or name.startswith('.'):
            continue
        if stem in files:
            raise InputError(
                folder, f'{os.path.basename(files[stem])} and {name}', 'one file a frame'
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
        for stem in stems:
            if stem not in files:
                lacking = sum(s not in files for s in stems)
                raise InputError(
                    value,
                    f'none for {lacking} of {len(images)} images, the first is {stem}',
                    'a file of the same stem for every image',
                    field,
                )
        return [files[stem] for stem in stems]
    if (
        isinstance(value, (list, tuple))
        and not isinstance(value, Calibration)
        and not _is_matrix(value)
    ):
        if len(value) != len(images):
            raise InputError(field, f'{len(value)} of them', f'{len(images)}, one an image')
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
