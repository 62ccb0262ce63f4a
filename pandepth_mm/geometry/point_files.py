"""Reading point clouds: .bin as KITTI, nuScenes and others have it, .npy, .ply and .pcd."""

import functools
import logging
import os
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import InputError, require_count, require_file
from pandepth_mm.fileio import PathLike, read_npy

POINT_SUFFIXES = ('.bin', '.npy', '.pcd', '.ply')
_TYPES = ('<f4', '<f8')
_WIDTHS = (4, 3, 5, 6)  # columns of .bin files, the usual one first
_SAMPLE = 245_760  # bytes to tell the width by, whole rows of every width
_MARGIN = 0.4  # nats by which another width must do better than an earlier one
_FAR, _NEAR = 1e6, 0.01  # meters: beyond are no coordinates, but the bits of something else

logger = logging.getLogger(__name__)


def read_points(path: PathLike, columns: int | None = None) -> np.ndarray:
    """Read a point cloud.

    Args:
        path: ``.npy``: (N, 3) or more columns, the first three x, y, z. ``.ply`` and ``.pcd``
            (ascii, binary, binary_compressed): their fields x, y, z. ``.bin``: rows of float32 or
            float64, the first three x, y, z.
        columns: Numbers per row of a ``.bin``. By default 5 where the name ends in ``.pcd.bin``
            (nuScenes), else told by the numbers, see :func:`tell_columns`; a width other than
            KITTI's 4 columns of float32 is logged once.

    Returns:
        float32 (N, 3), meters, in the sensor's frame. Points that are not finite, as drivers write
        them where nothing came back, are left out; how many is logged.

    Raises:
        InputError: Missing, another suffix, another content, or no finite point.
    """
    path = Path(path)
    return check_points(_READERS[_suffix(path)](path, columns), path)


def check_points_file(path: PathLike, columns: int | None = None) -> None:
    """Check a point cloud's file without reading it whole.

    Args:
        path: The file.
        columns: As in :func:`read_points`.

    Raises:
        InputError: Missing, another suffix, a broken header, a size that does not fit, or no point.
    """
    path = Path(path)
    suffix = _suffix(path)
    if suffix == '.bin':
        _layout(path, columns)
    elif suffix == '.pcd':
        _require_points(_pcd_header(path.read_bytes(), path).points, path)
    else:
        points = read_npy(path, mmap=True) if suffix == '.npy' else _read_ply(path, None)
        _require_table(points, path)


def check_points(points: np.ndarray, source: PathLike) -> np.ndarray:
    """Check an array of points.

    Args:
        points: The array.
        source: File or argument, for messages.

    Returns:
        float32 (M, 3), its first three columns where they are finite.

    Raises:
        InputError: Not (N, 3) or wider, not numbers, or no finite point.
    """
    _require_table(points, source)
    with np.errstate(over='ignore'):  # what float32 cannot hold is infinite, and left out
        points = points[:, :3].astype(np.float32)
    good = np.isfinite(points).all(axis=1)
    if not good.any():
        raise InputError(source, f'{len(points)} points, none of them finite', 'finite meters')
    if not good.all():
        logger.warning(
            '%s: %d of %d points are not finite, left out', source, (~good).sum(), len(points)
        )
        points = points[good]
    return points


def tell_columns(content: bytes) -> tuple[str, int] | None:
    """Tell type and number of the columns of a point cloud by its numbers.

    Read with the right width, each column has a distribution of its own, and most are narrow; with
    a wrong one, every column is a mixture of several. So the width is taken whose columns have the
    smallest spread: the mean over the columns of log(standard deviation + 1 cm). Four columns are
    given up, and three for six, only for a clear gain. Numbers of another type show in coordinates
    of 10^6 m and more.

    Args:
        content: The first bytes of the file.

    Returns:
        '<f4' or '<f8' and the number of columns, 3 to 6; None where nothing is plausible.
    """
    for dtype in _TYPES:
        numbers = _as_numbers(content, dtype)
        scores = {w: _spread(numbers, w) for w in _WIDTHS if _is_plausible(numbers, w)}
        if scores:
            limit = min(scores.values()) + _MARGIN
            return dtype, next(width for width in scores if scores[width] <= limit)
    return None


def _as_numbers(content: bytes, dtype: str) -> np.ndarray:
    """Bytes as float64, a rest that is no whole number left out."""
    size = np.dtype(dtype).itemsize
    with np.errstate(invalid='ignore'):
        return np.frombuffer(content[: len(content) // size * size], dtype).astype(np.float64)


def _rows(numbers: np.ndarray, width: int) -> np.ndarray:
    """Numbers as whole rows."""
    return numbers[: len(numbers) // width * width].reshape(-1, width)


def _is_plausible(numbers: np.ndarray, width: int) -> bool:
    """Whether the first three columns can be meters: not huge, and not all next to nothing."""
    xyz = np.abs(_rows(numbers, width)[:, :3])
    xyz = xyz[np.isfinite(xyz)]
    if not len(xyz):  # no point, or none that came back
        return len(numbers) >= width
    return (xyz > _FAR).mean() < 0.01 and xyz.max() > _NEAR


def _spread(numbers: np.ndarray, width: int) -> float:
    """Mean over the columns of the log of their spread."""
    rows = _rows(numbers, width)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore', RuntimeWarning)  # a column of NaN alone
        spread = np.nanstd(np.where(np.isfinite(rows), rows, np.nan), axis=0)
    return float(np.log(np.nan_to_num(spread) + 0.01).mean())


def _layout(path: Path, columns: int | None) -> tuple[str, int]:
    """Type and number of the columns of a .bin file."""
    size = os.path.getsize(path)
    _require_points(size, path)
    with open(path, 'rb') as f:
        content = f.read(_SAMPLE)
    found = tell_columns(content)
    if columns is None and path.name.lower().endswith('.pcd.bin'):
        columns = 5
    if columns is not None:
        require_count(columns, 'point_dims', least=3)
        types = [d for d in _TYPES if _is_plausible(_as_numbers(content, d), columns)]
        if found and columns in _WIDTHS and found[1] != columns:
            _warn_once(f'{path}: read as {columns} columns, but it looks like {found[1]}')
        found = (types[0], columns) if types else None
    fitting = [width for width in sorted(_WIDTHS) if size % (4 * width) == 0]
    advice = (
        f'rows of float32 x, y, z, ...; the size allows {fitting or "none of 3 to 6"} columns, '
        'which point_dims (--point-dims) states'
    )
    if found is None:
        read_as = '3 to 6 columns' if columns is None else f'{columns} columns'
        raise InputError(path, f'{size} bytes that are no meters, read as {read_as}', advice)
    dtype, width = found
    name = f'{width} columns of {np.dtype(dtype).name}'
    row = width * np.dtype(dtype).itemsize
    if size % row:
        raise InputError(
            path, f'{size} bytes that look like {name}, {row} bytes a point, and a rest', advice
        )
    if columns is None and found != (_TYPES[0], _WIDTHS[0]):
        _warn_once(f'{path} and the like: read as {name}, by their look (point_dims states it)')
    return found


@functools.cache
def _warn_once(message: str) -> None:
    """Log a warning, the same one only once."""
    logger.warning(message)


def _suffix(path: Path) -> str:
    """Suffix of a point cloud's file, checked."""
    require_file(path, 'a point cloud')
    suffix = path.suffix.lower()
    if suffix not in POINT_SUFFIXES:
        raise InputError(path, f'suffix {path.suffix!r}', ' or '.join(POINT_SUFFIXES))
    return suffix


def _require_points(count: int, source: PathLike) -> None:
    """Refuse an empty cloud."""
    if not count:
        raise InputError(source, 'no point', 'points; leave them out where there are none')


def _require_table(points: np.ndarray, source: PathLike) -> None:
    """Refuse what is no array of points."""
    if points.ndim != 2 or points.shape[1] < 3 or points.dtype.kind not in 'fiu':
        raise InputError(
            source,
            f'{points.dtype} of shape {points.shape}',
            'numbers (N, 3) or wider: x, y, z in meters',
        )
    _require_points(len(points), source)


def _read_bin(path: Path, columns: int | None) -> np.ndarray:
    """Rows of numbers."""
    dtype, width = _layout(path, columns)
    return np.fromfile(path, dtype=dtype).reshape(-1, width)


def _read_npy(path: Path, columns: int | None) -> np.ndarray:
    """An array; its shape is checked like that of an array given in Python."""
    return read_npy(path)


def _read_ply(path: Path, columns: int | None) -> np.ndarray:
    """Fields x, y, z of the vertices, (N, 3)."""
    from plyfile import PlyData, PlyParseError  # only here: the rest does with numpy

    try:
        vertices = PlyData.read(path)['vertex']
        return np.stack([np.asarray(vertices[axis], np.float64) for axis in 'xyz'], axis=1)
    except (PlyParseError, KeyError, ValueError, OSError, EOFError) as e:
        reason = ' '.join(str(e).split()) or type(e).__name__
        raise InputError(
            path, f'a file that cannot be read ({reason})', 'PLY with x, y, z of an element vertex'
        ) from None


class _PcdHeader(NamedTuple):
    """What the header of a .pcd says.

    Attributes:
        dtype: Of one point, a field per name.
        points: Number of points.
        data: ascii, binary or binary_compressed.
        start: Where the points begin, bytes.
    """

    dtype: np.dtype
    points: int
    data: str
    start: int


def _pcd_header(content: bytes, path: Path) -> _PcdHeader:
    """Read and check the header of a .pcd file."""
    entries: dict[str, list[str]] = {}
    start = 0
    while 'DATA' not in entries:
        end = content.find(b'\n', start)
        if end < 0 or end - start > 4096 or start > 65536:
            raise InputError(path, 'no line DATA', 'a PCD file: a header, its last line DATA')
        words = content[start:end].decode('latin-1').split()
        if words and not words[0].startswith('#'):
            entries[words[0].upper()] = words[1:]
        start = end + 1
    names = entries.get('FIELDS', entries.get('COLUMNS', []))
    try:
        sizes = [int(word) for word in entries['SIZE']]
        counts = [int(word) for word in entries.get('COUNT', ['1'] * len(names))]
        kinds = entries['TYPE']
        points = int((entries.get('POINTS') or [_product(entries)])[0])
        fields = [
            # several fields may be called _, which pads
            (f'{name}_{i}' if names.count(name) > 1 else name, f'<{kind.lower()}{size}', (count,))
            for i, (name, kind, size, count) in enumerate(
                zip(names, kinds, sizes, counts, strict=True)
            )
        ]
        dtype = np.dtype(fields)
        data = entries['DATA'][0].lower()
    except (KeyError, ValueError, TypeError, IndexError) as e:
        raise InputError(
            path, f'a broken header ({e})', 'FIELDS, SIZE, TYPE, POINTS and DATA of a PCD file'
        ) from None
    if not {'x', 'y', 'z'} <= set(dtype.names or ()):
        raise InputError(path, f'the fields {names}', 'x, y and z, one of each', 'FIELDS')
    if data not in ('ascii', 'binary', 'binary_compressed'):
        raise InputError(path, data, 'ascii, binary or binary_compressed', 'DATA')
    rest = len(content) - start
    if points < 0 or (data == 'binary' and rest < points * dtype.itemsize):
        raise InputError(
            path, f'{rest} bytes after the header', f'{points} points of {dtype.itemsize} bytes'
        )
    return _PcdHeader(dtype, points, data, start)


def _product(entries: dict[str, list[str]]) -> str:
    """WIDTH times HEIGHT."""
    return str(int(entries['WIDTH'][0]) * int(entries['HEIGHT'][0]))


def _read_pcd(path: Path, columns: int | None) -> np.ndarray:
    """Fields x, y, z of a .pcd file, float64 (N, 3)."""
    content = path.read_bytes()
    header = _pcd_header(content, path)
    dtype, count = header.dtype, header.points
    if header.data == 'ascii':
        return _pcd_text(content[header.start :], header, path)
    if header.data == 'binary':
        table: Any = np.frombuffer(content, dtype, count, header.start)
        return np.stack([table[axis][:, 0].astype(np.float64) for axis in 'xyz'], axis=1)
    # each field's values one after the other, packed together
    sizes = np.frombuffer(content[header.start : header.start + 8], '<u4')
    packed = content[header.start + 8 :]
    if len(sizes) < 2 or len(packed) < sizes[0] or sizes[1] != count * dtype.itemsize:
        raise InputError(
            path, f'{len(packed)} packed bytes', f'{count} points of {dtype.itemsize} bytes, packed'
        )
    try:
        plain = _unpack_lzf(packed[: sizes[0]], int(sizes[1]))
    except (IndexError, ValueError):
        raise InputError(path, 'broken packed points', 'a complete PCD file') from None
    table, offset = {}, 0
    for name in dtype.names:
        base, shape = dtype[name].subdtype
        table[name] = np.frombuffer(plain, base, count * shape[0], offset).reshape(-1, *shape)
        offset += count * dtype[name].itemsize
    return np.stack([table[axis][:, 0].astype(np.float64) for axis in 'xyz'], axis=1)


def _pcd_text(content: bytes, header: _PcdHeader, path: Path) -> np.ndarray:
    """Points written as text, float64 (N, 3)."""
    starts = dict(
        zip(
            header.dtype.names,
            np.cumsum([0, *(header.dtype[n].shape[0] for n in header.dtype.names)]),
            strict=False,
        )
    )
    rows = [line.split() for line in content.decode('latin-1').splitlines() if line.strip()]
    try:
        points = np.array([[float(row[starts[axis]]) for axis in 'xyz'] for row in rows])
    except (ValueError, IndexError) as e:
        raise InputError(path, f'a broken line ({e})', 'numbers, one point per line') from None
    if len(points) != header.points:
        raise InputError(path, f'{len(points)} points', f'{header.points}, as the header says')
    return points.reshape(-1, 3)


def _unpack_lzf(packed: bytes, size: int) -> bytes:
    """Undo LZF: runs of literal bytes, and copies of what came before."""
    plain = bytearray()
    at = 0
    while at < len(packed):
        control = packed[at]
        at += 1
        if control < 32:  # that many literal bytes, and one
            plain += packed[at : at + control + 1]
            at += control + 1
            continue
        length = control >> 5
        if length == 7:
            length += packed[at]
            at += 1
        start = len(plain) - ((control & 31) << 8) - packed[at] - 1
        at += 1
        length += 2
        if start < 0:
            raise ValueError('a copy from before the beginning')
        while length > 0:  # it may run into itself
            piece = plain[start : start + length]
            plain += piece
            start += len(piece)
            length -= len(piece)
    if len(plain) != size:
        raise ValueError(f'{len(plain)} bytes')
    return bytes(plain)


_READERS = {'.bin': _read_bin, '.npy': _read_npy, '.ply': _read_ply, '.pcd': _read_pcd}
