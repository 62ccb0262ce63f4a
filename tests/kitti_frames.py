"""The genuine KITTI frames beside the project, for tests that need them."""

from pathlib import Path

import numpy as np
import pytest

DATA = Path(__file__).parents[2] / 'shared' / 'data'
OBJECT = DATA / 'kitti_object_000000'
MMDET3D = DATA / 'kitti_mmdet3d_000008'
needs_kitti = pytest.mark.skipif(
    not (OBJECT.is_dir() and MMDET3D.is_dir()),
    reason='no genuine KITTI frames beside the project (their license does not allow to ship them)',
)


def object_matrices():
    """P2 (3, 4), R0_rect (4, 4) and Tr_velo_to_cam (4, 4), read by hand."""
    lines = (OBJECT / 'calib_000000.txt').read_text().split('\n')
    rows = [line.split(':') for line in lines if line]
    numbers = {name: np.array(row.split(), float) for name, row in rows}
    rectify, velo2cam = np.eye(4), np.eye(4)
    rectify[:3, :3] = numbers['R0_rect'].reshape(3, 3)
    velo2cam[:3] = numbers['Tr_velo_to_cam'].reshape(3, 4)
    return numbers['P2'].reshape(3, 4), rectify, velo2cam


def project_homogeneous(points, lidar2img):
    """Pixels (u, v) and depth of LiDAR points by a 3x4 or 4x4 matrix."""
    image = np.c_[points.astype(float), np.ones(len(points))] @ lidar2img.T
    return image[:, :2] / image[:, 2:3], image[:, 2]
