"""Where the beams of a rotating LiDAR meet an image: pure functions.

The sensor stands at the camera's center, its axis is the camera's y axis, and azimuth 0 is the
optical axis. Then the direction of a return is that of its pixel, whatever the depth, and no beam
sees behind an edge; a real sensor, a few decimeters beside the camera, also loses or adds returns
there.
"""

import numpy as np

from pandepth_mm.geometry.camera import project

# Like a Velodyne HDL-64E, which KITTI used: a field of view of 26.8 degrees, most of it downwards,
# and some 2000 directions per turn. No calibration stands behind these numbers, and that sensor's
# beams are not evenly spaced.
ELEVATION = (-24.8, 2.0)
AZIMUTH_STEP = 0.18


def beam_elevations(lines: int, elevation: tuple[float, float] = ELEVATION) -> np.ndarray:
    """Evenly spaced beams, both ends included.

    Args:
        lines: Number of beams, >= 2.
        elevation: Lowest and highest beam, degrees, positive upwards.

    Returns:
        float64 (lines,), degrees, ascending.
    """
    return np.linspace(*elevation, lines)


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
    steps = int(np.ceil(90 / azimuth_step)) - 1  # in front of the camera
    azimuth = np.deg2rad(np.arange(-steps, steps + 1) * azimuth_step)
    elevation = np.deg2rad(np.asarray(elevations, dtype=np.float64))[:, None]
    rays = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.sin(azimuth),
            -np.sin(elevation),
            np.cos(elevation) * np.cos(azimuth),
        ),
        axis=-1,
    ).reshape(-1, 3)
    # the center of pixel 7 is 7, so that its square is [6.5, 7.5)
    u, v = np.floor(project(rays, cam2img)[0] + 0.5).T
    height, width = depth.shape
    inside = (u >= 0) & (u < width) & (v >= 0) & (v < height)
    mask = np.zeros(depth.shape, bool)
    mask[v[inside].astype(int), u[inside].astype(int)] = True
    return mask & (depth > 0)
