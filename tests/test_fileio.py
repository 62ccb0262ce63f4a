"""Files of arrays and JSON, and depth that fits a PNG."""

import errno
import tempfile

import cv2
import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import (
    atomic_path,
    check_depth_file,
    fit_depth_png,
    natural_key,
    read_depth_map,
    read_depth_png,
    read_json,
    read_npy,
    write_depth_png,
)


def test_pickles_are_not_loaded(tmp_path):
    np.save(tmp_path / 'a.npy', np.array([print], dtype=object))
    with pytest.raises(InputError, match='cannot be read'):
        read_npy(tmp_path / 'a.npy')
    with pytest.raises(InputError, match='no such file'):
        read_npy(tmp_path / 'b.npy')


def test_json(tmp_path):
    """With the byte order mark of some editors, broken, and no file."""
    (tmp_path / 'a.json').write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / 'a.json') == dict(a=1)
    (tmp_path / 'b.json').write_text('[' * 100_000)
    for name, message in (
        ('b.json', 'broken JSON'),
        ('c.json', 'no such file'),
        ('.', 'cannot be read .Is a directory'),
    ):
        with pytest.raises(InputError, match=message):
            read_json(tmp_path / name)


def test_natural_order():
    names = ['b/2.png', 'a/10.png', '1.png', 'x_10', 'x_9', '02.png', 'x']
    expected = ['1.png', '02.png', 'b/2.png', 'a/10.png', 'x', 'x_9', 'x_10']
    assert sorted(names, key=natural_key) == expected


def test_the_header_of_a_depth_map_tells_what_reading_it_would(tmp_path):
    """Each file is refused by both, with the same message."""
    depth = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
    path = tmp_path / 'd.png'
    for array in (depth, depth.astype(np.uint8), np.stack([depth] * 3, 2), depth[:5], depth.T):
        cv2.imwrite(str(path), array)
        messages = []
        for check in (check_depth_file, lambda p, shape: read_depth_map(p, 256, shape)):
            try:
                check(path, (6, 8))
            except InputError as error:
                messages.append(str(error))
        assert len(messages) == (0 if array is depth else 2) and len(set(messages)) <= 1
    cv2.imwrite(str(path), depth)
    whole = path.read_bytes()
    for content in (b'', whole[:20], whole[:-20], b'x' + whole):
        path.write_bytes(content)
        for check in (check_depth_file, lambda p, shape: read_depth_map(p, 256, shape)):
            with pytest.raises(InputError, match='d.png: found a file that cannot be decoded'):
                check(path, (6, 8))


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
