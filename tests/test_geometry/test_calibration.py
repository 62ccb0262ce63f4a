"""Calibrations: against the full products of matrices, and bad ones."""

import pickle

import numpy as np
import pytest
from kitti_frames import MMDET3D, OBJECT, needs_kitti, object_matrices, project_homogeneous

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.calibration import Calibration, guess_calibration, make_calibration
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.camera import project, transform_points
from pandepth_mm.geometry.point_files import read_points

K = np.array([[700.0, 0, 300], [0, 710, 100], [0, 0, 1]])
# x forward, y left, z up to x right, y down, z forward
AXES = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, 0.3], [0, 0, 0, 1.0]])
TEXT = (
    'P0: 7 0 3 0 0 7 1 0 0 0 1 0\n'
    'P2: 700 0 300 45 0 710 100 -0.3 0 0 1 0.005\n'
    'R0_rect: 1 0 0 0 1 0 0 0 1\n'
    'Tr_velo_to_cam: 0 -1 0 0.1 0 0 -1 -0.2 1 0 0 0.3\n\n'
)


def pixels(points, calibration):
    return project(transform_points(points, calibration.lidar2cam), calibration.cam2img)


@needs_kitti
def test_kitti_object_frame_lands_where_p2_r0_tr_puts_it():
    calibration = read_calibration(OBJECT / 'calib_000000.txt')
    points = read_points(OBJECT / 'velodyne_000000.bin')
    p2, rectify, velo2cam = object_matrices()
    uv, depth = project_homogeneous(points, p2 @ rectify @ velo2cam)
    found, found_depth = pixels(points, calibration)
    front = depth > 1
    assert front.sum() > 50_000
    assert np.abs(found - uv)[front].max() < 0.01
    assert np.abs(found_depth - depth).max() < 1e-9
    # without the fourth column of P2 they would be pixels away
    wrong, _ = project_homogeneous(points, np.c_[p2[:, :3], np.zeros(3)] @ rectify @ velo2cam)
    assert np.median(np.abs(wrong - uv)[front].max(axis=1)) > 1


@needs_kitti
def test_mmdet3d_frame_lands_where_its_lidar2img_puts_it():
    with open(MMDET3D / '000008.pkl', 'rb') as f:
        camera = pickle.load(f)['data_list'][0]['images']['CAM2']
    points = read_points(MMDET3D / '000008.bin')
    uv, depth = project_homogeneous(points, np.array(camera['lidar2img']))
    found, found_depth = pixels(points, make_calibration(camera['cam2img'], camera['lidar2cam']))
    assert (depth > 0).all() and len(points) > 10_000
    assert np.abs(found - uv).max() < 0.01
    assert np.abs(found_depth - depth).max() < 1e-4


def test_text_and_matrices_agree(tmp_path):
    path = tmp_path / 'calib.txt'
    path.write_text(TEXT)
    projection = np.c_[K, [45, -0.3, 0.005]]
    by_text = read_calibration(path)
    square = np.r_[projection, [[0, 0, 0, 1]]]
    for given in (
        make_calibration(projection, AXES),
        make_calibration(square, AXES[:3]),
        make_calibration(square.tolist(), AXES.tolist()),
    ):
        np.testing.assert_allclose(by_text.cam2img, given.cam2img)
        np.testing.assert_allclose(by_text.lidar2cam, given.lidar2cam)
    points = np.random.default_rng(0).uniform(2, 50, (100, 3))
    uv, depth = project_homogeneous(points, projection @ AXES)
    found, found_depth = pixels(points, by_text)
    np.testing.assert_allclose(found, uv, atol=1e-9)
    np.testing.assert_allclose(found_depth, depth, atol=1e-12)


def test_guess_is_virtual_kitti_at_its_size():
    calibration = guess_calibration(1242, 375)
    assert isinstance(calibration, Calibration)
    assert calibration.cam2img.tolist() == [[725.0087, 0, 620.5], [0, 725.0087, 187], [0, 0, 1]]
    half = guess_calibration(621, 188).cam2img
    assert half[0, 0] == 725.0087 / 2 and half[0, 2] == 310


@pytest.mark.parametrize(
    'cam2img, lidar2cam, message',
    [
        (np.eye(2), None, r'cam2img: found shape \(2, 2\)'),
        ('no matrix', None, "cam2img: found 'no matrix'"),
        (np.full((3, 3), np.nan), None, 'cam2img: found numbers that are not fin'),
        (np.diag([-700.0, 700, 1]), None, 'cam2img: .* fx, fy > 0'),
        (K.T, None, 'cam2img: found'),
        (np.r_[np.c_[K, np.zeros(3)], [[0, 0, 1, 1]]], None, r'cam2img: found .* as its last row'),
        (K, np.eye(3), r'lidar2cam: found shape \(3, 3\)'),
        (K, AXES * [[1], [1], [1], [2]], 'lidar2cam: found .* last row'),
        (K, np.diag([2.0, 2, 2, 1]), 'lidar2cam: found .* a rotation'),
        (K, np.diag([-1.0, 1, 1, 1]), 'lidar2cam: found .* determinant 1'),
        (K, np.full((4, 4), np.inf), 'lidar2cam: found numbers that are not'),
    ],
)
def test_bad_matrices(cam2img, lidar2cam, message):
    with pytest.raises(InputError, match=message):
        make_calibration(cam2img, lidar2cam)


@pytest.mark.parametrize('size', [7, (7,), (7, 0), (7, 'x'), (7.5, 8), 'ab'])
def test_bad_image_size(size):
    with pytest.raises(InputError, match='calib: image_size: found '):
        make_calibration(K, image_size=size)
