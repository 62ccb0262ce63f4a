"""What the beams of a rotating LiDAR measure in an image: pure functions.

The sensor's axis is the camera's y axis, and azimuth 0 is the optical axis. For `scan_line_mask` it
stands at the camera's center: then the direction of a return is that of its pixel, whatever the
depth, and no beam sees behind an edge. For `scan_depth` it stands anywhere: a real one, a few
decimeters beside the camera, measures past edges.
"""

import numpy as np

from pandepth_mm.geometry.camera import project

# Like a Velodyne HDL-64E, which KITTI used: a field of view of 26.8 degrees, most of it downwards,
# and some 2000 directions per turn. No calibration stands behind these numbers, and that sensor's
# beams are not evenly spaced.
ELEVATION = (-24.8, 2.0)
AZIMUTH_STEP = 0.18

_STEPS = 12  # places where a pixel looks for what is behind it
_JUMP = 0.75  # pixels: where an edge uncovers less, nothing is behind it
_SPLAT = 0.75  # pixels: a surface covers those of the sensor's image whose center is this near
_EMPTY = np.iinfo(np.int64).max


def beam_elevations(lines: int, elevation: tuple[float, float] = ELEVATION) -> np.ndarray:
    """Evenly spaced beams, both ends included.

    Args:
        lines: Number of beams, >= 2.
        elevation: Lowest and highest beam, degrees, positive upwards.

    Returns:
        float64 (lines,), degrees, ascending.
    """
    return np.linspace(*elevation, lines)


def beam_rays(
    elevations: np.ndarray, azimuth_step: float, phase: float = 0.0, limit: float = 90.0
) -> np.ndarray:
    """Directions of all measurements of a turn that look forward.

    Args:
        elevations: (N,), degrees within +-90, positive upwards.
        azimuth_step: Degrees between two measurements of a beam, > 0.
        phase: Azimuth of one measurement, in steps.
        limit: Azimuths lie within +- this, degrees, at most 90; both ends excluded.

    Returns:
        float64 (M, 3), of length 1, x right, y down, z forward; beam by beam.
    """
    first = int(np.floor(-limit / azimuth_step - phase)) + 1
    last = int(np.ceil(limit / azimuth_step - phase)) - 1
    azimuth = np.deg2rad((np.arange(first, last + 1) + phase) * azimuth_step)
    elevation = np.deg2rad(np.asarray(elevations, dtype=np.float64))[:, None]
    return np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.sin(azimuth),
            -np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ),
        axis=-1,
    ).reshape(-1, 3)


def scan_line_mask(
    depth: np.ndarray, cam2img: np.ndarray, elevations: np.ndarray, azimuth_step: float
) -> np.ndarray:
    """Pixels that a rotating LiDAR at the camera's place would measure.

    A ray leaves for every beam and every multiple of the azimuth step. It measures the pixel
    nearest to it, the one whose square it passes, if that pixel has depth. A ray into the sky or
    past the image measures nothing: the next pixel that has depth, inside the ray's cell but not on
    the ray, does not stand in. Rays that are closer together than pixels share them.

    Args:
        depth: float (H, W), meters, 0 = no surface.
        cam2img: (3, 3), pixels of the same grid.
        elevations: (N,), degrees within +-90, positive upwards.
        azimuth_step: Degrees between two measurements of a beam, > 0.

    Returns:
        bool (H, W).
    """
    rays = beam_rays(elevations, azimuth_step)
    # the center of pixel 7 is 7, so that its square is [6.5, 7.5)
    u, v = np.floor(project(rays, cam2img)[0] + 0.5).T
    height, width = depth.shape
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    mask = np.zeros(depth.shape, bool)
    mask[v[inside].astype(int), u[inside].astype(int)] = True
    return mask & (depth > 0)


def hidden_depth(depth: np.ndarray, cam2img: np.ndarray, offset: np.ndarray) -> np.ndarray:
    """Surfaces behind the edges that the camera sees, as far as a sensor beside it may look.

    A depth map ends where something stands before it; a sensor beside the camera looks past that.
    The surface behind is taken to go on at its depth (exact for what stands upright and faces the
    camera, and sideways for flat ground too). In the image that the sensor would take, a surface at
    depth z is moved by parallax / z, so near ones move farther than those behind them and uncover
    up to the difference. So each pixel looks as far as that against its own movement, and the first
    surface there that it uncovers is the one behind it; where that is the sky there is none.

    Args:
        depth: float (H, W), meters, 0 = no surface.
        cam2img: (3, 3), pixels.
        offset: Place of the sensor, (3,), meters, camera frame.

    Returns:
        float32 (H, W), meters: depth of the hidden surface on the ray of the pixel; 0 = none.
    """
    height, width = depth.shape
    k = np.asarray(cam2img, dtype=np.float32)
    offset = np.asarray(offset, dtype=np.float32)
    across = k[0, 0] * offset[0] - (np.arange(width, dtype=np.float32) - k[0, 2]) * offset[2]
    down = k[1, 1] * offset[1] - (np.arange(height, dtype=np.float32) - k[1, 2]) * offset[2]
    with np.errstate(divide='ignore'):
        inverse = np.where(depth > 0, 1 / depth, 0)
    moved = np.hypot(across, down[:, None]) * inverse  # pixels
    hidden = np.zeros(depth.shape, np.float32)
    edges = moved + _window_max(-moved, 1) > _JUMP
    if not edges.any():
        return hidden
    reach = min(int(np.ceil(moved[edges].max())), max(depth.shape))
    row, col = np.nonzero(_window_max(edges, reach) & (moved > _JUMP))
    own, inverse_own = moved[row, col], inverse[row, col]
    across, down = across[col] * inverse_own, down[row] * inverse_own
    from_row, from_col = (at.astype(np.float32) + np.float32(0.5) for at in (row, col))
    found = np.zeros(len(own), np.float32)
    for share in np.arange(_STEPS, 0, -1, dtype=np.float32) / _STEPS:  # the nearest comes last
        there_row = (from_row + share * down).clip(0, height - 1).astype(np.int32)
        there_col = (from_col + share * across).clip(0, width - 1).astype(np.int32)
        there = inverse.take(there_row * width + there_col)
        uncovered = own - own / inverse_own * there
        found = np.where(uncovered >= np.maximum(share * own - 0.5, _JUMP), there, found)
    with np.errstate(divide='ignore'):
        hidden[row, col] = np.where(found > 0, 1 / found, 0)
    return hidden


def scan_depth(
    depth: np.ndarray, cam2img: np.ndarray, rays: np.ndarray, offset: np.ndarray
) -> np.ndarray:
    """What a sensor beside the camera measures, as the camera's image shows it.

    Each pixel's surface, and those of `hidden_depth`, are brought into an image that the sensor
    would take, with the intrinsics of the camera; the nearest hides the others. Each ray measures
    the surface in the pixel of that image it passes. The measurement lies in the camera's pixel
    that the surface came from; so beside an edge a pixel of the foreground may carry the depth of
    the background. Of several in a pixel the nearest to the camera stays.

    Args:
        depth: float (H, W), meters, 0 = no surface; dense.
        cam2img: (3, 3), pixels.
        rays: (M, 3), directions in the camera's axes, such as `beam_rays`, turned or not.
        offset: Place of the sensor, (3,), meters, camera frame; a few decimeters. Surfaces that it
            sees more than 1.5 times as large as the camera does have holes.

    Returns:
        float32 (H, W), meters along the camera's z axis; 0 = no measurement.
    """
    height, width = depth.shape
    k = np.asarray(cam2img, dtype=np.float32)
    offset = np.asarray(offset, dtype=np.float32)
    surfaces = [depth, hidden_depth(depth, cam2img, offset)]
    row, col = np.concatenate([np.nonzero(surface > 0) for surface in surfaces], axis=1)
    z = np.concatenate([surface[surface > 0] for surface in surfaces]).astype(np.float32)
    y = (row.astype(np.float32) - k[1, 2]) / k[1, 1]
    x = (col.astype(np.float32) - k[0, 2] - k[0, 1] * y) / k[0, 0]
    sensor_z = (z - offset[2]).clip(1e-3)
    x, y = (x * z - offset[0]) / sensor_z, (y * z - offset[1]) / sensor_z
    u, v = k[0, 0] * x + k[0, 1] * y + k[0, 2], k[1, 1] * y + k[1, 2]

    # The sensor's image is wider by what it sees beyond the camera's, and by a rim of one pixel for
    # all that is outside.
    margin = max(height, width) // 8 + 1
    size = (height + 2 * margin, width + 2 * margin)
    cells = np.full(size[0] * size[1], _EMPTY)
    # the bits of positive floats are ordered as the floats are
    key = (sensor_z.view(np.int32).astype(np.int64) << 32) | np.arange(len(z))
    left, right = (
        (u + (margin + shift)).clip(0, size[1] - 1).astype(np.int64)
        for shift in (1 - _SPLAT, _SPLAT)
    )
    top, bottom = (
        (v + (margin + shift)).clip(0, size[0] - 1).astype(np.int64) * size[1]
        for shift in (1 - _SPLAT, _SPLAT)
    )
    wide, high = right > left, bottom > top
    np.minimum.at(cells, top + left, key)
    np.minimum.at(cells, (top + right)[wide], key[wide])
    np.minimum.at(cells, (bottom + left)[high], key[high])
    both = wide & high
    np.minimum.at(cells, (bottom + right)[both], key[both])

    rays = rays[rays[:, 2] > 0]
    image = rays @ np.asarray(cam2img, dtype=np.float64).T
    at_u, at_v = (np.floor(image[:, i] / image[:, 2] + margin + 0.5) for i in range(2))
    inside = (at_u > 0) & (at_u < size[1] - 1) & (at_v > 0) & (at_v < size[0] - 1)
    hit = cells[at_v[inside].astype(np.int64) * size[1] + at_u[inside].astype(np.int64)]
    winner = hit[hit < _EMPTY] & 0xFFFFFFFF
    measured = np.full(depth.shape, np.inf, np.float32)
    np.minimum.at(measured, (row[winner], col[winner]), z[winner])
    measured[np.isinf(measured)] = 0
    return measured


def pixel_distance(
    rows: np.ndarray, cols: np.ndarray, depth: np.ndarray, cam2img: np.ndarray
) -> np.ndarray:
    """Distance of points from the camera's center.

    Args:
        rows: (N,), pixels.
        cols: (N,), pixels.
        depth: (N,), meters along the z axis.
        cam2img: (3, 3), pixels.

    Returns:
        float64 (N,), meters.
    """
    k = np.asarray(cam2img, dtype=np.float64)
    y = (rows - k[1, 2]) / k[1, 1]
    x = (cols - k[0, 2] - k[0, 1] * y) / k[0, 0]
    return depth * np.sqrt(x * x + y * y + 1)


def _window_max(maps: np.ndarray, radius: int) -> np.ndarray:
    """Greatest value within a square of 2 radius + 1 pixels, of a map (H, W)."""
    maps, size = np.pad(maps, radius, mode='edge'), 1
    while size <= 2 * radius:
        step = min(size, 2 * radius + 1 - size)
        maps = np.maximum(maps[step:], maps[:-step])
        maps = np.maximum(maps[:, step:], maps[:, :-step])
        size += step
    return maps
