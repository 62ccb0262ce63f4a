"""Scan lines against a plain loop and against geometry done by hand."""

import math

import numpy as np
import pytest

from pandepth_mm.geometry.camera import back_project
from pandepth_mm.geometry.lidar import AZIMUTH_STEP, ELEVATION, beam_elevations, scan_line_mask


def looped_mask(depth, cam2img, elevations, step):
    """Ray by ray: the nearest of all pixels, if it is at most half away."""
    (fx, skew, cx), (_, fy, cy), _ = cam2img
    mask = np.zeros(depth.shape, bool)
    azimuths, j = [0.0], 1
    while j * step < 90:
        azimuths += [j * step, -j * step]
        j += 1
    for elevation in elevations:
        for azimuth in azimuths:
            e, a = math.radians(elevation), math.radians(azimuth)
            x = math.tan(a)  # of the point of the ray at z = 1
            y = -math.tan(e) * math.hypot(x, 1)
            u, v = fx * x + skew * y + cx, fy * y + cy
            best, at = math.inf, None
            for row in range(depth.shape[0]):
                for col in range(depth.shape[1]):
                    distance = max(abs(row - v), abs(col - u))
                    if distance < best:
                        best, at = distance, (row, col)
            if best <= 0.5 and depth[at] > 0:
                mask[at] = True
    return mask


@pytest.mark.parametrize(
    'cam2img, elevations, step',
    [
        # rays farther apart than pixels, unevenly spaced beams
        ([[20, 0.7, 11.3], [0, 22, 6.2], [0, 0, 1]], [-21.0, -9, -4, 0, 13], 7.3),
        # closer together, the image turned away from the axis
        ([[30, 0, -8.1], [0, 25, 3.3], [0, 0, 1]], np.linspace(-15, 2, 24), 0.9),
    ],
)
def test_against_a_loop(cam2img, elevations, step):
    rng = np.random.default_rng(0)
    depth = rng.uniform(1, 80, (15, 24)) * (rng.random((15, 24)) < 0.7)
    mask = scan_line_mask(depth, np.array(cam2img), elevations, step)
    expected = looped_mask(depth, cam2img, elevations, step)
    np.testing.assert_array_equal(mask, expected)
    assert 10 < mask.sum() < 0.6 * mask.size


def test_by_hand():
    """Rays whose places in the image can be worked out on paper.

    With f = 100 and c = (20, 20), the elevation whose tangent is -0.1 meets column 20 (azimuth 0)
    in row 20 + 100 * 0.1 = 30, and column 120 (azimuth 45 degrees, z = 1 is sqrt(2) away) in row 20
    + 10 sqrt(2) = 34.1. The level beam stays in row 20. Azimuth -45 is outside, as are +-90.
    """
    cam2img = np.array([[100, 0, 20], [0, 100, 20], [0, 0, 1]])
    depth = np.full((41, 141), 5.0)
    down = -math.degrees(math.atan(0.1))
    mask = scan_line_mask(depth, cam2img, [down, 0.0], 45.0)
    assert np.argwhere(mask).tolist() == [[20, 20], [20, 120], [30, 20], [34, 120]]
    # no surface there: nothing, though its neighbors have one
    depth[30, 20] = 0
    mask = scan_line_mask(depth, cam2img, [down, 0.0], 45.0)
    assert np.argwhere(mask).tolist() == [[20, 20], [20, 120], [34, 120]]
    # on flat ground 1.5 m below, the lower beam returns from 15 m ahead
    depth[30, 20] = 15
    mask = scan_line_mask(depth, cam2img, [down, 0.0], 45.0)
    ground = back_project(np.where(mask, depth, 0), cam2img)
    assert [0, 1.5, 15] in ground.tolist()


def test_returns_lie_on_their_beams():
    """Back-projected, each ray's return is within half a pixel of it."""
    cam2img = np.array([[725.0, 0, 620.5], [0, 725, 187], [0, 0, 1]])
    depth = np.random.default_rng(0).uniform(2, 80, (375, 1242))
    elevations = beam_elevations(16)
    mask = scan_line_mask(depth, cam2img, elevations, AZIMUTH_STEP)
    x, y, z = back_project(np.where(mask, depth, 0), cam2img).T.astype(float)
    elevation = np.degrees(np.arctan2(-y, np.hypot(x, z)))
    azimuth = np.degrees(np.arctan2(x, z))
    pixel = math.degrees(1 / 725)  # the largest is at the axis
    beam = np.abs(elevation[:, None] - elevations).argmin(1)
    assert np.abs(elevation - elevations[beam]).max() < 0.75 * pixel
    turn = np.rint(azimuth / AZIMUTH_STEP)
    assert np.abs(azimuth - turn * AZIMUTH_STEP).max() < 0.75 * pixel
    # one pixel a cell; every cell of the field of view has one
    assert len(set(zip(beam, turn, strict=True))) == len(beam)
    for i in set(beam):
        line = np.sort(turn[beam == i])
        inside = np.abs(line) < 30 / AZIMUTH_STEP
        assert (np.diff(line[inside]) == 1).all()


def test_the_default_beams():
    beams = beam_elevations(64)
    assert len(beams) == 64 and (beams[0], beams[-1]) == ELEVATION
    np.testing.assert_allclose(np.diff(beams), 26.8 / 63)
