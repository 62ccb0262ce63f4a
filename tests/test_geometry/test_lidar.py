"""Scan lines against a plain loop and against geometry done by hand."""

import math

import numpy as np
import pytest

from pandepth_mm.geometry.camera import back_project
from pandepth_mm.geometry.lidar import (
    AZIMUTH_STEP,
    ELEVATION,
    beam_elevations,
    beam_rays,
    hidden_depth,
    pixel_distance,
    scan_depth,
    scan_line_mask,
)


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


# A panel 5 m ahead, before a wall at 20 m. In the image, focal length 200, the panel covers columns
# 60 to 99 and rows 20 to 49.
CAM2IMG = np.array([[200.0, 0, 79.5], [0, 200, 39.5], [0, 0, 1]])
SIZE, PANEL, WALL = (80, 160), 5.0, 20.0
EDGES = np.array([[59.5, 99.5], [19.5, 49.5]])  # left and right, top and bottom


def panel_scene():
    depth = np.full(SIZE, WALL, np.float32)
    depth[20:50, 60:100] = PANEL
    return depth


def cast(rays, offset):
    """Where rays from a place meet the scene: pixels (n, 2) and depth (n,), without those that pass
    an edge of the panel at less than a pixel, and those."""
    offset = np.asarray(offset, dtype=float)
    uv, depth, clear = [], [], []
    for ray in rays:
        for surface in (PANEL, WALL):
            point = offset + ray * (surface - offset[2]) / ray[2]
            at = (CAM2IMG @ point)[:2] / point[2]
            gap = np.stack([at - EDGES[:, 0], EDGES[:, 1] - at])
            if surface == PANEL:
                clear.append(abs(gap.min()) > 1)
            if surface == WALL or (gap > 0).all():
                break
        uv.append(at)
        depth.append(surface)
    return np.array(uv), np.array(depth), np.array(clear)


def mismatches(measured, expected):
    """Measurements without a partner of the same depth within a pixel."""
    return [
        at for at in zip(*np.nonzero(measured), strict=True)
        if not (expected[tuple(slice(max(i - 1, 0), i + 2) for i in at)] == measured[at]).any()
    ]  # fmt: skip


@pytest.mark.parametrize(
    'offset, columns, rows, number',
    [
        # 200 * 0.3 * (1 / 5 - 1 / 20) = 9 pixels at the panel's right
        ([0.3, 0, 0], range(91, 100), range(20, 50), 28),
        ([-0.2, 0, 0], range(60, 66), range(20, 50), 14),
        ([0, -0.4, 0], range(60, 100), range(20, 32), 53),
        # from behind past every edge, for 0.119 of the distance from the axis
        ([0, 0, -1], range(60, 100), range(20, 50), 25),
        ([0, 0, 1], (), (), 0),
        ([0, 0, 0], (), (), 0),
    ],
)
def test_a_panel_before_a_wall(offset, columns, rows, number):
    """Against a cast of each ray: what it hits, and past which edge it sees."""
    depth = panel_scene()
    rays = beam_rays(np.linspace(-12, 12, 41), 0.9, 0.3, 24)
    uv, expected_depth, clear = cast(rays, offset)
    expected = np.zeros(SIZE)
    for (u, v), z in zip(np.floor(uv[clear] + 0.5).astype(int), expected_depth[clear], strict=True):
        if 0 <= u < SIZE[1] and 0 <= v < SIZE[0]:
            expected[v, u] = z if expected[v, u] == 0 else min(z, expected[v, u])
    measured = scan_depth(depth, CAM2IMG, rays[clear], offset)
    assert mismatches(measured, expected) == []
    # at the border the sensor sees what the camera has no pixel of
    rim = 2 + np.ceil(200 * np.abs(offset).max() / WALL).astype(int)
    inner = expected.copy()
    inner[:rim] = inner[-rim:] = inner[:, :rim] = inner[:, -rim:] = 0
    assert mismatches(inner, measured) == []
    assert (measured > 0).sum() > 1000

    for found in (measured > depth, expected > depth):
        at = np.argwhere(found)
        assert len(at) == number
        for axis, indices in enumerate((rows, columns)):
            assert set(at[:, axis]) <= set(indices)


def test_near_surfaces_have_no_holes():
    """Though seen larger from ahead, the panel lets nothing through."""
    rays = beam_rays(np.linspace(-12, 12, 401), 0.05, 0.3, 24)
    depth = panel_scene()
    measured = scan_depth(depth, CAM2IMG, rays, [0.1, 0.1, 1.5])  # 1.43 times as large
    panel = measured[30:40, 70:90]
    assert set(np.unique(panel[panel > 0])) == {PANEL}
    assert (panel > 0).all()


def test_on_flat_ground():
    """A sensor above the camera: every measurement lies on the ground, and on its beam."""
    cam2img = np.array([[200.0, 0, 79.5], [0, 200, 10], [0, 0, 1]])
    down = np.arange(80)[:, None] - 10
    ground = np.where(down > 2, 200 * 1.5 / down.clip(1), 0).repeat(160, axis=1).astype(np.float32)
    elevations = np.array([-20.0, -14, -9, -6])
    measured = scan_depth(ground, cam2img, beam_rays(elevations, 0.5), [0.2, -0.4, -0.1])
    seen = measured > 0
    np.testing.assert_array_equal(measured[seen], ground[seen])
    x, y, z = back_project(measured, cam2img).T.astype(float) - [[0.2], [-0.4], [-0.1]]
    found = np.degrees(np.arctan2(-y, np.hypot(x, z)))
    # half a pixel of the sensor's image, and 0.75 more of what covers it
    assert np.abs(found[:, None] - elevations).min(axis=1).max() < math.degrees(1.25 / 200)
    assert seen.sum() > 4 * 80
    assert not hidden_depth(ground, cam2img, [0.2, -0.4, -0.1]).any()


def test_nothing_behind_an_edge_to_the_sky():
    depth = panel_scene()
    depth[depth == WALL] = 0
    assert not hidden_depth(depth, CAM2IMG, [0.3, -0.4, 0]).any()
    assert hidden_depth(panel_scene(), CAM2IMG, [0.3, -0.4, 0]).any()
    assert not hidden_depth(np.zeros(SIZE, np.float32), CAM2IMG, [0.3, 0, 0]).any()


def test_rays():
    """By hand, and with the phase and the limit."""
    rays = beam_rays([0, 30], 45, 0.5, 60)
    half, c = math.sqrt(0.5), math.sqrt(3) / 2
    s, t = math.sin(math.radians(22.5)), math.cos(math.radians(22.5))
    np.testing.assert_allclose(
        rays, [[-s, 0, t], [s, 0, t], [-c * s, -0.5, c * t], [c * s, -0.5, c * t]], atol=1e-12
    )
    np.testing.assert_allclose(
        beam_rays([0], 45), [[-half, 0, half], [0, 0, 1], [half, 0, half]], atol=1e-12
    )


def test_distance_of_pixels():
    rows, cols = np.array([10, 39]), np.array([20, 80])
    depth = np.zeros(SIZE)
    depth[rows, cols] = [7, 9]
    distance = pixel_distance(rows, cols, depth[rows, cols], CAM2IMG)
    points = back_project(depth, CAM2IMG)
    np.testing.assert_allclose(distance, np.linalg.norm(points, axis=1), rtol=1e-6)
