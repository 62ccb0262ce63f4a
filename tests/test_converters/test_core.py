"""What all converters share, by the example of a converter of another package."""

import os
import shutil
import signal

import cv2
import numpy as np
import pytest
import toy_converter
from toy_converter import ToyConverter
from vkitti2_frames import load, tree

from pandepth_mm.cli.convert import converter_names
from pandepth_mm.cli.main import run
from pandepth_mm.datasets import PanopticDepthDataset
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png

HEIGHT, WIDTH, FRAMES = 20, 30, 5


@pytest.fixture
def root(tmp_path):
    """Frame i has i balls of 2x3 pixels in front of the floor; the top row is void."""
    root = tmp_path / 'in'
    for kind in ('image', 'label', 'depth'):
        (root / kind).mkdir(parents=True)
    for i in range(FRAMES):
        label = np.ones((HEIGHT, WIDTH), np.uint8)
        label[0] = 0
        for ball in range(i):
            label[5:7, 4 * ball : 4 * ball + 3] = 10 + ball
        depth = np.where(label >= 10, 3.0, 8.0) * (label > 0)
        cv2.imwrite(str(root / f'image/{i:02d}.png'), np.stack([label * 20] * 3, -1))
        cv2.imwrite(str(root / f'label/{i:02d}.png'), label)
        np.save(root / f'depth/{i:02d}.npy', depth)
    return root


def convert(root, out, workers=1, overwrite=False, density=0.1, **shard):
    return ToyConverter(root, density).run(out, workers, overwrite, progress=False, **shard)


def test_the_result_is_a_data_set(root, tmp_path):
    summary = convert(root, tmp_path / 'out')
    assert summary.frames == dict(train=4, val=1)
    assert summary.counts == dict(balls=0 + 1 + 2 + 3 + 4)
    dataset = PanopticDepthDataset(
        'annotations/panoptic_train.json',
        str(tmp_path / 'out'),
        metainfo=dict(thing_classes=('Ball',), stuff_classes=('Floor',)),
    )
    info = dataset.get_data_info(2)
    assert info['img_path'] == str(root / 'image/02.png')
    assert [(s['id'], s['category']) for s in info['segments_info']] == [(1, 1), (10, 0), (11, 0)]
    depth = np.load(root / 'depth/02.npy')
    gt = read_depth_png(info['gt_depth_map_path'], info['gt_depth_map_scale'])
    np.testing.assert_array_equal(gt, depth)
    sparse = read_depth_png(info['sparse_depth_path'], info['sparse_depth_scale'])
    assert (sparse > 0).sum() == 60
    np.testing.assert_array_equal(sparse[sparse > 0], depth[sparse > 0])
    instances = load(tmp_path / 'out', 'val', 'instances')['annotations']
    assert [(a['id'], a['image_id']) for a in instances] == [(1, 5), (2, 5), (3, 5), (4, 5)]


def test_two_workers_leave_the_bytes_of_one(root, tmp_path):
    convert(root, tmp_path / 'one')
    convert(root, tmp_path / 'two', workers=2)
    one = tree(tmp_path / 'one')
    assert one == tree(tmp_path / 'two')
    # options, annotations of two splits, and three maps and a result per frame
    assert len(one) == 1 + 4 + 4 * FRAMES


def test_a_restart_does_what_is_missing(root, tmp_path):
    out = tmp_path / 'out'
    convert(root, out)
    before = tree(out)
    (out / 'sparse_depth/01.png').unlink()
    kept = (out / 'sparse_depth/00.png').stat().st_mtime_ns
    assert convert(root, out).reused == FRAMES - 1
    assert tree(out) == before
    assert (out / 'sparse_depth/00.png').stat().st_mtime_ns == kept


def test_parts_leave_the_bytes_of_the_whole(root, tmp_path):
    convert(root, tmp_path / 'whole')
    out = tmp_path / 'parts'
    assert convert(root, out, num_shards=2, shard_index=1).frames == dict(train=2, val=0)
    assert convert(root, out, num_shards=2, shard_index=0).frames == dict(train=2, val=1)
    assert not (out / 'annotations').exists()
    assert convert(root, out).reused == FRAMES
    assert tree(out) == tree(tmp_path / 'whole')
    with pytest.raises(InputError, match='--shard-index: found 2; expected 0 to 1'):
        convert(root, out, num_shards=2, shard_index=2)
    with pytest.raises(InputError, match='--overwrite: found it with --num-shards'):
        convert(root, out, overwrite=True, num_shards=2)


def test_merged_shards_leave_the_bytes_of_the_whole(root, tmp_path):
    """In one folder, or in two that are copied together; a stop and a repetition change nothing."""
    convert(root, tmp_path / 'whole')
    whole = tree(tmp_path / 'whole')
    one, two = tmp_path / 'one', tmp_path / 'two'
    convert(root, one, num_shards=2, shard_index=0)
    missing = '2 of 5 frames not converted .* the first is 01, in the shards 1 of 2'
    for _ in range(2):
        with pytest.raises(InputError, match=missing):
            convert(root, one, merge=True, num_shards=2)
    assert not (one / 'annotations').exists()
    convert(root, two, num_shards=2, shard_index=1)
    shutil.copytree(two, one, dirs_exist_ok=True)
    for _ in range(2):
        assert convert(root, one, merge=True, num_shards=2).frames == dict(train=4, val=1)
        assert tree(one) == whole
    (one / 'panoptic/03.png').unlink()
    with pytest.raises(InputError, match='1 of 5 frames not converted .* the first is 03; exp'):
        convert(root, one, merge=True)
    convert(root, one, num_shards=2, shard_index=1)
    assert not (one / 'annotations/panoptic_train.json').exists()
    convert(root, one, merge=True)
    assert tree(one) == whole


def test_a_merge_does_not_mix_options(root, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    convert(root, one, num_shards=2, shard_index=0)
    with pytest.raises(InputError, match='density: found 0.1; expected 0.2'):
        convert(root, one, density=0.2, merge=True)
    convert(root, two, num_shards=2, shard_index=1, density=0.2)
    shutil.copytree(one, two, dirs_exist_ok=True)  # its options.json too
    with pytest.raises(InputError, match='2 of 5 frames .* in the shards 1 of 2'):
        convert(root, two, merge=True, num_shards=2)
    with pytest.raises(InputError, match='--overwrite: found it with --merge'):
        convert(root, one, overwrite=True, merge=True)
    with pytest.raises(InputError, match='nowhere: --merge: found 5 of 5 frames not converted'):
        convert(root, tmp_path / 'nowhere', merge=True)
    assert not (tmp_path / 'nowhere').exists()


def test_other_options_and_versions_do_not_mix(root, tmp_path, monkeypatch):
    out = tmp_path / 'out'
    convert(root, out)
    before = tree(out)
    with pytest.raises(InputError, match='density: found 0.1; expected 0.2, as in this run'):
        convert(root, out, density=0.2)
    monkeypatch.setattr(ToyConverter, 'version', 2)
    with pytest.raises(InputError, match='version: found 1; expected 2, the version of the conv'):
        convert(root, out)
    monkeypatch.setattr(ToyConverter, 'name', 'other')
    with pytest.raises(InputError, match='annotations but nothing on how they were made'):
        convert(root, out)
    assert tree(out) == before


@pytest.mark.parametrize('workers', [1, 2])
def test_a_bad_frame_is_one_clear_error(root, tmp_path, capfd, workers):
    np.save(root / 'depth/03.npy', np.ones((4, 5)))
    args = [str(root), '--out', str(tmp_path / 'out'), '--workers', str(workers)]
    assert toy_converter.main(args) == 2
    err = capfd.readouterr().err
    assert f'error: {root}/depth/03.npy: found size (h, w) = (4, 5); expected (20, 30)' in err
    assert err.count('error: ') == 1 and 'Traceback' not in err
    assert not (tmp_path / 'out/annotations').exists()


def test_no_access_is_one_clear_error(root, tmp_path, capfd, monkeypatch):
    def refused(self, frame):
        raise PermissionError(13, 'Permission denied', str(root / frame.sources['depth']))

    monkeypatch.setattr(ToyConverter, 'inspect_frame', refused)
    args = [str(root), '--out', str(tmp_path / 'out'), '--workers', '1']
    assert toy_converter.main(args) == 2
    err = capfd.readouterr().err
    expected = 'found no access (Permission denied); expected access to it'
    assert err == f'error: {root}/depth/00.npy: {expected}\n'
    assert not (tmp_path / 'out').exists()


def test_what_names_tell_is_told_before_anything_is_written(root, tmp_path):
    (root / 'label/03.png').unlink()
    with pytest.raises(InputError, match=r'label/03.png: found no such file; .* label of frame 03'):
        convert(root, tmp_path / 'out')
    with pytest.raises(InputError, match='found no frames; expected pictures of balls'):
        convert(tmp_path / 'nowhere', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_interrupt(root, tmp_path, capsys, monkeypatch):
    """Ctrl-C in the third frame; the next run goes on with it."""
    convert_frame = ToyConverter.convert_frame

    def interrupted(self, frame, out):
        if frame.name == '02':
            os.kill(os.getpid(), signal.SIGINT)
        return convert_frame(self, frame, out)

    with monkeypatch.context() as patch:
        patch.setattr(ToyConverter, 'convert_frame', interrupted)
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            args = [str(root), '--out', str(tmp_path / 'out'), '--workers', '1']
            assert toy_converter.main(args) == 130
        finally:
            signal.signal(signal.SIGINT, before)
    assert 'stopped; the same command goes on from here' in capsys.readouterr().err
    assert convert(root, tmp_path / 'out').reused == 2


def test_command(root, tmp_path, capsys):
    """``pandepth-convert`` finds converters of other packages by their path."""
    args = [str(root), '--out', str(tmp_path / 'out'), '--workers', '1', '--density', '0.2']
    assert run('convert', ['toy_converter', *args]) == 0
    assert 'train 4, val 1 (0 done before)' in capsys.readouterr().out
    assert load(tmp_path / 'out')['info']['density'] == 0.2
    for name, message in (
        (
            'toy',
            f"NAME: found toy: No module named 'toy'; expected one of {converter_names()}, or a ",
        ),
        ('nowhere.nothing', "No module named 'nowhere'"),
        ('toy_converter.no', "No module named 'toy_converter.no'"),
        ('pandepth_mm.errors', 'found pandepth_mm.errors without main'),
    ):
        with pytest.raises(SystemExit) as error:
            run('convert', [name, *args])
        assert error.value.code == 2
        assert message in capsys.readouterr().err
