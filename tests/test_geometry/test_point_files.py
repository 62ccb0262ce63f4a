"""Point clouds in all formats: the same points, or one line."""

import logging
import struct

import numpy as np
import pytest
from kitti_frames import OBJECT, needs_kitti
from plyfile import PlyData, PlyElement

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.point_files import check_points, check_points_file, read_points


def scan(count=2000, seed=0):
    """A turn of a LiDAR on a road: x, y, z in meters, reflectance from 0 to 1."""
    rng = np.random.default_rng(seed)
    azimuth, distance = rng.uniform(-np.pi, np.pi, count), rng.gamma(2, 8, count) + 2
    points = [distance * np.cos(azimuth), distance * np.sin(azimuth), rng.normal(-1, 0.8, count)]
    return np.stack([*points, rng.beta(1, 3, count)], axis=1).astype(np.float32)


POINTS = scan()
RNG = np.random.default_rng(1)
RING = RNG.integers(0, 32, (len(POINTS), 1)).astype(np.float32)
NORMALS = RNG.normal(size=(len(POINTS), 3)).astype(np.float32)
NORMALS /= np.linalg.norm(NORMALS, axis=1, keepdims=True)
TIME = np.linspace(0, 0.1, len(POINTS), dtype=np.float32)[:, None]
WIDE = {
    'KITTI': POINTS,
    'KITTI without reflectance': POINTS * [1, 1, 1, 0],
    'reflectance to 255': POINTS * [1, 1, 1, 255],
    'x, y, z': POINTS[:, :3],
    'nuScenes': np.c_[POINTS * [1, 1, 1, 255], RING],
    'time': np.c_[POINTS, TIME],
    'time of the day': np.c_[POINTS, RING, TIME + 1.6e9],
    'ring and time': np.c_[POINTS, RING, TIME],
    'normals': np.c_[POINTS[:, :3], NORMALS],
    'colors': np.c_[POINTS[:, :3], np.round(NORMALS * 127 + 128)],
}


@pytest.mark.parametrize('dtype', ['<f4', '<f8'])
@pytest.mark.parametrize('kind', WIDE)
def test_the_width_of_bin_is_told_by_the_numbers(kind, dtype, tmp_path):
    """Also of a part, with missing returns, and of few points; with 60 rows every width fits."""
    table = WIDE[kind].astype(dtype)
    dropped = table.copy()
    dropped[::7] = np.nan
    for rows in (table, table[:60], table[700:760], dropped, table[np.argsort(table[:, 2])]):
        rows.tofile(tmp_path / 'scan.bin')
        expected = rows[np.isfinite(rows).all(axis=1), :3].astype(np.float32)
        assert np.array_equal(read_points(tmp_path / 'scan.bin'), expected)
        check_points_file(tmp_path / 'scan.bin')


@needs_kitti
def test_the_width_of_a_genuine_scan(tmp_path):
    points = np.fromfile(OBJECT / 'velodyne_000000.bin', '<f4').reshape(-1, 4)
    ring = np.arange(len(points)) % 64
    for table in (points, points[:, :3], np.c_[points, ring], np.c_[points, ring, ring * 0]):
        for dtype in ('<f4', '<f8'):
            for rows in (table, table[5000:6200], table[::1000]):
                rows.astype(dtype).tofile(tmp_path / 'scan.bin')
                found = read_points(tmp_path / 'scan.bin')
                assert np.array_equal(found, rows[:, :3].astype(np.float32))


def test_stated_widths(tmp_path):
    table = np.c_[POINTS, POINTS].astype('<f4')  # more than is tried
    table.tofile(tmp_path / 'scan.bin')
    for columns in (8, np.int64(8)):
        assert np.array_equal(read_points(tmp_path / 'scan.bin', columns), POINTS[:, :3])
    table.astype('<f8').tofile(tmp_path / 'scan.bin')
    assert np.array_equal(read_points(tmp_path / 'scan.bin', 8), POINTS[:, :3])
    # the name of nuScenes' files
    WIDE['nuScenes'].astype('<f4').tofile(tmp_path / 'SCAN.PCD.bin')
    assert np.array_equal(read_points(tmp_path / 'SCAN.PCD.bin'), POINTS[:, :3])
    for columns in (2, 0, -4, 4.5, True):
        with pytest.raises(InputError, match='point_dims: found .* whole number, at least 3'):
            read_points(tmp_path / 'scan.bin', columns)


def test_one_warning_of_an_unusual_width(tmp_path, caplog):
    for name in ('a.bin', 'b.bin', 'c.bin'):
        (POINTS if name == 'c.bin' else POINTS[:, :3]).tofile(tmp_path / name)
    with caplog.at_level(logging.WARNING):
        for name in ('a.bin', 'a.bin', 'c.bin'):
            read_points(tmp_path / name)
    assert len(caplog.messages) == 1
    assert 'read as 3 columns of float32' in caplog.text and 'point_dims' in caplog.text


def test_a_warning_where_the_stated_width_looks_wrong(tmp_path, caplog):
    POINTS.tofile(tmp_path / 'a.bin')
    assert len(read_points(tmp_path / 'a.bin', 5)) == 1600  # it is obeyed
    assert caplog.messages == [f'{tmp_path}/a.bin: read as 5 columns, but it looks like 4']


def test_points_that_are_not_finite_are_left_out(tmp_path, caplog):
    table = POINTS.copy()
    table[3], table[5, 1], table[7, 3] = np.nan, np.inf, np.nan  # the last has its place
    table.tofile(tmp_path / 'scan.bin')
    found = read_points(tmp_path / 'scan.bin')
    assert np.array_equal(found, np.delete(POINTS, [3, 5], axis=0)[:, :3])
    assert caplog.messages == [f'{tmp_path}/scan.bin: 2 of 2000 points are not finite, left out']
    found = check_points(np.array([[1e300, 0, 0], [1, 2, 3]]), 'points')
    assert found.tolist() == [[1, 2, 3]]
    with pytest.raises(InputError, match='points: found 2 points, none of them finite'):
        check_points(np.full((2, 3), np.nan), 'points')


# ---- npy, ply, pcd


def ply(path, text, names='xyz', dtype='f4'):
    fields = [(name, dtype) for name in names] + [('intensity', 'u1')]
    table = np.zeros(len(POINTS), fields)
    for i, axis in enumerate('xyz'):
        if axis in names:
            table[axis] = POINTS[:, i]
    PlyData([PlyElement.describe(table, 'vertex')], text=text).write(str(path))


def pack_lzf(plain):
    """LZF of bytes: literal runs, and copies of what repeats, found greedily."""
    packed, at, seen, literal = bytearray(), 0, {}, bytearray()

    def flush():
        for i in range(0, len(literal), 32):
            piece = literal[i : i + 32]
            packed.append(len(piece) - 1)
            packed.extend(piece)
        literal.clear()

    while at < len(plain):
        key, start = plain[at : at + 3], seen.get(plain[at : at + 3], -1)
        seen[key] = at
        if len(key) == 3 and 0 <= start and at - start <= 8192:
            length = 3
            while (
                length < 264
                and at + length < len(plain)
                and plain[at + length] == plain[start + length]
            ):
                length += 1
            flush()
            offset, short = at - start - 1, min(length - 2, 7)
            packed.append(short << 5 | offset >> 8)
            if short == 7:
                packed.append(length - 9)
            packed.append(offset & 255)
            at += length
        else:
            literal += plain[at : at + 1]
            at += 1
    flush()
    return bytes(packed)


def pcd(path, data, names='x y z intensity', kind='F4', pad=0, points=POINTS, **changed):
    """A .pcd of POINTS, their fields in any order, perhaps with a padding of 4 bytes."""
    names = names.split()
    fields = [(name, f'<{kind.lower()}') for name in names]
    table = np.zeros(len(points), fields + ([('_', 'u1', (pad,))] if pad else []))
    for i, name in enumerate(('x', 'y', 'z', 'intensity')):
        if name in names:
            table[name] = points[:, i]
    header = dict(
        VERSION='0.7',
        FIELDS=' '.join(names + ['_'] * (pad > 0)),
        SIZE=' '.join([kind[1:]] * len(names) + ['1'] * (pad > 0)),
        TYPE=' '.join(['F'] * len(names) + ['U'] * (pad > 0)),
        COUNT=' '.join(['1'] * len(names) + [str(pad)] * (pad > 0)),
        WIDTH=len(points),
        HEIGHT=1,
        VIEWPOINT='0 0 0 1 0 0 0',
        POINTS=len(points),
        DATA=data,
        **{},
    )
    header.update(changed)
    text = ''.join(f'{k} {v}\n' for k, v in header.items() if v is not None)
    if data == 'ascii':
        rows = [' '.join(repr(float(row[n])) for n in names) + ' 0' * pad for row in table]
        body = '\n'.join(rows).encode()
    elif data == 'binary':
        body = table.tobytes()
    else:
        plain = b''.join(np.ascontiguousarray(table[name]).tobytes() for name in table.dtype.names)
        packed = pack_lzf(plain)
        body = struct.pack('<II', len(packed), len(plain)) + packed
    path.write_bytes(b'# .PCD v0.7 - Point Cloud Data file format\n' + text.encode() + body)


FORMATS = {
    'scan.npy': lambda p: np.save(p, POINTS.astype(np.float64)),
    'UPPER.BIN': lambda p: POINTS.tofile(p),
    'scan.ply': lambda p: ply(p, text=False),
    'text.ply': lambda p: ply(p, text=True),
    'order.ply': lambda p: ply(p, text=False, names='zyxn', dtype='f8'),
    'scan.pcd': lambda p: pcd(p, 'binary'),
    'text.pcd': lambda p: pcd(p, 'ascii'),
    'packed.pcd': lambda p: pcd(p, 'binary_compressed'),
    'order.pcd': lambda p: pcd(p, 'binary', 'intensity z x y', 'F8'),
    'padded.pcd': lambda p: pcd(p, 'binary', pad=4),
    'padded_text.pcd': lambda p: pcd(p, 'ascii', 'y z x', 'F8', 4),
    'padded_packed.pcd': lambda p: pcd(p, 'binary_compressed', 'z intensity y x', 'F8', 12),
    'few.pcd': lambda p: pcd(p, 'binary', POINTS=None, COUNT=None),
}


@pytest.mark.parametrize('name', FORMATS)
def test_formats(name, tmp_path):
    FORMATS[name](tmp_path / name)
    check_points_file(tmp_path / name)
    found = read_points(tmp_path / name)
    assert found.dtype == np.float32 and np.array_equal(found, POINTS[:, :3])


def test_packed_points_that_repeat(tmp_path):
    """Copies that run into themselves, and long ones."""
    points = np.zeros((5000, 4), np.float32)
    points[::3, 0] = 7
    points[100:2000, 1] = np.arange(1900) % 5
    pcd(tmp_path / 'a.pcd', 'binary_compressed', points=points)
    assert (tmp_path / 'a.pcd').stat().st_size < 10_000
    assert np.array_equal(read_points(tmp_path / 'a.pcd'), points[:, :3])


def cut(write, length):
    """A file that is cut off."""

    def make(path):
        write(path)
        path.write_bytes(path.read_bytes()[:length])

    return make


def text(content):
    return lambda path: path.write_bytes(content)


# name, how to write it, message; whether it shows without reading the file whole
BAD = [
    ('a.bin', text(b''), 'found no point', True),
    ('a.bin', text(b'123456789'), 'found 9 bytes that are no meters, read as 3 to 6', True),
    ('a.bin', text(b'a file of text, not of numbers. ' * 99), 'no meters', True),
    ('a.bin', text(b'1.0 2.0 3.5 0.25\n' * 64), 'no meters', True),
    (
        'a.bin',
        cut(FORMATS['UPPER.BIN'], 16 * 1001 + 8),
        r'found 16024 bytes that look like 4 columns of float32, 16 bytes a point, and a rest; '
        r'expected rows .* allows none of 3 to 6 columns, which point_dims',
        True,
    ),
    (
        'a.bin',  # also where another width would fit
        cut(FORMATS['UPPER.BIN'], 16 * 999 + 12),
        r'look like 4 columns of float32.* allows \[3\] columns',
        True,
    ),
    ('a.pcd.bin', cut(FORMATS['UPPER.BIN'], 16 * 1001), 'and a rest', True),
    ('a.xyz', text(b'1 2 3'), r"found suffix '.xyz'; expected .bin or .npy or .pcd or .ply", True),
    ('a.npy', text(b'\0' * 16), 'found a file that cannot be read', True),
    ('a.npy', cut(FORMATS['scan.npy'], 900), 'found a file that cannot be read', True),
    ('a.npy', lambda p: np.save(p, np.zeros((0, 4))), 'found no point', True),
    ('a.npy', lambda p: np.save(p, POINTS[:, :2]), r'found float32 of shape \(2000, 2\)', True),
    ('a.npy', lambda p: np.save(p, np.float32(7)), r'found float32 of shape \(\)', True),
    (
        'a.npy',
        lambda p: np.save(p, np.array([[print] * 3], object)),
        'found a file that cannot be read',
        True,
    ),
    ('a.ply', text(b''), 'found a file that cannot be read .*; expected PLY with x, y, z', True),
    ('a.ply', text(b'\x80' * 99), 'found a file that cannot be read', True),
    ('a.ply', cut(FORMATS['scan.ply'], 999), 'found a file that cannot be read', True),
    ('a.ply', cut(FORMATS['text.ply'], 999), 'found a file that cannot be read', True),
    ('a.ply', lambda p: ply(p, False, 'xyn'), 'found a file that cannot be read', True),
    ('a.pcd', text(b''), 'found no line DATA; expected a PCD file', True),
    ('a.pcd', text(b'DATA ascii\n'), "found a broken header .*'SIZE'", True),
    ('a.pcd', lambda p: pcd(p, 'ascii', SIZE='4 4 x 4'), 'found a broken header', True),
    ('a.pcd', lambda p: pcd(p, 'ascii', COUNT='1 1'), 'found a broken header', True),
    ('a.pcd', lambda p: pcd(p, 'ascii', TYPE='F F Q F'), 'found a broken header', True),
    ('a.pcd', lambda p: pcd(p, 'binary', DATA='zip'), 'DATA: found zip; expected ascii,', True),
    ('a.pcd', lambda p: pcd(p, 'binary', 'x z intensity'), 'FIELDS: found the fields', True),
    ('a.pcd', lambda p: pcd(p, 'binary', POINTS=-1), 'bytes after the header', True),
    ('a.pcd', lambda p: pcd(p, 'binary', points=POINTS[:0]), 'found no point', True),
    ('a.pcd', cut(FORMATS['scan.pcd'], 9999), 'bytes after the header; expected 2000 po', True),
    ('a.pcd', cut(FORMATS['packed.pcd'], 9999), 'packed bytes; expected 2000 points', False),
    ('a.pcd', lambda p: pcd(p, 'ascii', POINTS=9), 'found 2000 points; expected 9', False),
    ('a.pcd', cut(FORMATS['text.pcd'], 9990), 'found a broken line|found [0-9]+ points', False),
    ('a.bin', lambda p: np.full((9, 4), np.nan, '<f4').tofile(p), 'none of them finite', False),
]


@pytest.mark.parametrize('name, write, message, early', BAD)
def test_bad_files(name, write, message, early, tmp_path):
    write(tmp_path / name)
    for check in (read_points, check_points_file)[: 1 + early]:
        with pytest.raises(InputError, match=message) as error:
            check(tmp_path / name)
        assert name in str(error.value) and '\n' not in str(error.value)


@pytest.mark.parametrize('garbage', range(20))
def test_packed_garbage_is_refused(garbage, tmp_path):
    FORMATS['packed.pcd'](tmp_path / 'a.pcd')
    content = bytearray((tmp_path / 'a.pcd').read_bytes())
    rng = np.random.default_rng(garbage)
    start = content.index(b'binary_compressed\n') + 26
    content[start:] = rng.bytes(len(content) - start)
    (tmp_path / 'a.pcd').write_bytes(content)
    with pytest.raises(InputError, match='found broken packed points'):
        read_points(tmp_path / 'a.pcd')


def test_missing_file(tmp_path):
    with pytest.raises(InputError, match='found no such file; expected a point cloud'):
        read_points(tmp_path / 'scan.bin')
    (tmp_path / 'link.bin').symlink_to(tmp_path / 'nothing.bin')
    with pytest.raises(InputError, match='link.bin: found no such file'):
        read_points(tmp_path / 'link.bin')


@pytest.mark.parametrize(
    'array',
    [np.zeros((5, 2)), np.zeros(15), np.zeros((5, 3), complex), np.array([['a', 'b', 'c']])],
)
def test_arrays_that_are_no_points(array):
    with pytest.raises(InputError, match='points: found .* of shape'):
        check_points(array, 'points')
    assert check_points(POINTS[:, :3].astype(int), 'points').shape == (2000, 3)
