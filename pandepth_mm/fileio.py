"""Reading and writing the files of the data contract.

Depth maps are 16-bit PNG with a scale (units per meter): 256 for KITTI depth completion (0 = no
measurement), 100 for Virtual KITTI 2 (65535 = sky or out of range). Panoptic maps are RGB PNG, id =
R + 256 G + 65536 B, 0 = void.
"""

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from pandepth_mm.errors import InputError, require_file, require_size

PathLike = str | Path
KITTI_DEPTH_SCALE = 256.0
DEPTH_PNG_MAX = 65535
POINT_SUFFIXES = ('.bin', '.npy')


@contextlib.contextmanager
def atomic_path(path: PathLike) -> Iterator[str]:
    """Yield a temporary name beside ``path``; rename onto it on success.

    The temporary name keeps the suffix, since image writers choose the format by it. Nothing stays
    behind if the body raises.

    Raises:
        InputError: ``path`` is a folder, or its folder cannot be made or written to.
        OSError: The disk is full.
    """
    path = Path(path)
    with _refusals_as_bad_input(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fd, tmp = tempfile.mkstemp(dir=path.parent, prefix=f'.{path.stem}.', suffix=path.suffix)
        os.close(fd)
    try:
        yield tmp
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(tmp, 0o666 & ~umask)  # mkstemp makes private files
        with _refusals_as_bad_input(path):
            os.replace(tmp, path)
    finally:
        if os.path.exists(tmp):
            os.remove(tmp)


@contextlib.contextmanager
def _refusals_as_bad_input(path: Path) -> Iterator[None]:
    """Say that the system refuses a path; a full disk is no fault of the path."""
    try:
        yield
    except OSError as e:
        if e.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            path, f'a path that cannot be written ({e.strerror})', 'the name of a file'
        ) from e


def is_path(value: Any) -> bool:
    """Whether a value names a file or a folder."""
    return isinstance(value, (str, os.PathLike))


def write_json(path: PathLike, data) -> None:
    """Write JSON atomically."""
    with atomic_path(path) as tmp:
        with open(tmp, 'w', encoding='utf-8') as f:
            json.dump(data, f)


def read_json(path: PathLike, kind: type = dict):
    """Read a JSON object, or with ``kind=list`` an array.

    Raises:
        InputError: The file is missing, is not JSON, or holds something else.
    """
    try:
        with open(path, encoding='utf-8') as f:
            data = json.load(f)
    except FileNotFoundError:
        raise InputError(path, 'no such file', 'a JSON file') from None
    except (json.JSONDecodeError, UnicodeDecodeError) as e:
        raise InputError(path, f'broken JSON ({e})', 'valid JSON') from None
    if not isinstance(data, kind):
        raise InputError(
            path,
            f'a JSON {type(data).__name__}',
            'a JSON object' if kind is dict else f'a JSON {kind.__name__}',
        )
    return data


def _read_png(path: PathLike, flag: int, what: str) -> np.ndarray:
    """Read an image with OpenCV, or say what is wrong with the file."""
    if not os.path.isfile(path):
        raise InputError(path, 'no such file', what)
    image = cv2.imread(str(path), flag)
    if image is None:
        raise InputError(path, 'a file that cannot be decoded', what)
    return image


def read_depth_png(
    path: PathLike, scale: float, shape: tuple | None = None, invalid: int | None = None
) -> np.ndarray:
    """Read a 16-bit depth PNG.

    Args:
        path: The PNG.
        scale: Units per meter (256 KITTI, 100 Virtual KITTI 2).
        shape: Expected (height, width), if known.
        invalid: Raw value that means "no measurement" beside 0 (65535 in Virtual KITTI 2).

    Returns:
        Depth along the camera's z axis, float32 (H, W), meters; 0 = no measurement.

    Raises:
        InputError: Missing, undecodable, not 16-bit single channel, of another size, or a scale
            that is not positive.
    """
    if not scale > 0:
        raise InputError(path, f'depth scale {scale}', 'a scale > 0', 'scale (units per meter)')
    raw = _read_png(path, cv2.IMREAD_UNCHANGED, 'a 16-bit depth PNG')
    if raw.dtype != np.uint16 or raw.ndim != 2:
        channels = 1 if raw.ndim == 2 else raw.shape[2]
        raise InputError(path, f'{channels} channel(s) of {raw.dtype}', '1 channel of uint16')
    if shape is not None and raw.shape != tuple(shape):
        raise InputError(
            path, f'size (h, w) = {raw.shape}', f'{tuple(shape)}, the size of the image'
        )
    # float before any arithmetic: uint16 differences wrap around
    depth = raw.astype(np.float32)
    depth /= np.float32(scale)
    if invalid is not None:
        depth[raw == invalid] = 0
    return depth


def write_depth_png(path: PathLike, depth: np.ndarray, scale: float = KITTI_DEPTH_SCALE) -> None:
    """Write a depth map as 16-bit PNG, atomically.

    Args:
        path: The PNG to write.
        depth: float (H, W), meters; 0 = no measurement.
        scale: Units per meter.

    Raises:
        InputError: A depth that is negative, not finite or beyond the range of 16 bits.
    """
    raw = np.rint(depth.astype(np.float64) * scale)
    if not np.isfinite(raw).all() or raw.min() < 0 or raw.max() > DEPTH_PNG_MAX:
        raise InputError(
            path,
            f'depth from {np.min(depth)} to {np.max(depth)} m',
            f'finite, 0 to {DEPTH_PNG_MAX / scale:.1f} m at scale {scale}',
        )
    # a true measurement must not turn into 0, which means "none"
    raw[(raw == 0) & (depth > 0)] = 1
    with atomic_path(path) as tmp:
        if not cv2.imwrite(tmp, raw.astype(np.uint16)):
            raise OSError(f'cannot write {path}')


def read_depth_map(path: PathLike, scale: float, shape: tuple[int, int]) -> np.ndarray:
    """Read a depth map from a 16-bit PNG, or in meters from a .npy file.

    Args:
        path: The file; its suffix decides.
        scale: Units per meter of a PNG.
        shape: Expected (height, width).

    Returns:
        float32 (H, W), meters; 0 = no measurement.

    Raises:
        InputError: Another suffix, or what :func:`read_depth_png` and :func:`check_depth_map`
            refuse.
    """
    suffix = Path(path).suffix
    if suffix.lower() == '.png':
        return read_depth_png(path, scale, shape)
    if suffix.lower() != '.npy':
        raise InputError(path, f'suffix {suffix!r}', '.png (16 bits) or .npy (meters)')
    return check_depth_map(read_npy(path), path, shape)


def check_depth_map(depth: np.ndarray, source: PathLike, shape: tuple[int, int]) -> np.ndarray:
    """Check an array of depth.

    Args:
        depth: The array.
        source: File or argument, for the message.
        shape: Expected (height, width).

    Returns:
        float32 (H, W), meters; 0 = no measurement.

    Raises:
        InputError: Not floats, of another shape, negative or not finite.
    """
    if depth.dtype.kind != 'f':
        raise InputError(source, f'{depth.dtype}', 'float meters (divide by the units per meter)')
    require_size(depth.shape, shape, source, 'the image')
    if not np.isfinite(depth).all() or depth.min() < 0:
        raise InputError(source, 'negative or not finite values', 'meters, 0 = no measurement')
    return depth.astype(np.float32)


def fit_depth_png(depth: np.ndarray, scale: float = KITTI_DEPTH_SCALE) -> tuple[np.ndarray, int]:
    """Bring a predicted depth map into what a 16-bit PNG holds.

    Args:
        depth: float (H, W), meters.
        scale: Units per meter.

    Returns:
        tuple: the map for :func:`write_depth_png`, 0 where a prediction is not finite or below one
        unit, cut off at the largest depth that fits; and how many pixels were cut off.
    """
    depth = np.where(np.isfinite(depth) & (depth >= 1 / scale), depth, 0)
    limit = DEPTH_PNG_MAX / scale
    return np.minimum(depth, limit), int((depth > limit + 0.5 / scale).sum())


def check_points_file(path: PathLike) -> None:
    """Check name and size of a point cloud's file, without reading it.

    Raises:
        InputError: Missing, another suffix, or no whole number of points.
    """
    path = Path(path)
    require_file(path, 'a point cloud')
    suffix = path.suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise InputError(path, f'suffix {path.suffix!r}', ' or '.join(POINT_SUFFIXES))
    if suffix == '.bin' and path.stat().st_size % 16:
        raise InputError(
            path, f'{path.stat().st_size} bytes', 'float32 x, y, z, reflectance: 16 bytes per point'
        )


def read_points(path: PathLike) -> np.ndarray:
    """Read a point cloud.

    Args:
        path: ``.bin``: float32, four numbers per point (x, y, z, reflectance), as in KITTI; or
            ``.npy``: (N, 3) or more columns, the first three x, y, z.

    Returns:
        float32 (N, 3), meters, in the sensor's frame.

    Raises:
        InputError: Missing, another suffix, or another content.
    """
    check_points_file(path)
    if Path(path).suffix.lower() == '.bin':
        points = np.fromfile(path, dtype='<f4').reshape(-1, 4)
    else:
        points = read_npy(path)
    return check_points(points, path)


def check_points(points: np.ndarray, source: PathLike) -> np.ndarray:
    """Check an array of points.

    Args:
        points: The array.
        source: File or argument, for the message.

    Returns:
        float32 (N, 3), its first three columns.

    Raises:
        InputError: Not (N, 3) or wider, or not finite numbers.
    """
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in 'fiu':
        raise InputError(
            source,
            f'{points.dtype} of shape {points.shape}',
            'numbers (N, 3) or wider: x, y, z in meters',
        )
    points = points[:, :3].astype(np.float32)
    bad = ~np.isfinite(points).all(axis=1)
    if bad.any():
        raise InputError(
            source,
            f'{bad.sum()} of {len(points)} points that are not finite, '
            f'the first in row {bad.argmax()}',
            'finite meters',
        )
    return points


def read_npy(path: PathLike) -> np.ndarray:
    """Read an array from a .npy file, never a pickle.

    Raises:
        InputError: Missing, or no such array.
    """
    try:
        return np.load(path, allow_pickle=False)
    except FileNotFoundError:
        raise InputError(path, 'no such file', 'a .npy file') from None
    except (ValueError, EOFError, OSError) as e:
        raise InputError(
            path, f'a file that cannot be read ({e})', 'an array of numbers as .npy'
        ) from None


def read_panoptic_png(path: PathLike, shape: tuple | None = None) -> np.ndarray:
    """Read a COCO panoptic PNG.

    Returns:
        Segment ids R + 256 G + 65536 B, int32 (H, W); 0 = void.

    Raises:
        InputError: Missing, undecodable, not 8-bit RGB, or of another size.
    """
    raw = _read_png(path, cv2.IMREAD_UNCHANGED, 'a panoptic PNG')
    if raw.dtype != np.uint8 or raw.ndim != 3 or raw.shape[2] != 3:
        raise InputError(
            path, f'{raw.dtype} array of shape {raw.shape}', '8-bit RGB (id = R + 256 G + 65536 B)'
        )
    if shape is not None and raw.shape[:2] != tuple(shape):
        raise InputError(
            path, f'size (h, w) = {raw.shape[:2]}', f'{tuple(shape)}, the size of the image'
        )
    # four bytes R, G, B, A are one little-endian integer; A is masked off
    ids = cv2.cvtColor(raw, cv2.COLOR_BGR2RGBA).view('<i4')[..., 0]
    ids &= 0xFFFFFF
    return ids


def write_panoptic_png(path: PathLike, ids: np.ndarray) -> None:
    """Write segment ids, int (H, W), 0 = void, as a COCO panoptic PNG."""
    ids = ids.astype(np.int64)
    bgr = np.stack([ids >> 16 & 255, ids >> 8 & 255, ids & 255], axis=-1)
    with atomic_path(path) as tmp:
        if not cv2.imwrite(tmp, bgr.astype(np.uint8)):
            raise OSError(f'cannot write {path}')


def read_label_png(path: PathLike, shape: tuple | None = None) -> np.ndarray:
    """Read a label map, uint8 (H, W), from an 8-bit PNG.

    Raises:
        InputError: Missing, undecodable, not 8-bit single channel, or of another size.
    """
    raw = _read_png(path, cv2.IMREAD_UNCHANGED, 'an 8-bit PNG of labels')
    if raw.dtype != np.uint8 or raw.ndim != 2:
        raise InputError(path, f'{raw.dtype} array of shape {raw.shape}', '1 channel of uint8')
    if shape is not None and raw.shape != tuple(shape):
        raise InputError(
            path, f'size (h, w) = {raw.shape}', f'{tuple(shape)}, the size of the image'
        )
    return raw


def write_label_png(path: PathLike, labels: np.ndarray) -> None:
    """Write a label map, uint8 (H, W), as 8-bit PNG, atomically."""
    with atomic_path(path) as tmp:
        if not cv2.imwrite(tmp, labels):
            raise OSError(f'cannot write {path}')
