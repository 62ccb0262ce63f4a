"""Which measurements of a sensor beside the camera the camera cannot see: pure functions.

A LiDAR beside the camera measures past edges, and a sparse map has room between the points of the
surface in front, so measurements of what lies behind show through. A beam stands for the patch of
surface around it, as wide as the way to the next beam; with patches the surface has no holes.
"""

from collections.abc import Iterator

import numpy as np

from pandepth_mm.geometry.lidar import AZIMUTH_STEP, ELEVATION

ELEVATION_STEP = (ELEVATION[1] - ELEVATION[0]) / 63  # degrees, of 64 beams
HIDDEN_TOLERANCE = 0.1  # of the depth: a surface that leans is no edge
SEEN_TOLERANCE = 0.05  # of the depth; what moved is mostly nearer than that by far
_REACH = 1.5  # steps: all eight neighbors of a measurement count, those on the diagonals too
_SECTORS = 8


def beam_footprint(
    cam2img: np.ndarray, azimuth_step: float = AZIMUTH_STEP, elevation_step: float = ELEVATION_STEP
) -> tuple[int, int]:
    """How far a beam's patch reaches in the image, where the sensor stands near the camera.

    Args:
        cam2img: (3, 3), pixels.
        azimuth_step: Degrees between two measurements of a beam.
        elevation_step: Degrees between two beams.

    Returns:
        (rows, columns), pixels, at least 1: 1.5 times the way to the next measurement, at the
        image's center.
    """
    steps = (cam2img[1][1] * np.deg2rad(elevation_step), cam2img[0][0] * np.deg2rad(azimuth_step))
    return max(int(np.ceil(_REACH * steps[0])), 1), max(int(np.ceil(_REACH * steps[1])), 1)


def hidden_mask(
    depth: np.ndarray, footprint: tuple[int, int], tolerance: float = HIDDEN_TOLERANCE
) -> np.ndarray:
    """Measurements that nearer ones around them would cover.

    A measurement is hidden where two nearer ones, within the footprint, lie on opposite sides of
    it: in opposite ones of eight sectors. On a plane the nearer side is one half of the
    surroundings, so that ground and walls stay, however much they lean.

    Args:
        depth: float (H, W), meters, 0 = no measurement; sparse.
        footprint: (rows, columns), pixels, from :func:`beam_footprint`.
        tolerance: A measurement is nearer if it is by more than this share of the depth.

    Returns:
        bool (H, W).
    """
    nearest = _sector_nearness(depth, depth, footprint)
    half = _SECTORS // 2
    # the depth of the nearer one is 1 / nearness, 0 where there is none
    limit = 1 / ((1 - tolerance) * depth[depth > 0])
    hidden = np.zeros(depth.shape, bool)
    hidden[depth > 0] = (np.minimum(nearest[:half], nearest[half:]) > limit).any(axis=0)
    return hidden


def seen_through_mask(
    depth: np.ndarray,
    scan: np.ndarray,
    footprint: tuple[int, int],
    tolerance: float = SEEN_TOLERANCE,
) -> np.ndarray:
    """Measurements of other moments through which a scan of this moment looked.

    Where a thing moved it was measured in a place that is free now. There all measurements of the
    scan within the footprint are farther away, and some lie on opposite sides.

    Args:
        depth: float (H, W), meters, 0 = no measurement; what several scans measured.
        scan: The same; what the scan of this moment measured.
        footprint: (rows, columns), pixels, from :func:`beam_footprint`.
        tolerance: A measurement is nearer if it is by more than this share of the depth.

    Returns:
        bool (H, W).
    """
    nearest = _sector_nearness(depth, scan, footprint)
    half = _SECTORS // 2
    at = depth[depth > 0]
    farther = nearest.max(axis=0) < (1 - tolerance) / at
    own = scan[depth > 0]
    farther &= (own == 0) | (at < (1 - tolerance) * own)
    seen = np.zeros(depth.shape, bool)
    seen[depth > 0] = farther & (np.minimum(nearest[:half], nearest[half:]) > 0).any(axis=0)
    return seen


def _sector_nearness(
    depth: np.ndarray, others: np.ndarray, footprint: tuple[int, int]
) -> np.ndarray:
    """Greatest inverse depth of the other measurements in each sector around each measurement.

    Returns:
        float32 (_SECTORS, N), 1 / m, 0 = none; N measurements in raster order.
    """
    rows, cols = footprint
    with np.errstate(divide='ignore'):
        inverse = np.where(others > 0, 1 / others, 0).astype(np.float32)
    inverse = np.pad(inverse, ((rows, rows), (cols, cols)))
    row, col = np.nonzero(depth > 0)
    at = (row + rows) * inverse.shape[1] + col + cols
    nearest = np.zeros((_SECTORS, len(at)), np.float32)
    for sector, down, right in _neighbors(rows, cols):
        np.maximum(
            nearest[sector],
            inverse.ravel().take(at + (down * inverse.shape[1] + right)),
            out=nearest[sector],
        )
    return nearest


def _neighbors(rows: int, cols: int) -> Iterator[tuple[int, int, int]]:
    """Sector, row and column of all pixels of an ellipse around one."""
    for down in range(-rows, rows + 1):
        for right in range(-cols, cols + 1):
            y, x = down / rows, right / cols
            if 0 < x * x + y * y <= 1:
                angle = np.arctan2(y, x) / (2 * np.pi)  # -1/2 to 1/2
                # sectors are centered on the axes and diagonals
                yield round(angle * _SECTORS) % _SECTORS, down, right
