"""Poses of a vehicle from its GPS and inertial unit: pure functions."""

import numpy as np

EARTH_RADIUS = 6378137.0  # of the projection, meters


def oxts_poses(oxts: np.ndarray) -> np.ndarray:
    """Poses of KITTI's inertial unit, from its records.

    Places are a Mercator projection whose scale is right at the latitude of the first record, as
    the data set's authors have it; so only poses of one call belong together.

    Args:
        oxts: (N, 6) or wider: latitude and longitude, degrees; altitude, meters; roll, pitch and
            yaw, radians. KITTI's records begin with them.

    Returns:
        float64 (N, 4, 4), meters: the unit's frame (x forward, y left, z up) to a frame of the
        world (x east, y north, z up) that begins where the first record was made.
    """
    lat, lon, alt, roll, pitch, yaw = np.asarray(oxts, dtype=np.float64)[:, :6].T
    scale = np.cos(np.deg2rad(lat[0])) * EARTH_RADIUS
    poses = np.zeros((len(lat), 4, 4))
    poses[:, 3, 3] = 1
    east, north = scale * np.deg2rad(lon), scale * np.log(np.tan(np.pi / 4 + np.deg2rad(lat) / 2))
    poses[:, :3, 3] = np.stack([east, north, alt], axis=1)
    poses[:, :3, 3] -= poses[0, :3, 3].copy()
    # yaw turns about z, then pitch about y, then roll about x
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    poses[:, 0, :3] = np.stack([cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr], axis=1)
    poses[:, 1, :3] = np.stack([sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr], axis=1)
    poses[:, 2, :3] = np.stack([-sp, cp * sr, cp * cr], axis=1)
    return poses
