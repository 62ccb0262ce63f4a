"""What the camera cannot see, against brute force over all pairs and on scenes made by hand."""

import itertools
import math

import numpy as np
import pytest

from pandepth_mm.geometry.visibility import beam_footprint, hidden_mask, seen_through_mask

KITTI = np.array([[721.5, 0, 609.6], [0, 721.5, 172.9], [0, 0, 1]])


def sector(point, other, footprint):
    """Number of the eighth of the ellipse that the other one lies in, None outside of it."""
    y, x = ((b - a) / f for a, b, f in zip(point, other, footprint, strict=True))
    if not 0 < y * y + x * x <= 1:
        return None
    return round(math.degrees(math.atan2(y, x)) / 45) % 8


def brute(depth, footprint, tolerance):
    """Pairs of nearer ones in opposite sectors, one by one."""
    points = list(zip(*np.nonzero(depth), strict=True))
    hidden = np.zeros(depth.shape, bool)
    for point in points:
        near = [
            sector(point, other, footprint)
            for other in points
            if depth[other] < depth[point] * (1 - tolerance)
        ]
        hidden[point] = any(
            a is not None and b is not None and (a - b) % 8 == 4
            for a, b in itertools.combinations(near, 2)
        )
    return hidden


@pytest.mark.parametrize('seed', range(3))
def test_hidden_as_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    depth = rng.choice([5.0, 5.1, 20.0, 40.0], (25, 32)) * (rng.random((25, 32)) < 0.15)
    found = hidden_mask(depth.astype(np.float32), (5, 3), 0.05)
    expected = brute(depth, (5, 3), 0.05)
    np.testing.assert_array_equal(found, expected)
    assert 5 < expected.sum() < np.count_nonzero(depth) - 5


def sample(depth):
    """Scan lines, five rows and two columns apart."""
    sparse = np.zeros_like(depth)
    sparse[::5, ::2] = depth[::5, ::2]
    return sparse


def ground(height=375, width=400):
    """A road 1.65 m below the camera, up to 80 m."""
    rows = np.arange(height, dtype=np.float32)[:, None] - np.float32(172.9)
    with np.errstate(divide='ignore'):
        depth = np.where(rows > 0, 721.5 * 1.65 / rows, 0)
    return np.broadcast_to(np.where(depth < 80, depth, 0), (height, width)).astype(np.float32)


def test_planes_stay():
    assert not hidden_mask(sample(ground()), beam_footprint(KITTI)).any()
    # the side of a street, 4 m to the right and to the left
    cols = np.abs(np.arange(1242, dtype=np.float32) - 609.6)
    wall = np.where(cols > 40, 721.5 * 4 / np.maximum(cols, 1), 0).astype(np.float32)
    assert not hidden_mask(sample(np.tile(wall, (100, 1))), beam_footprint(KITTI)).any()


def test_what_shows_through_a_car_goes():
    """A car 10 m away before a wall; every 40th measurement on it is of the wall."""
    depth = np.full((200, 300), 30, np.float32)
    depth[50:150, 100:200] = 10
    sparse = sample(depth)
    inside = np.zeros(depth.shape, bool)
    inside[60:140:20, 110:190:10] = True
    sparse[inside] = 30
    np.testing.assert_array_equal(hidden_mask(sparse, beam_footprint(KITTI)), inside)


def test_where_something_was_a_moment_ago():
    """A car that has left; the scan of the moment sees the wall there, and the road stays."""
    scan = sample(np.full((200, 300), 30, np.float32))
    scan[:20] = 0  # the scan ends there, so nothing says that it saw farther
    depth = scan.copy()
    depth[3:150, 101:200:2] = 10
    seen = seen_through_mask(depth, scan, beam_footprint(KITTI))
    rows, cols = np.nonzero(seen)
    assert (depth[seen] == 10).all()
    assert seen[25:150, 101:200:2].all() and not seen[:14].any()
    assert not seen_through_mask(scan, scan, beam_footprint(KITTI)).any()
    assert not seen_through_mask(sample(ground()), sample(ground()), beam_footprint(KITTI)).any()


def test_footprint():
    """0.18 degrees of 721.5 pixels are 2.27, and 26.8 / 63 degrees 5.36."""
    assert beam_footprint(KITTI) == (9, 4)
    assert beam_footprint(KITTI, 0.01, 0.01) == (1, 1)
    assert beam_footprint(KITTI, 0.4, 2.0) == (38, 8)
