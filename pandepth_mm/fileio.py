"""Reading and writing the files of the data contract.

Depth maps are 16-bit PNG with a scale (units per meter): 256 for KITTI depth completion (0 = no
measurement), 100 for Virtual KITTI 2 (65535 = sky or out of range). Panoptic maps are RGB PNG, id =
R + 256 G + 65536 B, 0 = void.
"""

import contextlib
import errno
import json
import math
import numbers
import os
import re
import struct
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


def check_writable(path: PathLike, flag: str, folder: bool = False) -> None:
    """Refuse an output that cannot be written; leaves nothing behind.

    Args:
        path: A file, or a folder.
        flag: That names it, for the message.
        folder: Which of the two.

    Raises:
        InputError: A file for a folder or a folder for a file, or a place that cannot be written.
    """
    what = 'a folder that can be written' if folder else 'the name of a file that can be written'
    if not str(path):
        raise InputError(flag, 'an empty name', what)
    path = Path(path)
    made: list[Path] = []
    try:
        if path.exists() and path.is_dir() != folder:
            raise InputError(flag, f'{path}, a {"file" if folder else "folder"}', what)
        place = path if folder else path.parent
        missing = [p for p in (place, *place.parents) if not p.exists()]
        for parent in reversed(missing):
            parent.mkdir()
            made.append(parent)
        with tempfile.TemporaryFile(dir=place):
            pass
    except (OSError, ValueError) as e:
        if isinstance(e, InputError):
            raise
        reason = getattr(e, 'strerror', None) or e
        raise InputError(flag, f'{path}, which cannot be written ({reason})', what) from None
    finally:
        for parent in reversed(made):
            with contextlib.suppress(OSError):  # not empty: somebody else writes there
                parent.rmdir()


def is_path(value: Any) -> bool:
    """Whether a value names a file or a folder."""
    return isinstance(value, (str, os.PathLike))


def natural_key(path: PathLike) -> list:
    """Sorts names with numbers by the numbers' values: frame_2 before frame_10."""
    name = os.path.basename(path)
    return [int(p) if p.isdecimal() else p for p in re.split(r'(\d+)', name)] + [name]


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
        with open(path, encoding='utf-8-sig') as f:  # some editors write a byte order mark
            data = json.load(f)
    except FileNotFoundError:
        raise InputError(path, 'no such file', 'a JSON file') from None
    except OSError as e:
        raise InputError(path, f'what cannot be read ({e.strerror})', 'a JSON file') from None
    except (ValueError, RecursionError) as e:  # with numbers too long, lists too deep
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
    if not isinstance(scale, numbers.Real) or not 0 < scale < math.inf:
        raise InputError(path, f'depth scale {scale!r}', 'a scale > 0', 'scale (units per meter)')
    raw = _read_png(path, cv2.IMREAD_UNCHANGED, 'a 16-bit depth PNG')
    _require_depth_type(raw.dtype, 1 if raw.ndim == 2 else raw.shape[2], path)
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


def check_depth_file(path: PathLike, shape: tuple[int, int]) -> None:
    """Check a depth map's file without reading it whole: its header and its end.

    Args:
        path: .png or .npy.
        shape: Expected (height, width).

    Raises:
        InputError: What :func:`read_depth_map` refuses, as far as that shows.
    """
    suffix = Path(path).suffix
    if suffix.lower() not in ('.png', '.npy'):
        raise InputError(path, f'suffix {suffix!r}', '.png (16 bits) or .npy (meters)')
    require_file(path, 'a depth map')
    if suffix.lower() == '.npy':
        depth = read_npy(path, mmap=True)
        _require_float_map(depth, path, shape)
        return
    with open(path, 'rb') as f:
        head = f.read(26)
        f.seek(max(0, os.path.getsize(path) - 1024))
        whole = b'IEND' in f.read()
    if len(head) < 26 or head[:8] != b'\x89PNG\r\n\x1a\n' or not whole:
        raise InputError(path, 'a file that cannot be decoded', 'a 16-bit depth PNG')
    width, height, bits, color = struct.unpack('>IIBB', head[16:])
    channels = {2: 3, 3: 3, 4: 2, 6: 4}.get(color, 1)  # 3: a palette, of RGB colors
    _require_depth_type(np.dtype(f'u{max(bits // 8, 1)}'), channels, path)
    require_size((height, width), shape, path, 'the image')


def _require_depth_type(dtype: np.dtype, channels: int, path: PathLike) -> None:
    """Refuse pixels that are not those of a depth PNG."""
    if dtype != np.uint16 or channels != 1:
        raise InputError(path, f'{channels} channel(s) of {dtype}', '1 channel of uint16')


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
    _require_float_map(depth, source, shape)
    if not np.isfinite(depth).all() or depth.min() < 0:
        raise InputError(source, 'negative or not finite values', 'meters, 0 = no measurement')
    return depth.astype(np.float32)


def _require_float_map(depth: np.ndarray, source: PathLike, shape: tuple[int, int]) -> None:
    """Refuse another type or shape."""
    if depth.dtype.kind != 'f':
        raise InputError(source, f'{depth.dtype}', 'float meters (divide by the units per meter)')
    require_size(depth.shape, shape, source, 'the image')


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


def read_npy(path: PathLike, mmap: bool = False) -> np.ndarray:
    """Read an array from a .npy file, never a pickle.

    Args:
        path: The file.
        mmap: Leave the numbers in the file until they are used.

    Raises:
        InputError: Missing, or no such array.
    """
    try:
        array = np.load(path, allow_pickle=False, mmap_mode='r' if mmap else None)
        if not isinstance(array, np.ndarray):  # an archive of several, .npz
            raise ValueError('several arrays in an archive')
        return array
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
