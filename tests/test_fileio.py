"""Files of points and arrays, and depth that fits a PNG."""

import errno
import tempfile

import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import (
    atomic_path,
    check_points,
    fit_depth_png,
    read_depth_png,
    read_npy,
    read_points,
    write_depth_png,
)

POINTS = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)


def test_points_of_both_formats(tmp_path):
    POINTS.tofile(tmp_path / 'scan.bin')
    POINTS.tofile(tmp_path / 'UPPER.BIN')
    np.save(tmp_path / 'scan.npy', POINTS.astype(np.float64))
    for name in ('scan.bin', 'scan.npy', 'UPPER.BIN'):
        points = read_points(tmp_path / name)
        assert points.dtype == np.float32 and points.shape == (7, 3)
        assert (points == POINTS[:, :3]).all()
    assert check_points(POINTS[:, :3].astype(int), 'points').shape == (7, 3)


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('scan.bin', b'\0' * 20, 'found 20 bytes; expected .*16 bytes per point'),
        ('scan.pcd', b'\0' * 16, r"found suffix '\.pcd'; expected \.bin or \.npy"),
        ('scan.npy', b'\0' * 16, 'found a file that cannot be read'),
        ('missing.bin', None, 'found no such file'),
    ],
)
def test_bad_point_files(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as error:
        read_points(tmp_path / name)
    assert name in str(error.value)


@pytest.mark.parametrize(
    'array',
    [np.zeros((5, 2)), np.zeros(15), np.zeros((5, 3), complex), np.array([['a', 'b', 'c']])],
)
def test_arrays_that_are_no_points(array):
    with pytest.raises(InputError, match='points: found .* of shape'):
        check_points(array, 'points')


def test_pickles_are_not_loaded(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([print], dtype=object))
    with pytest.raises(InputError, match='cannot be read'):
        read_npy(tmp_path / 'a.npy')
    with pytest.raises(InputError, match='no such file'):
        read_npy(tmp_path / 'b.npy')


def test_fit_depth_png(tmp_path):
    depth = np.array(
        [[0, 1 / 300, 1 / 256, 5, 255.996, 256, 300], [np.nan, np.inf, -np.inf, -1, 1, 2, 3]]
    )
    fitted, beyond = fit_depth_png(depth)
    assert beyond == 2  # 256 and 300; infinity is no depth
    write_depth_png(tmp_path / 'd.png', fitted)
    read = read_depth_png(tmp_path / 'd.png', 256)
    limit = 65535 / 256
    expected = [[0, 0, 1 / 256, 5, limit, limit, limit], [0, 0, 0, 0, 1, 2, 3]]
    np.testing.assert_allclose(read, expected, atol=1 / 512)


def test_a_path_that_cannot_be_written_is_bad_input(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'file').write_text('mine')
    for path in (tmp_path / 'folder', tmp_path / 'file' / 'a.png', tmp_path / ('a' * 300)):
        with pytest.raises(InputError, match='cannot be written') as error:
            with atomic_path(path) as tmp:
                (tmp_path / tmp).write_text('new')
        assert str(path) in str(error.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ['file', 'folder']
    assert (tmp_path / 'file').read_text() == 'mine'


def test_a_full_disk_is_no_bad_input(tmp_path, monkeypatch):
    full = OSError(errno.ENOSPC, 'No space left on device')
    with pytest.raises(OSError, match='No space'), atomic_path(tmp_path / 'a.png'):
        raise full
    assert not list(tmp_path.iterdir())

    def refuse(**kwargs):
        raise full

    monkeypatch.setattr(tempfile, 'mkstemp', refuse)
    with pytest.raises(OSError, match='No space'), atomic_path(tmp_path / 'a.png'):
        raise AssertionError('a name was given')
