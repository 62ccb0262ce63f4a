"""Sparse depth of point clouds: by hand, against OpenCV, and what is refused."""

import json
import shutil

import cv2
import numpy as np
import pytest
from points_tree import CAM2IMG, HEIGHT, WIDTH, cloud, from_camera, make_tree
from vkitti2_frames import load, tree

from pandepth_mm.converters.points_to_depth import PointsToDepthConverter, main
from pandepth_mm.converters.points_to_depth.distortion import project_distorted, turning_radius
from pandepth_mm.datasets import PanopticDepthDataset
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_json

LENS = [-0.3, 0.1, 0.001, -0.001, -0.02]


@pytest.fixture
def root(tmp_path):
    return make_tree(tmp_path / 'in')


def convert(root, out, **options):
    options = dict(calib='calib.json') | options
    return PointsToDepthConverter(root, **options).run(out, progress=False)


def nearest(uv, z):
    """The nearest point of each pixel, point by point."""
    depth = np.zeros((HEIGHT, WIDTH))
    for (u, v), d in zip(uv, z, strict=True):
        row, col = int(np.floor(v + 0.5)), int(np.floor(u + 0.5))
        if 0 <= row < HEIGHT and 0 <= col < WIDTH and d <= 80:
            if depth[row, col] == 0 or d < depth[row, col]:
                depth[row, col] = d
    return depth


@pytest.mark.parametrize('lens', [None, LENS])
def test_depth(root, tmp_path, lens):
    summary = convert(root, tmp_path / 'out', distortion=lens)
    assert summary.frames == dict(test=3) and summary.counts['hidden'] == 0
    for i in range(3):
        points = cloud(i)
        uv = cv2.projectPoints(
            points, np.zeros(3), np.zeros(3), CAM2IMG, np.array(lens or [0.0] * 4)
        )[0][:, 0]
        expected = nearest(uv, points[:, 2])
        found = read_depth_png(tmp_path / f'out/sparse_depth/day/{i:04d}.png', 256.0)
        assert np.count_nonzero(found) > 100
        np.testing.assert_array_equal(found > 0, expected > 0)
        np.testing.assert_allclose(found, expected, atol=1 / 500)
    report = read_json(tmp_path / 'out/report.json')['frames']['day/0002']
    assert abs(report['sparse_density'] - (found > 0).mean()) < 1e-4 and report['hidden'] == 0


def test_the_result_is_a_data_set(root, tmp_path):
    convert(root, tmp_path / 'out')
    dataset = PanopticDepthDataset(
        'annotations/panoptic_test.json',
        str(tmp_path / 'out'),
        metainfo=dict(thing_classes=(), stuff_classes=('Road',)),
    )
    info = dataset.get_data_info(1)
    assert info['img_path'] == str(root / 'images/day/0001.png')
    assert 'gt_depth_map_path' not in info
    np.testing.assert_array_equal(info['cam2img'], CAM2IMG)


def test_filter(root, tmp_path):
    """A plate in front of a wall, both measured every 2 rows and columns; one point shines through.

    At 50 pixels of focal length 1.2 and 2.4 degrees are 1.05 and 2.1 pixels.
    """
    v, u = (grid.ravel() for grid in np.mgrid[10:50:2, 10:70:2])
    z = np.where((u > 20) & (u < 40), 5.0, 20.0)
    z[(u == 30) & (v == 30)] = 20
    rays = np.c_[u, v, np.ones(len(u))] @ np.linalg.inv(CAM2IMG).T
    np.save(root / 'points/day/0000.npy', from_camera(rays * z[:, None]))
    convert(root, tmp_path / 'all')
    convert(root, tmp_path / 'seen', beam_steps=[2.4, 2.4])
    before, after = (
        read_depth_png(tmp_path / f'{out}/sparse_depth/day/0000.png', 256.0)
        for out in ('all', 'seen')
    )
    assert before[30, 30] == 20 and after[30, 30] == 0
    assert np.count_nonzero(before) == len(z) and (before != after).sum() == 1


def test_points_far_outside_of_the_lens_do_not_come_back(root):
    """k1 = -0.3 turns round where 1 = 0.9 r^2; beyond, OpenCV puts points into the image."""
    assert abs(turning_radius([-0.3, 0, 0, 0]) - np.sqrt(1 / 0.9)) < 1e-3
    assert turning_radius([0.2, 0.1, 0, 0]) == np.inf
    assert turning_radius([0, 0, 0, 0, 0, -0.25, 0, 0]) <= 2  # the denominator's zero
    far = np.array([[1.75, 0, 1.0], [0.5, 0, 1], [0, 0, -1]])
    ghost = cv2.projectPoints(far, np.zeros(3), np.zeros(3), CAM2IMG, np.array([-0.3, 0, 0, 0.0]))
    assert 0 < ghost[0][0, 0, 0] < WIDTH
    uv, depth = project_distorted(far, CAM2IMG, [-0.3, 0, 0, 0])
    np.testing.assert_array_equal(depth, [1, 1, -1])
    assert np.isnan(uv[[0, 2]]).all()
    np.testing.assert_allclose(uv[1], ghost[0][1, 0])
    assert project_distorted(far[2:], CAM2IMG, LENS)[0].shape == (1, 2)


def test_a_calibration_per_frame_and_missing_clouds(root, tmp_path, caplog):
    for i, focal in enumerate((50, 60, 70)):
        calibration = json.loads((root / 'calib.json').read_text())
        calibration['cam2img'][0][0] = focal
        (root / f'calib/day/{i:04d}.json').parent.mkdir(parents=True, exist_ok=True)
        (root / f'calib/day/{i:04d}.json').write_text(json.dumps(calibration))
    (root / 'points/day/0001.npy').unlink()
    convert(root, tmp_path / 'out', calib='calib', split='mine')
    focals = [image['cam2img'][0][0] for image in load(tmp_path / 'out', 'mine')['images']]
    assert focals == [50, 70]
    assert '1 of 3 images without a point cloud or calibration left out' in caplog.text


def test_kitti_raw_calibration_and_restart(root, tmp_path, capsys):
    """The two files of KITTI raw; all is made anew when one of them changes."""
    day = root / 'calib'
    day.mkdir()
    numbers = ' '.join(map(str, np.c_[CAM2IMG, np.zeros(3)].ravel()))
    (day / 'calib_cam_to_cam.txt').write_text(
        f'P_rect_02: {numbers}\nR_rect_00: 1 0 0 0 1 0 0 0 1\n'
    )
    place = day / 'calib_velo_to_cam.txt'
    place.write_text('R: 0 -1 0 0 0 -1 1 0 0\nT: 0 -0.3 0\n')
    args = [str(root), '--workers', '1', '--beam-steps', '0.18', '0.43', '--out']
    assert main([*args, str(tmp_path / 'raw')]) == 0
    assert 'the filter took' in capsys.readouterr().out
    assert main([*args, str(tmp_path / 'json'), '--calib', 'calib.json']) == 0
    maps = [{k: v for k, v in tree(tmp_path / o).items() if 'png' in k} for o in ('raw', 'json')]
    assert maps[0] == maps[1] and len(maps[0]) == 3
    assert main([*args, str(tmp_path / 'raw')]) == 0
    assert '(3 done before)' in capsys.readouterr().out
    place.write_text(place.read_text().replace('-0.3', '0.3'))
    assert main([*args, str(tmp_path / 'raw')]) == 0
    assert '(0 done before)' in capsys.readouterr().out


def test_shards(root, tmp_path):
    convert(root, tmp_path / 'whole')
    converter = PointsToDepthConverter(root, calib='calib.json')
    for index in (0, 1):
        converter.run(tmp_path / 'out', progress=False, num_shards=2, shard_index=index)
    converter.run(tmp_path / 'out', progress=False, merge=True)
    assert tree(tmp_path / 'out') == tree(tmp_path / 'whole')


# ---- broken input


def edit(root, **values):
    calibration = json.loads((root / 'calib.json').read_text()) | values
    (root / 'calib.json').write_text(json.dumps({k: v for k, v in calibration.items() if v}))


def no_images(root):
    shutil.rmtree(root / 'images')
    return ['--images', 'no such folder']


def no_calibration(root):
    (root / 'calib.json').unlink()
    return ['--calib', 'calib.json, no such file']


def other_names(root):
    (root / 'points/day').rename(root / 'points/night')
    return ['3 images, 3 point clouds and 1 calibrations', 'the same names']


def calibration_without_lidar(root):
    edit(root, lidar2cam=None)
    return ['calib.json', 'no lidar2cam', 'the place of the LiDAR']


def calibration_of_other_size(root):
    edit(root, image_size=[640, 480])
    return ['0000.png', '(60, 80)', '(480, 640)', 'calib.json']


def calibration_broken(root):
    (root / 'calib.json').write_text('{"cam2img": [')
    return ['calib.json', 'broken JSON']


def points_of_two_columns(root):
    np.save(root / 'points/day/0001.npy', np.ones((5, 2)))
    return ['0001.npy', '(5, 2)', '(N, 3)']


def points_empty(root):
    np.save(root / 'points/day/0001.npy', np.ones((0, 3)))
    return ['0001.npy', 'no point']


def points_not_finite(root):
    np.save(root / 'points/day/0001.npy', np.full((5, 3), np.nan))
    return ['0001.npy', 'none of them finite']


def inverse_place(root):
    content = json.loads((root / 'calib.json').read_text())
    content['lidar2cam'] = np.linalg.inv(content['lidar2cam']).tolist()
    (root / 'calib.json').write_text(json.dumps(content))
    return [f'{root}: sparse_pixels', '0 in all 3 frames', 'from the LiDAR to the camera']


def place_in_millimeters(root):
    content = json.loads((root / 'calib.json').read_text())
    matrix = np.array(content['lidar2cam'])
    matrix[:3, 3] *= 1000
    (root / 'calib.json').write_text(json.dumps(dict(content, lidar2cam=matrix.tolist())))
    return [f'{root}: sparse_pixels', '0 in all 3 frames', 'in meters']


LATE = (points_not_finite, inverse_place, place_in_millimeters)  # known only while working


def image_broken(root):
    (root / 'images/day/0002.png').write_bytes(b'no image')
    return ['0002.png', 'cannot be decoded']


@pytest.mark.parametrize(
    'spoil',
    [
        no_images,
        no_calibration,
        other_names,
        calibration_without_lidar,
        calibration_of_other_size,
        calibration_broken,
        points_of_two_columns,
        points_empty,
        image_broken,
        *LATE,
    ],
    ids=lambda f: f.__name__,
)
def test_bad_input(root, tmp_path, capsys, spoil):
    parts = spoil(root)
    out = tmp_path / 'out'
    args = [str(root), '--out', str(out), '--workers', '1', '--calib', 'calib.json']
    assert main(args) == 2
    err = capsys.readouterr().err
    assert err.count('error: ') == 1 and 'Traceback' not in err
    for part in parts + ['found', 'expected']:
        assert part in err
    assert out.exists() == (spoil in LATE)
    assert not (out / 'annotations').exists()


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(max_depth=0), '--max-depth: found 0'),
        (dict(beam_steps=[0.2, 0]), '--beam-steps: found 0;'),
        (dict(beam_steps=[0.2, 40]), r'--beam-steps: found \[0.2, 40\]'),
        (dict(distortion=[0.1, 0.2, 0.3]), r'--distortion: found \[0.1, 0.2, 0.3\]'),
        (dict(distortion=[0.1, 0.2, 0, np.nan]), '--distortion: found'),
        (dict(split='../x'), "--split: found '../x'"),
    ],
)
def test_bad_options(root, tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        convert(root, tmp_path / 'out', **options)
    assert not (tmp_path / 'out').exists()
