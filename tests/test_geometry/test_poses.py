"""Poses from GPS and inertial unit against scipy's rotations and distances on a sphere."""

import numpy as np
from scipy.spatial.transform import Rotation

from pandepth_mm.geometry.poses import EARTH_RADIUS, oxts_poses

OXTS = np.array(
    [
        [49.009347, 8.437134, 114.4, 0.07, 0.002, -0.27, 1.0],
        [49.009429, 8.437134, 115.4, -0.04, 0.3, 2.9, 1.0],
        [49.009347, 8.437271, 114.4, 0.2, -0.1, 0.0, 1.0],
    ]
)


def test_rotations():
    expected = Rotation.from_euler('ZYX', OXTS[:, [5, 4, 3]]).as_matrix()
    np.testing.assert_allclose(oxts_poses(OXTS)[:, :3, :3], expected, atol=1e-12)


def test_places():
    poses = oxts_poses(OXTS)
    np.testing.assert_array_equal(poses[:, 3], [[0, 0, 0, 1]] * 3)
    north = np.deg2rad(49.009429 - 49.009347) * EARTH_RADIUS
    east = np.deg2rad(8.437271 - 8.437134) * EARTH_RADIUS * np.cos(np.deg2rad(49.009347))
    assert 9 < north < 10 and 9 < east < 11
    expected = [[0, 0, 0], [0, north, 1], [east, 0, 0]]
    np.testing.assert_allclose(poses[:, :3, 3], expected, atol=1e-3)


def test_forward_is_x():
    """A car that drives east has its x axis there, at yaw 0."""
    poses = oxts_poses(np.zeros((1, 6)))
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-15)
    turned = oxts_poses([[0, 0, 0, 0, 0, np.pi / 2]])[0]
    np.testing.assert_allclose(turned[:3, 0], [0, 1, 0], atol=1e-15)
