"""Beams of a scan without beam numbers."""

import numpy as np
import pytest

from pandepth_mm.geometry.beams import RINGS, beams_by_order, find_beams, rings_of_elevation

FIRST_LASER = 0.2  # above the sensor's origin, meters: not all beams leave from one place


def scan(beams, azimuths, top=2.0, bottom=-24.0, seed=0):
    """Points of a sensor, beam after beam from above, and the beam of each."""
    rng = np.random.default_rng(seed)
    points, numbers = [], []
    for number, elevation in enumerate(np.deg2rad(np.linspace(top, bottom, beams))):
        azimuth = np.deg2rad(azimuths[rng.random(len(azimuths)) < 0.8])
        distance = rng.uniform(3, 60, len(azimuth))
        height = FIRST_LASER * (1 - number / beams)
        directions = np.stack(
            [np.cos(azimuth), np.sin(azimuth), np.full(len(azimuth), np.tan(elevation))], axis=1
        )
        points.append(distance[:, None] * directions + [0, 0, height])
        numbers += [number] * len(azimuth)
    return np.concatenate(points).astype(np.float32), np.array(numbers)


TURN = np.linspace(0.2, 359.8, 300)
AHEAD = np.concatenate([np.linspace(0.2, 45, 40), np.linspace(-45, -0.2, 40)])  # cut from a turn


@pytest.mark.parametrize('azimuths', [TURN, AHEAD], ids=['turn', 'ahead'])
@pytest.mark.parametrize('beams', [16, 64])
def test_order_tells_the_beams(azimuths, beams):
    points, numbers = scan(beams, azimuths)
    found, ordered = find_beams(points)
    assert ordered
    np.testing.assert_array_equal(found, numbers)
    # the sensor may start from below
    found, ordered = find_beams(scan(beams, azimuths, top=-24.0, bottom=2.0)[0])
    assert ordered
    np.testing.assert_array_equal(found, beams - 1 - numbers)


def test_another_order_tells_nothing():
    points, numbers = scan(64, TURN)
    mixed = np.random.default_rng(1).permutation(len(points))
    assert beams_by_order(points[mixed]) is None
    assert beams_by_order(points[np.argsort(np.arctan2(points[:, 1], points[:, 0]))]) is None
    rings, ordered = find_beams(points[mixed])
    assert not ordered
    np.testing.assert_array_equal(rings, rings_of_elevation(points, RINGS)[mixed])
    # near things mix them, but not the far ends
    assert np.corrcoef(rings, numbers[mixed])[0, 1] > 0.99


def test_rings_have_equal_heights():
    elevation = np.deg2rad([10.0, 6.1, 5.9, 2.1, 0.0, -9.9, -10.0])
    points = np.stack([np.cos(elevation), np.zeros(7), np.sin(elevation)], axis=1)
    np.testing.assert_array_equal(rings_of_elevation(points, 5), [0, 0, 1, 1, 2, 4, 4])
    np.testing.assert_array_equal(rings_of_elevation(points[:1], 5), [0])
