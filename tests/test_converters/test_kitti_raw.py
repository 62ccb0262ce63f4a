"""KITTI's raw drives, by a small world whose depth is known, and by the genuine frames."""

import shutil

import cv2
import numpy as np
import pytest
import raw_drive
from kitti_frames import DATA
from raw_drive import DAY, DRIVE, HEIGHT, WIDTH, true_depth, write_drive
from vkitti2_frames import load, tree

from pandepth_mm.converters.kitti_raw import KittiRawConverter, main
from pandepth_mm.datasets import PanopticDepthDataset
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_json

GENUINE = DATA / 'kitti_raw'


@pytest.fixture(scope='module')
def still(tmp_path_factory):
    """Five frames of a world in which nothing moves."""
    root = tmp_path_factory.mktemp('still')
    write_drive(root)
    return root


@pytest.fixture(scope='module')
def moving(tmp_path_factory):
    """Five frames of a world in which the box moves."""
    root = tmp_path_factory.mktemp('moving')
    write_drive(root, moving=True)
    return root


def convert(root, out, **options):
    summary = KittiRawConverter(root, **options).run(out, progress=False)
    return summary


def maps(out, number, camera=2):
    name = f'{DAY}/{DRIVE}/image_0{camera}/{number:010d}.png'
    return [read_depth_png(out / kind / name, 256.0) for kind in ('sparse_depth', 'gt_depth_map')]


def wrong(depth, truth, tolerance=0.05):
    """Measured pixels that are off by more than the tolerance, beside edges too."""
    measured = depth > 0
    return (np.abs(depth - truth) > tolerance * truth)[measured].mean()


def test_annotations(still, tmp_path):
    summary = convert(still, tmp_path)
    assert summary.frames == dict(train=5, val=0, test=0)
    panoptic = load(tmp_path)
    assert panoptic['annotations'] == panoptic['categories'] == []
    record = panoptic['images'][1]
    assert record['file_name'] == f'{DAY}/{DRIVE}/image_02/data/0000000001.png'
    assert [record[key] for key in ('scene', 'camera', 'frame')] == [DRIVE, 2, 1]
    np.testing.assert_allclose(record['cam2img'], raw_drive.CAM2IMG)
    # depth alone goes with the classes of any other data
    dataset = PanopticDepthDataset(
        'annotations/panoptic_train.json',
        str(tmp_path),
        metainfo=dict(thing_classes=('Ball',), stuff_classes=()),
    )
    assert len(dataset) == 5 and 'segments_info' not in dataset.get_data_info(0)


@pytest.mark.parametrize('camera', [2, 3])
def test_ground_truth_of_a_still_world(still, tmp_path, camera):
    """The input has the density of a scan, the ground truth twice that, and it is true."""
    convert(still, tmp_path, camera=camera)
    truth = true_depth(2, camera)
    sparse, gt = maps(tmp_path, 2, camera)
    assert np.count_nonzero(gt) > 1.5 * np.count_nonzero(sparse)
    assert wrong(gt, truth) < 0.002
    assert wrong(gt, truth) < wrong(sparse, truth)  # the LiDAR sees past the box
    # all five scans, and not only the frame's own
    assert (
        read_json(tmp_path / 'report.json')['frames'][f'{DAY}/{DRIVE}/image_0{camera}/0000000002'][
            'scans'
        ]
        == 5
    )


@pytest.mark.parametrize('second_camera', [True, False])
def test_what_moved_is_removed(moving, tmp_path, second_camera):
    root = moving
    if not second_camera:
        root = tmp_path / 'in'
        shutil.copytree(moving, root)
        shutil.rmtree(root / DAY / DRIVE / 'image_03')
    summary = convert(root, tmp_path / 'out')
    assert summary.counts['stereo'] == (5 if second_camera else 0)
    assert summary.counts['seen_through'] > 100
    truth = true_depth(2, moving=True)
    _, gt = maps(tmp_path / 'out', 2)
    assert np.count_nonzero(gt) > 0.1 * gt.size
    assert wrong(gt, truth) < (0.003 if second_camera else 0.02)


def test_report(still, tmp_path, capsys):
    assert main([str(still), '--out', str(tmp_path), '--workers', '1']) == 0
    out = capsys.readouterr().out
    report = read_json(tmp_path / 'report.json')['frames']
    assert list(report) == [f'{DAY}/{DRIVE}/image_02/{n:010d}' for n in range(5)]
    for number, shares in enumerate(report.values()):
        sparse, gt = maps(tmp_path, number)
        assert shares['sparse_density'] == round((sparse > 0).mean(), 4)
        assert shares['gt_density'] == round((gt > 0).mean(), 4)
        kept = shares['gt_density'] / shares['accumulated_density']
        assert abs(1 - shares['filtered'] - kept) < 1e-3
        taken = sum(shares[key] for key in ('seen_through', 'hidden', 'unconfirmed'))
        assert abs(taken - shares['filtered']) < 1e-3
    mean = np.mean([shares['gt_density'] for shares in report.values()])
    assert f'gt_depth_map {mean:.2%}' in out and 'with stereo     5 of 5' in out


def test_splits(still, tmp_path):
    flags = dict(train=[f'{DRIVE}:0-1'], test=[f'{DRIVE}:3-9'])
    assert convert(still, tmp_path, **flags).frames == dict(train=2, val=0, test=2)
    assert [image['frame'] for image in load(tmp_path, 'test')['images']] == [3, 4]
    with pytest.raises(InputError, match='two frames 2011_09_26/.*0000000001; expected one'):
        convert(still, tmp_path, train=[f'{DRIVE}:0-1'], val=[f'{DRIVE}:1-2'])


def test_jpeg_gaps_and_a_single_scan(tmp_path, caplog):
    """A JPEG, a frame without a scan, a drive without oxts, the folder of a day as the root."""
    folder = write_drive(tmp_path / 'in', frames=3, suffix='.jpg')
    (folder / 'velodyne_points/data/0000000001.bin').unlink()
    shutil.rmtree(folder / 'oxts')
    with pytest.raises(
        InputError, match='oxts/data: found no files; expected the poses .* --neighbors 0'
    ):
        convert(tmp_path / 'in', tmp_path / 'out')
    summary = convert(tmp_path / 'in' / DAY, tmp_path / 'out', neighbors=0)
    assert summary.frames['train'] == 2 and '1 images without a scan' in caplog.text
    assert load(tmp_path / 'out')['images'][1]['file_name'].endswith('0000000002.jpg')
    sparse, gt = maps(tmp_path / 'out', 2)
    assert ((gt == sparse) | (gt == 0)).all() and 0 < np.count_nonzero(gt) < np.count_nonzero(
        sparse
    )


def test_shards_and_restart(still, tmp_path):
    convert(still, tmp_path / 'whole')
    converter, out = KittiRawConverter(still), tmp_path / 'parts'
    for index in (1, 0):
        converter.run(out, progress=False, num_shards=2, shard_index=index)
    converter.run(out, progress=False, merge=True)
    assert tree(out) == tree(tmp_path / 'whole')
    (out / f'gt_depth_map/{DAY}/{DRIVE}/image_02/0000000003.png').unlink()
    assert converter.run(out, progress=False).reused == 4
    assert tree(out) == tree(tmp_path / 'whole')
    # a neighbor's scan that has changed
    with pytest.raises(InputError, match='neighbors: found 4; expected 1'):
        convert(still, out, neighbors=1)


# ---- broken input


def edit(path, old, new):
    path.write_text(path.read_text().replace(old, new))


def no_drives(root, folder):
    shutil.rmtree(folder)
    return ['no drive', 'DAY/DRIVE']


def no_root(root, folder):
    shutil.rmtree(root)
    return ['no such folder']


def no_calibration(root, folder):
    (root / DAY / 'calib_imu_to_velo.txt').unlink()
    return ['calib_imu_to_velo.txt', 'no such file', 'the calibration of 2011_09_26']


def no_images(root, folder):
    shutil.rmtree(folder / 'image_02')
    return ['image_02/data', 'no files of the kind', '0000000000.png or 0000000000.jpg']


def no_scans(root, folder):
    shutil.rmtree(folder / 'velodyne_points')
    return ['velodyne_points/data', 'no files']


def scans_as_text(root, folder):
    for path in (folder / 'velodyne_points/data').iterdir():
        path.rename(path.with_suffix('.txt'))
    return ['velodyne_points/data', 'no files of the kind', '0000000000.bin']


def no_pose(root, folder):
    (folder / 'oxts/data/0000000001.txt').unlink()
    return ['oxts/data/0000000001.txt', 'no such file']


def image_cut_off(root, folder):
    path = folder / 'image_02/data/0000000001.png'
    path.write_bytes(path.read_bytes()[:-400])
    return ['image_02/data/0000000001.png', 'breaks off']


def second_image_of_other_size(root, folder):
    path = folder / 'image_03/data/0000000001.png'
    cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH - 1, 3), np.uint8))
    return ['image_03/data/0000000001.png', f'({HEIGHT}, {WIDTH - 1})', f'({HEIGHT}, {WIDTH})']


def empty_scan(root, folder):
    (folder / 'velodyne_points/data/0000000000.bin').write_bytes(b'')
    return ['velodyne_points/data/0000000000.bin', 'no point']


def scan_cut_off(root, folder):
    path = folder / 'velodyne_points/data/0000000000.bin'
    path.write_bytes(path.read_bytes()[:-6])
    return ['velodyne_points/data/0000000000.bin', 'and a rest']


def pose_of_words(root, folder):
    (folder / 'oxts/data/0000000001.txt').write_text('north east up')
    return ['oxts/data/0000000001.txt', "'north east up'", 'six numbers']


def pose_cut_off(root, folder):
    (folder / 'oxts/data/0000000001.txt').write_text('49.0 8.0 110')
    return ['oxts/data/0000000001.txt', "'49.0 8.0 110'", 'six numbers']


def calibration_without_camera(root, folder):
    edit(root / DAY / 'calib_cam_to_cam.txt', 'P_rect_03', 'P_rect_09')
    return ['calib_cam_to_cam.txt', 'P_rect_03', '12 numbers']


def calibration_of_other_size(root, folder):
    edit(root / DAY / 'calib_cam_to_cam.txt', f'{WIDTH} {HEIGHT}', '1242 375')
    return ['0000000000.png', f'({HEIGHT}, {WIDTH})', '(375, 1242)', 'S_rect of']


def no_rotation(root, folder):
    edit(root / DAY / 'calib_imu_to_velo.txt', 'R: 1 0 0', 'R: 2 0 0')
    return ['calib_imu_to_velo.txt', 'a rotation']


def pose_of_another_drive(root, folder):
    path = folder / 'oxts/data/0000000001.txt'
    path.write_text(' '.join(['50', *path.read_text().split()[1:]]))
    return ['0000000001.txt', 'm from that of frame 0', 'one drive']


def swap_files(one, two):
    between = one.with_name('between')
    one.rename(between)
    two.rename(one)
    between.rename(two)


def swapped_calibrations(root, folder):
    swap_files(root / DAY / 'calib_velo_to_cam.txt', root / DAY / 'calib_imu_to_velo.txt')
    return [f'{root}: sparse_pixels', '0 in all 5 frames', 'the calibration of this LiDAR']


def scans_in_millimeters(root, folder):
    for path in (folder / 'velodyne_points/data').iterdir():
        (np.fromfile(path, np.float32) * 1000).tofile(path)
    return [f'{root}: sparse_pixels', '0 in all 5 frames', 'scans in meters']


def swapped_cameras(root, folder):
    swap_files(folder / 'image_02', folder / 'image_03')
    return [f'{root}: gt_pixels', '0 in all 5 frames', 'second camera of these frames']


CONTENT_ERRORS = (
    pose_of_words,
    pose_cut_off,
    calibration_without_camera,
    calibration_of_other_size,
    no_rotation,
    pose_of_another_drive,
    swapped_calibrations,
    scans_in_millimeters,
    swapped_cameras,
)


@pytest.mark.parametrize(
    'spoil',
    [
        no_drives,
        no_root,
        no_calibration,
        no_images,
        no_scans,
        scans_as_text,
        no_pose,
        image_cut_off,
        second_image_of_other_size,
        empty_scan,
        scan_cut_off,
        *CONTENT_ERRORS,
    ],
    ids=lambda f: f.__name__,
)
def test_bad_input(still, tmp_path, capsys, spoil):
    root, out = tmp_path / 'in', tmp_path / 'out'
    shutil.copytree(still, root)
    parts = spoil(root, root / DAY / DRIVE)
    assert main([str(root), '--out', str(out), '--workers', '1']) == 2
    err = capsys.readouterr().err
    assert err.count('error: ') == 1 and 'Traceback' not in err
    for part in parts + ['found', 'expected']:
        assert part in err
    assert out.exists() == (spoil in CONTENT_ERRORS)  # the others are known before
    assert not (out / 'annotations').exists()


@pytest.mark.parametrize(
    'flags, message',
    [
        (['--camera', '1'], '--camera: found 1; expected one of [2, 3]'),
        (['--neighbors', '-1'], '--neighbors: found -1'),
        (['--max-depth', '300'], '--max-depth: found 300.0'),
        (['--stereo-tolerance', '0'], '--stereo-tolerance: found 0.0'),
        (['--train', 'drive_9'], "--train: found drive_9; expected one of ['2011_09_26_drive"),
        (['--test', f'{DRIVE}:7-9'], f'--test: found {DRIVE}:7-9, no frame'),
        (['--val', f'{DRIVE}:3-2'], 'DRIVE:FIRST-LAST with frame numbers'),
        (['--val', f'{DRIVE}:3'], 'DRIVE:FIRST-LAST with frame numbers'),
    ],
    ids=lambda x: ' '.join(x) if isinstance(x, list) else '',
)
def test_bad_flags(still, tmp_path, capsys, flags, message):
    out = tmp_path / 'out'
    assert main([str(still), '--out', str(out), '--workers', '1', *flags]) == 2
    assert message in capsys.readouterr().err
    assert not out.exists()


def test_note_where_stereo_confirms_little(still, tmp_path):
    converter = KittiRawConverter(still)
    summary = converter.run(tmp_path, progress=False)
    assert 'disagree' not in converter.describe(summary)
    summary.counts['unconfirmed'] = int(0.7 * summary.counts['accumulated_pixels'])
    last = converter.describe(summary).splitlines()[-1]
    assert 'scans and stereo disagree' in last and last.endswith('and oxts of this day?')


# ---- genuine frames


@pytest.mark.skipif(not GENUINE.is_dir(), reason='no genuine drive beside the project')
def test_genuine_densities(tmp_path):
    drive = '2011_09_26_drive_0009_sync'
    convert(GENUINE, tmp_path, train=[f'{drive}:{n}-{n}' for n in (13, 20, 40)])
    report = read_json(tmp_path / 'report.json')['frames']
    assert len(report) == 3
    for shares in report.values():
        assert 0.035 < shares['sparse_density'] < 0.05
        assert 0.10 < shares['gt_density'] < 0.20
    # without a second camera, and with images of every second frame
    drive = '2011_09_26_drive_sfnd_sync'
    summary = convert(GENUINE, tmp_path / 'b', train=[f'{drive}:30-30'], neighbors=0)
    assert summary.counts['stereo'] == 0 and summary.counts['gt_pixels'] > 10_000
