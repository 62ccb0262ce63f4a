"""Which beam of a rotating LiDAR measured each point of a scan: pure functions.

A scan file such as KITTI's has no beam numbers. Two ways lead to them, and :func:`find_beams` takes
the first that fits:

* the order of the points. KITTI's files hold beam after beam, each one turn that begins at the
  forward axis and goes to the left; a new beam begins where the azimuth comes back to that axis
  from the right. That is exact.
* elevation angles, cut into rings of equal height. The beams of a real sensor leave it at different
  heights and are not evenly spaced, so that near things mix the rings: a stand-in for scans in
  another order.
"""

import numpy as np

RINGS = 64  # of a scan that is not ordered by beams
_MOST_BEAMS = 256  # more turns than that are something else, rows of an image say
_FEWEST_BEAMS = 4
_SORTED = 0.9  # of the steps from beam to beam go the same way, up or down
_QUARTER = np.pi / 2


def find_beams(points: np.ndarray, rings: int = RINGS) -> tuple[np.ndarray, bool]:
    """Number the beams of a scan from above.

    Args:
        points: (N, 3), meters, LiDAR frame: x forward, y left, z up; in the order of the file.
        rings: Number of rings where the order tells nothing.

    Returns:
        int64 (N,), 0 for the highest beam, and whether the order of the points told.
    """
    beams = beams_by_order(points)
    if beams is not None:
        return beams, True
    return rings_of_elevation(points, rings), False


def beams_by_order(points: np.ndarray) -> np.ndarray | None:
    """Beams of a scan that holds one after the other.

    Args:
        points: As in :func:`find_beams`.

    Returns:
        int64 (N,), 0 for the highest beam; None where the points are in another order: there are
        fewer than 4 or more than 256 turns, or their elevations neither rise nor fall.
    """
    azimuth = np.arctan2(points[:, 1], points[:, 0])
    step = np.diff(azimuth)  # beyond a quarter: not past the forward axis, but behind the sensor
    begins = (azimuth[1:] > 0) & (azimuth[:-1] <= 0) & (np.abs(step) < _QUARTER)
    turn = np.concatenate([[0], np.cumsum(begins)])
    count = turn[-1] + 1
    if not _FEWEST_BEAMS <= count <= _MOST_BEAMS:
        return None
    elevation = _elevation(points)
    middle = np.array([np.median(part) for part in np.split(elevation, np.flatnonzero(begins) + 1)])
    rising = (np.diff(middle) > 0).mean()
    if max(rising, 1 - rising) < _SORTED:
        return None
    return np.argsort(np.argsort(-middle))[turn]


def rings_of_elevation(points: np.ndarray, rings: int) -> np.ndarray:
    """Cut a scan into rings of equal height in elevation, from its highest to its lowest point.

    Args:
        points: (N, 3), meters, LiDAR frame: x forward, y left, z up.
        rings: Number of rings, >= 1.

    Returns:
        int64 (N,), 0 for the highest ring.
    """
    elevation = _elevation(points)
    low, high = elevation.min(), elevation.max()
    height = (high - low) / rings or 1.0
    return np.minimum((high - elevation) / height, rings - 1).astype(np.int64)


def _elevation(points: np.ndarray) -> np.ndarray:
    """Angle above the plane of the sensor, float64 (N,), radians."""
    x, y, z = points.astype(np.float64).T
    return np.arctan2(z, np.hypot(x, y))
