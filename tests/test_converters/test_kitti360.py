"""The converter of KITTI-360, on files in its layout."""

import logging
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from kitti360_tree import (
    BUILDING,
    CAR,
    CAR_INSTANCE,
    ROAD_ID,
    SEQUENCE,
    SKY,
    class_ids,
    files,
    make_tree,
    seen,
    write_list,
    write_poses,
)
from raw_drive import CAM2IMG
from vkitti2_frames import load, tree

from pandepth_mm.converters import kitti360
from pandepth_mm.converters.core import labeled_depth
from pandepth_mm.converters.kitti360 import KITTI360Converter
from pandepth_mm.converters.kitti360.labels import category_table
from pandepth_mm.fileio import read_depth_png, read_panoptic_png

NAMES = {c['name']: c['id'] for c in KITTI360Converter.categories}


def run(root, out, *flags):
    return kitti360.main([str(root), '--out', str(out), '--workers', '1', *map(str, flags)])


def maps(out, number=2):
    """The panoptic map, input and ground truth of a frame."""
    name = f'{SEQUENCE}/{number:010d}.png'
    depths = [read_depth_png(out / k / name, 256) for k in ('sparse_depth', 'gt_depth_map')]
    return read_panoptic_png(out / 'panoptic' / name), *depths


def errors(depth, truth):
    """Relative errors of the measured pixels."""
    at = (depth > 0) & (truth > 0)
    return np.abs(depth[at] - truth[at]) / truth[at]


@pytest.fixture(scope='module')
def converted(tmp_path_factory):
    """A tree and what it becomes."""
    folder = tmp_path_factory.mktemp('kitti360')
    root = make_tree(folder / 'KITTI-360')
    assert run(root, folder / 'out') == 0
    return root, folder / 'out'


def test_panoptic(converted):
    _, out = converted
    data = load(out)
    (image,) = data['images']
    assert image['file_name'] == f'data_2d_raw/{SEQUENCE}/image_00/data_rect/0000000002.png'
    assert (image['scene'], image['camera'], image['frame']) == (SEQUENCE, 0, 2)
    np.testing.assert_allclose(image['cam2img'], CAM2IMG)
    semantic = class_ids(seen(2)[0], 2)
    ids = maps(out)[0]
    expected = {
        ROAD_ID: NAMES['road'],
        BUILDING: NAMES['building'],
        SKY: NAMES['sky'],
        CAR: NAMES['car'] + 256,
    }
    for class_id, segment_id in expected.items():
        assert (semantic == class_id).sum() > 500
        assert ((ids == segment_id) == (semantic == class_id)).all()
    assert [s['iscrowd'] for s in data['annotations'][0]['segments_info']] == [0] * 4
    (instance,) = load(out, kind='instances')['annotations']
    assert instance['track_id'] == CAR_INSTANCE and instance['category_id'] == NAMES['car']
    assert [c['name'] for c in data['categories'] if c['isthing']] == [
        'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle',
    ]  # fmt: skip


def test_depth_is_that_of_the_camera(converted):
    _, out = converted
    _, sparse, truth = maps(out)
    exact = seen(2)[1]
    # the LiDAR sees past the edges of the box: that the input keeps, and the truth does not
    assert np.median(errors(sparse, exact)) < 0.01
    assert (errors(sparse, exact) < 0.03).mean() > 0.97
    assert (errors(truth, exact) < 0.03).mean() > 0.995
    assert np.count_nonzero(truth) > 2.5 * np.count_nonzero(sparse)
    semantic = class_ids(seen(2)[0], 2)
    assert not truth[semantic == SKY].any() and sparse[semantic == SKY].any()
    # of things, which may move, only the scan of the frame
    on_car = (semantic == CAR) & (truth > 0)
    assert on_car.sum() > 50 and (truth[on_car] == sparse[on_car]).all()


def test_both_files_of_poses_say_the_same(converted, tmp_path):
    _, out = converted
    root = make_tree(tmp_path / 'in')
    (root / 'data_poses' / SEQUENCE / 'cam0_to_world.txt').unlink()
    write_poses(root, range(5), 'poses.txt')
    assert run(root, tmp_path / 'out') == 0
    for found, expected in zip(maps(tmp_path / 'out'), maps(out), strict=True):
        assert (np.abs(found - expected) <= 1 / 256).mean() > 0.9999


def test_moving_thing_leaves_no_trail(tmp_path, monkeypatch):
    """Of the places where the box was before and is later, little is left."""
    root = make_tree(tmp_path / 'in', moving=True)
    shares = []
    for out in (tmp_path / 'out', tmp_path / 'unfiltered'):
        assert run(root, out) == 0
        shares.append((errors(maps(out)[2], seen(2, moving=True)[1]) > 0.05).mean())
        monkeypatch.setattr(labeled_depth, 'filter_depth', lambda depth, *_: (depth, {}))
    assert shares[0] < 0.02 and shares[0] < 0.15 * shares[1]


def test_stereo_confirms_the_truth(tmp_path, capsys):
    root = make_tree(tmp_path / 'in', stereo=True)
    assert run(root, tmp_path / 'out') == 0
    printed = capsys.readouterr().out
    assert 'with stereo     1' in printed and 'unconfirmed' in printed
    _, sparse, truth = maps(tmp_path / 'out')
    assert (errors(truth, seen(2)[1]) < 0.05).mean() > 0.999
    assert np.count_nonzero(truth) > np.count_nonzero(sparse)


def test_no_neighbors_and_the_range(converted, tmp_path):
    root, out = converted
    assert run(root, tmp_path / 'out', '--neighbors', '0', '--max-depth', '20') == 0
    _, sparse, truth = maps(tmp_path / 'out')
    _, all_sparse, _ = maps(out)
    assert (sparse[all_sparse > 20.01] == 0).all() and (all_sparse > 20.01).sum() > 1000
    near = all_sparse < 19.99
    assert (sparse[near] == all_sparse[near]).all()
    assert ((truth == 0) | (truth == sparse)).all()


def test_crowds_and_instances_of_another_class(tmp_path, capsys):
    root = make_tree(tmp_path / 'in')
    path = files(root, 2)['instance']
    instance = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    rows, cols = np.nonzero(instance == CAR_INSTANCE)
    half = cols < np.median(cols)
    instance[rows[half], cols[half]] = CAR * 1000  # no number
    instance[rows[-3:], cols[-3:]] = 24001  # a person's, on pixels of the car
    cv2.imwrite(str(path), instance)
    assert run(root, tmp_path / 'out') == 0
    segments = load(tmp_path / 'out')['annotations'][0]['segments_info']
    crowd, car = (s for s in segments if s['category_id'] == NAMES['car'])
    odd = int((cols[-3:] >= np.median(cols)).sum())
    assert (crowd['iscrowd'], crowd['area']) == (1, half.sum() + odd)
    assert (car['iscrowd'], car['area']) == (0, (~half).sum() - odd)
    assert 'odd instances     3 pixels' in capsys.readouterr().out


def test_frames_that_are_left_out_are_counted(tmp_path, caplog):
    """Of a sequence that is not there, and without a scan or a pose."""
    root = make_tree(tmp_path / 'in', labeled=(1, 2, 3))
    path = write_list(root, 'train', (1, 2, 3))
    other = path.read_text().replace('drive_0000', 'drive_0004')
    path.write_text(path.read_text() + other)
    write_list(root, 'val', ())
    files(root, 3)['scan'].unlink()
    write_poses(root, (0, 2, 3, 4))
    with caplog.at_level(logging.WARNING):
        assert run(root, tmp_path / 'out') == 0
    assert [image['frame'] for image in load(tmp_path / 'out')['images']] == [2]
    for text in (
        f'{SEQUENCE}: 1 frames left out, no scan',
        f'{SEQUENCE}: 1 frames left out, no pose',
        '2013_05_28_drive_0004_sync: 3 frames left out, no folder of images',
    ):
        assert text in caplog.text


def test_second_run_and_shards_leave_the_same_bytes(tmp_path, capsys):
    root = make_tree(tmp_path / 'in', labeled=(1, 2))
    write_list(root, 'val', (2,))
    write_list(root, 'train', (1,))
    few = ('--neighbors', 1)
    once, parts = tmp_path / 'once', tmp_path / 'parts'
    assert run(root, once, *few) == 0
    before = tree(once)
    (once / 'gt_depth_map' / SEQUENCE / '0000000001.png').unlink()
    capsys.readouterr()
    assert run(root, once, *few) == 0
    assert '(1 done before)' in capsys.readouterr().out and tree(once) == before
    for index in (0, 1):
        assert run(root, parts, *few, '--num-shards', 2, '--shard-index', index) == 0
    assert run(root, parts, *few, '--merge') == 0
    assert tree(parts) == before


def test_ids_of_the_label_table():
    """All 45 ids: 22 of them belong to the 19 classes; garage, gate and small pole to others."""
    table = category_table()
    names = {0: 'void', **{c['id']: c['name'] for c in KITTI360Converter.categories}}
    found = [names[category] for category in table[:45]]
    assert sum(name != 'void' for name in found) == 22 and not table[45:].any()
    assert [found[i] for i in (7, 11, 34, 13, 35, 17, 37, 23, 24, 26, 33)] == [
        'road', 'building', 'building', 'fence', 'fence', 'pole', 'pole', 'sky', 'person', 'car',
        'bicycle',
    ]  # fmt: skip
    assert {found[i] for i in (0, 6, 9, 14, 29, 30, 38, 41, 44)} == {'void'}


def test_the_page_names_the_classes():
    page = Path(__file__).parents[2] / 'docs' / 'convert_kitti360.md'
    (code,) = re.findall(r'^```python .*?\n(.*?)^```', page.read_text(), re.M | re.S)
    config: dict = {}
    exec(code, config)
    classes, counts = config['dataset']['metainfo'], ('num_stuff', 'num_things')
    for key, flag in (('thing_classes', 1), ('stuff_classes', 0)):
        names = [c['name'] for c in KITTI360Converter.categories if c['isthing'] == flag]
        assert list(classes[key]) == names
        assert config['model'][counts[flag]] == len(names)


# ---- bad input


def text(name, content):
    return lambda root: (root / name).write_text(content)


def put(kind, pixels):
    return lambda root: cv2.imwrite(str(files(root, 2)[kind]), pixels)


def drop(kind):
    return lambda root: files(root, 2)[kind].unlink()


LIST = 'data_2d_semantics/train/2013_05_28_drive_train_frames.txt'
POSES = f'data_poses/{SEQUENCE}/cam0_to_world.txt'
CASES = {
    'no root': (lambda root: root.rename(root.with_name('x')), ['no such folder']),
    'no calibration': (
        lambda root: (root / 'calibration').rename(root / 'x'),
        ['calibration', 'no such file'],
    ),
    'no camera': (text('calibration/perspective.txt', 'S_rect_00: 4 4'), ['perspective.txt']),
    'a place of 11 numbers': (
        text('calibration/calib_cam_to_velo.txt', '1 ' * 11),
        ['calib_cam_to_velo.txt', '11 numbers'],
    ),
    'no list': (lambda root: (root / LIST).unlink(), ['no list of frames', LIST]),
    'a line of something else': (text(LIST, 'image_00/1.png'), [LIST, 'line 1', 'SEQUENCE']),
    'an empty list': (text(LIST, '\n'), ['no frame to convert', 'empty']),
    'no labels': (drop('semantic'), ['semantic/0000000002.png', 'no such file']),
    'no sequence': (
        lambda root: (root / 'data_2d_raw').rename(root / 'x'),
        ['no frame to convert', 'no folder of images'],
    ),
    'a frame in the list twice': (
        lambda root: write_list(root, 'val', (2,)),
        ['two frames', '0000000002'],
    ),
    'poses of 15 numbers': (text(POSES, '2 ' + '1 ' * 15), [POSES, 'line 1', '16 numbers']),
    'no poses': (text(POSES, ''), [POSES, 'no pose']),
    'labels of another size': (
        put('semantic', np.full((5, 6), 7, np.uint8)),
        ['semantic/0000000002.png', '(5, 6)', '(128, 400)'],
    ),
    'instances in colors': (
        put('instance', np.ones((128, 400, 3), np.uint8)),
        ['instance/0000000002.png', 'RGB'],
    ),
    'an image of another size': (
        put('image', np.ones((64, 200, 3), np.uint8)),
        ['perspective.txt', '400x128', '200x64'],
    ),
    'an empty scan': (lambda root: files(root, 2)['scan'].write_bytes(b''), ['.bin', 'no point']),
    'no pixel of a class': (
        put('semantic', np.zeros((128, 400), np.uint8)),
        ['semantic/0000000002.png', 'no pixel of a class'],
    ),
    'a neighbor cut off': (
        lambda root: files(root, 1)['scan'].write_bytes(bytes(7)),
        ['0000000001.bin', '7 bytes'],
    ),
}
LATE = ('no pixel of a class', 'a neighbor cut off')


@pytest.mark.parametrize('name', CASES)
def test_bad_input(tmp_path, capsys, name):
    root, out = make_tree(tmp_path / 'in', scans=3), tmp_path / 'out'
    spoil, parts = CASES[name]
    spoil(root)
    assert run(root, out, '--neighbors', 1) == 2
    err = capsys.readouterr().err.strip().splitlines()[-1]
    assert err.startswith('error: '), err
    for part in [*parts, 'found', 'expected']:
        assert part in err, err
    assert not list(out.rglob('*.png')) and not list(out.rglob('panoptic_*.json'))
    assert out.exists() == (name in LATE)


@pytest.mark.parametrize(
    'flags', [['--neighbors', '-1'], ['--max-depth', '0'], ['--val-frames', 'gone.txt']]
)
def test_bad_flags(tmp_path, capsys, flags):
    root = make_tree(tmp_path / 'in', scans=1, labeled=(0,))
    assert run(root, tmp_path / 'out', *flags) == 2
    assert flags[-1 if 'gone.txt' in flags else 0] in capsys.readouterr().err
