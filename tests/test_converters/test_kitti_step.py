"""The converter of KITTI-STEP, on files in its layout."""

import logging
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import raw_drive
from kitti_step_tree import (
    BUILDING,
    CAR,
    ROAD,
    SEQUENCE,
    SKY,
    TRACK,
    VOID,
    files,
    make_tree,
    panoptic,
    save,
    train_ids,
)
from vkitti2_frames import load, tree

from pandepth_mm.converters import kitti_step
from pandepth_mm.converters.kitti_step import KITTIStepConverter
from pandepth_mm.fileio import read_depth_png, read_panoptic_png

NAMES = {c['name']: c['id'] for c in KITTIStepConverter.categories}


def run(root, out, *flags):
    return kitti_step.main([str(root), '--out', str(out), '--workers', '1', *map(str, flags)])


def maps(out, number=2):
    """The panoptic map, input and ground truth of a frame."""
    name = f'train/{SEQUENCE}/{number:06d}.png'
    depths = [read_depth_png(out / k / name, 256) for k in ('sparse_depth', 'gt_depth_map')]
    return read_panoptic_png(out / 'panoptic' / name), *depths


def errors(depth, truth):
    """Relative errors of the measured pixels."""
    at = (depth > 0) & (truth > 0)
    return np.abs(depth[at] - truth[at]) / truth[at]


@pytest.fixture(scope='module')
def converted(tmp_path_factory):
    """A tree and what it becomes."""
    folder = tmp_path_factory.mktemp('kitti_step')
    root = make_tree(folder / 'in')
    assert run(root, folder / 'out') == 0
    return root, folder / 'out'


def test_panoptic(converted):
    _, out = converted
    data = load(out)
    (image,) = data['images']
    assert image['file_name'] == f'training/image_02/{SEQUENCE}/000002.png'
    assert (image['scene'], image['camera'], image['frame']) == (SEQUENCE, 2, 2)
    np.testing.assert_allclose(image['cam2img'], raw_drive.CAM2IMG)
    labels, ids = train_ids(2), maps(out)[0]
    expected = {
        ROAD: NAMES['road'],
        BUILDING: NAMES['building'],
        SKY: NAMES['sky'],
        CAR: NAMES['car'] + 256,
        VOID: 0,
    }
    for train_id, segment_id in expected.items():
        assert (labels == train_id).any()
        assert ((ids == segment_id) == (labels == train_id)).all()
    (instance,) = load(out, kind='instances')['annotations']
    assert (instance['track_id'], instance['category_id']) == (TRACK, NAMES['car'])
    categories = data['categories']
    assert [c['name'] for c in categories if c['isthing']] == ['person', 'car']
    assert len(categories) == 19 and NAMES['bicycle'] == 19


def test_depth_is_that_of_the_camera(converted):
    _, out = converted
    _, sparse, truth = maps(out)
    exact, labels = raw_drive.true_depth(2), train_ids(2)
    assert np.median(errors(sparse, exact)) < 0.01
    assert (errors(truth, exact) < 0.03).mean() > 0.995
    assert np.count_nonzero(truth) > 2.5 * np.count_nonzero(sparse)
    assert not truth[labels == SKY].any() and sparse[labels == SKY].any()
    on_car = (labels == CAR) & (truth > 0)
    assert on_car.sum() > 50 and (truth[on_car] == sparse[on_car]).all()


def test_without_oxts_the_truth_is_one_scan(converted, tmp_path, caplog):
    _, out = converted
    root = make_tree(tmp_path / 'in', frames=3, oxts=False)
    with caplog.at_level(logging.WARNING):
        assert run(root, tmp_path / 'out') == 0
    assert f'no training/oxts/{SEQUENCE}.txt' in caplog.text
    ids, sparse, truth = maps(tmp_path / 'out')
    assert (ids == maps(out)[0]).all() and (sparse == maps(out)[1]).all()
    assert ((truth == 0) | (truth == sparse)).all() and np.count_nonzero(truth) > 5000


def test_stereo_confirms_the_truth(tmp_path, capsys):
    root = make_tree(tmp_path / 'in', stereo=True)
    assert run(root, tmp_path / 'out') == 0
    assert 'with stereo     1' in capsys.readouterr().out
    _, sparse, truth = maps(tmp_path / 'out')
    assert (errors(truth, raw_drive.true_depth(2)) < 0.05).mean() > 0.999
    assert np.count_nonzero(truth) > np.count_nonzero(sparse)


def test_the_folders_of_deeplab2_and_crowds(tmp_path, capsys):
    """Images in images/{split}, maps in kitti-step/; a car of the instance 0."""
    root = make_tree(tmp_path / 'in', frames=3)
    save(files(root, 2)['panoptic'], panoptic(2, track=0))
    (root / 'images/train').mkdir(parents=True)
    (root / f'training/image_02/{SEQUENCE}').rename(root / f'images/train/{SEQUENCE}')
    (root / 'kitti-step').mkdir()
    (root / 'panoptic_maps').rename(root / 'kitti-step/panoptic_maps')
    assert run(root, tmp_path / 'out') == 0
    data = load(tmp_path / 'out')
    assert data['images'][0]['file_name'] == f'images/train/{SEQUENCE}/000002.png'
    (car,) = (
        s for s in data['annotations'][0]['segments_info'] if s['category_id'] == NAMES['car']
    )
    assert (car['iscrowd'], car['area']) == (1, (train_ids(2) == CAR).sum())
    assert 'things            0 (no thing in 1 frames)' in capsys.readouterr().out


def test_frames_without_a_scan_are_counted(tmp_path, caplog):
    root = make_tree(tmp_path / 'in', frames=4, labeled=(1, 2, 3))
    files(root, 3)['scan'].unlink()
    with caplog.at_level(logging.WARNING):
        assert run(root, tmp_path / 'out') == 0
    assert f'{SEQUENCE}: 1 frames without a scan left out' in caplog.text
    assert [image['frame'] for image in load(tmp_path / 'out')['images']] == [1, 2]


def test_second_run_and_shards_leave_the_same_bytes(tmp_path, capsys):
    root = make_tree(tmp_path / 'in', frames=3, labeled=(1,))
    make_tree(root, frames=3, labeled=(2,), split='val')
    few = ('--neighbors', 1)
    once, parts = tmp_path / 'once', tmp_path / 'parts'
    assert run(root, once, *few) == 0
    before = tree(once)
    (once / f'sparse_depth/val/{SEQUENCE}/000002.png').unlink()
    capsys.readouterr()
    assert run(root, once, *few) == 0
    assert '(1 done before)' in capsys.readouterr().out and tree(once) == before
    for index in (0, 1):
        assert run(root, parts, *few, '--num-shards', 2, '--shard-index', index) == 0
    assert run(root, parts, *few, '--merge') == 0
    assert tree(parts) == before


def test_the_page_names_the_classes():
    page = Path(__file__).parents[2] / 'docs' / 'convert_kitti_step.md'
    (code,) = re.findall(r'^```python .*?\n(.*?)^```', page.read_text(), re.M | re.S)
    config: dict = {}
    exec(code, config)
    classes, counts = config['dataset']['metainfo'], ('num_stuff', 'num_things')
    for key, flag in (('thing_classes', 1), ('stuff_classes', 0)):
        names = [c['name'] for c in KITTIStepConverter.categories if c['isthing'] == flag]
        assert list(classes[key]) == names
        assert config['model'][counts[flag]] == len(names)


# ---- bad input


def drop(kind):
    return lambda root: files(root, 1)[kind].unlink()


def without_line(name):
    def spoil(root):
        path = files(root, 1)['calibration']
        lines = path.read_text().splitlines()
        path.write_text('\n'.join(line for line in lines if not line.startswith(name)))

    return spoil


def put(kind, pixels):
    return lambda root: cv2.imwrite(str(files(root, 1)[kind]), pixels)


CASES = {
    'no root': (lambda root: root.rename(root.with_name('x')), ['no such folder']),
    'no panoptic maps': (
        lambda root: (root / 'panoptic_maps').rename(root / 'x'),
        ['no folder panoptic_maps'],
    ),
    'no image': (drop('image'), ['image_02/0002/000001.png', 'no such file']),
    'no calibration': (drop('calibration'), ['calib/0002.txt', 'no such file']),
    'no scan at all': (drop('scan'), ['no frame with a scan']),
    'no left color camera': (without_line('P2'), ['calib/0002.txt', 'P2']),
    'no place of the LiDAR': (without_line('Tr_velo'), ['calib/0002.txt', 'Tr_velo']),
    'no place of the unit': (without_line('Tr_imu'), ['calib/0002.txt', 'Tr_imu_velo']),
    'a broken record': (
        lambda root: files(root, 1)['oxts'].write_text('1 2 3\n'),
        ['oxts/0002.txt', 'line 1', '30 numbers'],
    ),
    'a map that is no number': (
        lambda root: files(root, 1)['panoptic'].rename(
            files(root, 1)['panoptic'].with_name('a.png')
        ),
        ['a.png', '000000.png'],
    ),
    'a gray map': (
        put('panoptic', np.ones((128, 400), np.uint8)),
        ['panoptic_maps', 'PNG with pixels L', 'RGB'],
    ),
    'a map of another size': (
        put('panoptic', np.zeros((4, 5, 3), np.uint8)),
        ['panoptic_maps', '(4, 5)', '(128, 400)'],
    ),
    'an image of another size': (
        put('image', np.zeros((64, 200, 3), np.uint8)),
        ['calib/0002.txt', 'principal point', '200x64'],
    ),
    'an empty scan': (
        lambda root: files(root, 1)['scan'].write_bytes(b''),
        ['000001.bin', 'no point'],
    ),
    'channels as OpenCV orders them': (
        put('panoptic', panoptic(1)),
        ['panoptic_maps/train/0002/000001.png', 'instances of stuff', 'B, G, R', 'R = class'],
    ),
    'a map of void': (
        put('panoptic', np.full((128, 400, 3), 255, np.uint8)),
        ['panoptic_maps', 'no pixel of a class'],
    ),
}


LATE = ('channels as OpenCV orders them', 'a map of void')  # known only while working


@pytest.mark.parametrize('name', CASES)
def test_bad_input(tmp_path, capsys, name):
    root, out = make_tree(tmp_path / 'in', frames=2, labeled=(1,)), tmp_path / 'out'
    if name == 'no scan at all':
        files(root, 0)['scan'].unlink()
    spoil, parts = CASES[name]
    spoil(root)
    assert run(root, out) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith('error: '), err
    for part in [*parts, 'found', 'expected']:
        assert part in err, err
    assert not list(out.rglob('*.png')) and not list(out.rglob('panoptic_*.json'))
    assert out.exists() == (name in LATE)
