"""KITTI depth completion, on files that the test writes in its layout."""

import logging
import os
import shutil

import cv2
import numpy as np
import pytest
from kitti_depth_tree import SIZE, TEST, TRAIN, VAL, depth, make_tree
from raw_drive import CAM2IMG
from vkitti2_frames import load, tree

from pandepth_mm.converters.kitti_depth import KittiDepthConverter, main
from pandepth_mm.datasets import PanopticDepthDataset
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_json


@pytest.fixture
def data(tmp_path):
    make_tree(tmp_path / 'depth', tmp_path / 'raw')
    return tmp_path


def convert(data, out='out', **options):
    options = dict(raw=data / 'raw') | options
    return KittiDepthConverter(data / 'depth', **options).run(data / out, progress=False)


def dataset(out, split):
    return PanopticDepthDataset(
        f'annotations/panoptic_{split}.json',
        str(out),
        metainfo=dict(thing_classes=(), stuff_classes=('Road',)),
    )


def test_all_splits(data):
    summary = convert(data)
    assert summary.frames == dict(
        train=3, val=3, val_selection_cropped=2, test_depth_completion_anonymous=2
    )
    for split, count in summary.frames.items():
        assert len(dataset(data / 'out', split)) == count  # every file is found
    train = load(data / 'out')['images'][1]
    assert os.path.samefile(
        data / 'depth' / train['file_name'],
        data / 'raw/2011_09_26' / TRAIN / 'image_02/data/0000000006.jpg',
    )
    assert [train[k] for k in ('scene', 'camera', 'frame')] == [TRAIN, 2, 6]
    np.testing.assert_allclose(train['cam2img'], CAM2IMG)
    for key, share in (('sparse_depth', 1 / 16), ('gt_depth_map', 1 / 4)):
        found = read_depth_png(data / 'out' / train[f'{key}_file'], train[f'{key}_scale'])
        assert (found > 0).mean() == share and found.max() == 10
    cropped, test = (load(data / 'out', s)['images'] for s in list(summary.frames)[2:])
    assert [image['frame'] for image in cropped] == [8, 23]
    assert cropped[0]['cam2img'] == test[0]['cam2img'] == [[300, 0, 160], [0, 300, 40], [0, 0, 1]]
    assert 'gt_depth_map_file' in cropped[0] and 'gt_depth_map_file' not in test[0]
    report = read_json(data / 'out/report.json')
    assert report['missing'] == [] and len(report['frames']) == 10
    assert report['frames'][f'train/{TRAIN}/image_02/0000000005'] == dict(
        sparse_depth_density=0.0625, gt_depth_map_density=0.25
    )


def test_both_cameras_and_archives_of_their_own(data):
    """The two archives of the drives, unpacked side by side."""
    root = data / 'depth'
    for archive, kind in (('data_depth_velodyne', 'groundtruth'), ('data_depth_annotated', 'velo')):
        shutil.copytree(root / 'train', root / archive / 'train')
        for folder in (root / archive).glob(f'train/*/proj_depth/{kind}*'):
            shutil.rmtree(folder)
    shutil.rmtree(root / 'train')
    summary = convert(data, cameras=[3, 2], splits=['train'])
    assert summary.frames == dict(train=6)
    assert [i['camera'] for i in load(data / 'out')['images']] == [2, 2, 2, 3, 3, 3]
    assert len(dataset(data / 'out', 'train')) == 6


def test_images_beside_the_depth(data):
    """As some unpack them: train/DRIVE/image_02, and one day as the root of the raw data."""
    drive = data / 'raw/2011_09_26' / TRAIN
    shutil.move(drive / 'image_02', data / 'depth/train' / TRAIN / 'image_02')
    day = data / 'raw/2011_09_26'
    assert convert(data, raw=day, splits=['train']).frames == dict(train=3)
    name = load(data / 'out')['images'][0]['file_name']
    assert name == f'train/{TRAIN}/image_02/data/0000000005.png'


def test_folders_that_are_links(data):
    """Data sets are often linked into the folder of a project."""
    far = data / 'far/away/on/a/disk'
    far.mkdir(parents=True)
    shutil.move(data / 'depth', far / 'depth')
    shutil.move(data / 'raw', data / 'far/raw')
    (data / 'depth').symlink_to(far / 'depth')
    (data / 'raw').symlink_to(data / 'far/raw')
    convert(data)
    assert len(dataset(data / 'out', 'train')) == 3


def test_missing_images_are_listed(data, caplog, capsys):
    raw = data / 'raw/2011_09_26' / TRAIN / 'image_02/data'
    (raw / '0000000005.png').unlink()
    (data / 'depth' / 'val' / VAL / 'proj_depth/velodyne_raw/image_02/0000000007.png').unlink()
    with caplog.at_level(logging.WARNING):
        args = ['--raw', str(data / 'raw'), '--out', str(data / 'out'), '--workers', '1']
        assert main([str(data / 'depth'), *args]) == 0
    assert '2 of 10 frames left out: 2 files are missing, the first is ' in caplog.text
    assert 'train 2, val 2' in capsys.readouterr().out
    missing = read_json(data / 'out/report.json')['missing']
    assert missing == [
        f'../raw/2011_09_26/{TRAIN}/image_02/data/0000000005.png',
        f'val/{VAL}/proj_depth/velodyne_raw/image_02/0000000007.png',
    ]


def test_shards_and_restart(data):
    convert(data, 'whole')
    converter = KittiDepthConverter(data / 'depth', data / 'raw')
    for index in (0, 1, 2):
        converter.run(data / 'out', progress=False, num_shards=3, shard_index=index)
    converter.run(data / 'out', progress=False, merge=True)
    assert tree(data / 'out') == tree(data / 'whole')
    depth(data / 'depth/train' / TRAIN / 'proj_depth/groundtruth/image_02/0000000006.png', 1 / 2)
    assert convert(data).reused == 9
    shares = read_json(data / 'out/report.json')['frames'][f'train/{TRAIN}/image_02/0000000006']
    assert shares['gt_depth_map_density'] == 0.5


# ---- broken input


def no_root(data):
    shutil.rmtree(data / 'depth')
    return ['depth', 'no such folder']


def no_frames(data):
    shutil.rmtree(data / 'depth')
    (data / 'depth').mkdir()
    return ['no frames', 'proj_depth']


def no_images_at_all(data):
    shutil.rmtree(data / 'depth/depth_selection')
    shutil.rmtree(data / 'raw')
    return ['0000000005.png', 'of none of 6 frames all files', '--raw RAW_ROOT']


def no_calibration(data):
    (data / 'raw/2011_09_28/calib_cam_to_cam.txt').unlink()
    return ['raw/2011_09_28/calib_cam_to_cam.txt', 'no such file', 'the calibration of frame val/']


def depth_of_other_size(data):
    path = data / 'depth/train' / TRAIN / 'proj_depth/groundtruth/image_02/0000000006.png'
    depth(path, 0.5, (100, 400))
    return ['groundtruth/image_02/0000000006.png', '(100, 400)', '(128, 400)']


def depth_of_8_bits(data):
    path = data / 'depth/train' / TRAIN / 'proj_depth/velodyne_raw/image_02/0000000006.png'
    cv2.imwrite(str(path), np.ones(SIZE, np.uint8))
    return ['velodyne_raw/image_02/0000000006.png', 'uint8', 'uint16']


def depth_cut_off(data):
    path = data / 'depth/train' / TRAIN / 'proj_depth/velodyne_raw/image_02/0000000006.png'
    path.write_bytes(path.read_bytes()[:-20])
    return ['velodyne_raw/image_02/0000000006.png', 'cannot be decoded']


def image_cut_off(data):
    path = data / 'raw/2011_09_26' / TRAIN / 'image_02/data/0000000006.jpg'
    path.write_bytes(path.read_bytes()[:-20])
    return ['0000000006.jpg', 'breaks off']


def intrinsics_short(data):
    path = data / 'depth' / TEST / 'intrinsics/0000000001.txt'
    path.write_text('300 0 160')
    return ['intrinsics/0000000001.txt', '3 words']


def intrinsics_not_there(data):
    (data / 'depth' / TEST / 'intrinsics/0000000001.txt').unlink()
    return ['intrinsics/0000000001.txt', 'no such file']


def selection_of_ground_truth(data):
    folder = data / 'depth/depth_selection/val_selection_cropped'
    swap(folder, 'velodyne_raw', 'groundtruth_depth')
    return ['_groundtruth_depth_0000000008_image_02.png', 'another name', 'DRIVE_velodyne_raw_']


def swap(folder, one, other):
    (folder / one).rename(folder / 'between')
    (folder / other).rename(folder / one)
    (folder / 'between').rename(folder / other)


def drives_of_ground_truth(data):
    """In one split; the others are right."""
    swap(data / 'depth/val' / VAL / 'proj_depth', 'velodyne_raw', 'groundtruth')
    return ['depth: val: ', 'at 25.00% of the pixels in velodyne_raw', 'at 6.25% in groundtruth']


LATE = (intrinsics_short, drives_of_ground_truth)  # known only while working


@pytest.mark.parametrize(
    'spoil',
    [
        no_root,
        no_frames,
        no_images_at_all,
        no_calibration,
        depth_of_other_size,
        depth_of_8_bits,
        depth_cut_off,
        image_cut_off,
        intrinsics_short,
        intrinsics_not_there,
        selection_of_ground_truth,
        drives_of_ground_truth,
    ],
    ids=lambda f: f.__name__,
)
def test_bad_input(data, capsys, spoil):
    parts = spoil(data)
    args = ['--raw', str(data / 'raw'), '--out', str(data / 'out'), '--workers', '1']
    assert main([str(data / 'depth'), *args]) == 2
    err = capsys.readouterr().err
    assert err.count('error: ') == 1 and 'Traceback' not in err
    for part in parts + ['found', 'expected']:
        assert part in err
    assert (data / 'out').exists() == (spoil in LATE)
    assert not (data / 'out/annotations').exists() and not (data / 'out/report.json').exists()


def test_swapped_folders_can_be_put_right(data):
    drive = data / 'depth/train' / TRAIN / 'proj_depth'
    convert(data)
    swap(drive, 'velodyne_raw', 'groundtruth')
    with pytest.raises(InputError, match='depth: train: .* 3 of 3 frames .* the wrong way round'):
        convert(data)
    assert not (data / 'out/annotations/panoptic_train.json').exists()
    swap(drive, 'velodyne_raw', 'groundtruth')
    assert convert(data).reused == 7
    assert len(dataset(data / 'out', 'train')) == 3


def test_bad_options(data):
    with pytest.raises(InputError, match="--splits: found 'trainval'; expected one of"):
        convert(data, splits=['trainval'])
    with pytest.raises(InputError, match='--cameras: found 0; expected one of'):
        convert(data, cameras=[0])
    shutil.rmtree(data / 'depth/val')
    with pytest.raises(InputError, match='found no folder val; expected it, as --splits'):
        convert(data, splits=['val'])
