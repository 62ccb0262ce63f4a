"""Depth ground truth from several LiDAR scans: pure functions on maps.

Scans of neighboring moments, brought to one place, measure more than one scan does. Wrong among
them is what the camera cannot see, and what moved. A second camera tells both; without one, the
measurements have to tell it themselves.
"""

import argparse
from collections.abc import Iterable

import cv2
import numpy as np

from pandepth_mm.geometry.camera import points_to_depth, transform_points
from pandepth_mm.geometry.visibility import beam_footprint, hidden_mask, seen_through_mask

STEREO_TOLERANCE = 0.05
# of `Converter.needed`, for converters of scans
LIDAR_COUNTS = dict(
    sparse_pixels='points that the camera sees: the calibration of this LiDAR, scans in meters',
    gt_pixels='measurements that the filter keeps: calibration, poses and second camera of these '
    'frames',
)
_DISPARITIES = 128  # so the nearest depth is focal length * baseline / 128: with KITTI's, 3 m
_BLOCK = 5  # pixels
_EDGE_WINDOW = 5  # pixels; matching is off by as much at edges
_EDGE = 1.1  # an edge is where the depths in the window have this ratio


def add_neighbors_argument(parser: argparse.ArgumentParser, where: str = '') -> None:
    """Add ``--neighbors``.

    Args:
        parser: Of the converter.
        where: Which frames have neighbors, for the help.
    """
    parser.add_argument(
        '--neighbors',
        type=int,
        metavar='N',
        help=f'scans before and after for the ground truth{where}; 0: that of the frame alone, '
        'filtered (%(default)s)',
    )


def accumulate_scans(
    scans: Iterable[tuple[np.ndarray, np.ndarray]],
    cam2img: np.ndarray,
    size: tuple[int, int],
    max_depth: float,
) -> np.ndarray:
    """Bring scans into one image; of several measurements in a pixel the nearest stays.

    Args:
        scans: Points (N, 3), meters, and the transform (4, 4) from their frame to the camera's.
        cam2img: (3, 3), pixels.
        size: (height, width).
        max_depth: Meters; farther points are left out.

    Returns:
        float32 (H, W), meters; 0 = no measurement.
    """
    depth = np.full(size, np.inf, np.float32)
    for points, transform in scans:
        points = transform_points(points, transform)
        one = points_to_depth(points[points[:, 2] <= max_depth], cam2img, size)
        np.minimum(depth, one, out=depth, where=one > 0)
    depth[np.isinf(depth)] = 0
    return depth


def stereo_depth(image: np.ndarray, other: np.ndarray, focal: float, baseline: float) -> np.ndarray:
    """Depth by semi-global matching of a rectified pair, without the edges.

    Args:
        image: uint8 (H, W, 3) or (H, W).
        other: The same of the second camera.
        focal: Focal length of both, pixels.
        baseline: Place of the second camera along the x axis of the first, meters: above 0 to its
            right, below 0 to its left.

    Returns:
        float32 (H, W), meters; 0 where nothing matches, and within two pixels of an edge.
    """
    left = baseline < 0  # mirrored, the second camera is to the right
    if left:
        image, other = image[:, ::-1], other[:, ::-1]
    # the matcher gives no values to its first columns
    image, other = (
        cv2.copyMakeBorder(x, 0, 0, _DISPARITIES, 0, cv2.BORDER_REPLICATE) for x in (image, other)
    )
    channels = 1 if image.ndim == 2 else image.shape[2]
    matcher = cv2.StereoSGBM_create(
        minDisparity=0,
        numDisparities=_DISPARITIES,
        blockSize=_BLOCK,
        P1=8 * channels * _BLOCK**2,
        P2=32 * channels * _BLOCK**2,
        disp12MaxDiff=1,
        preFilterCap=63,
        uniquenessRatio=10,
        speckleWindowSize=100,
        speckleRange=2,
        mode=cv2.STEREO_SGBM_MODE_SGBM_3WAY,
    )
    disparity = matcher.compute(image, other)[:, _DISPARITIES:].astype(np.float32) / 16
    if left:
        disparity = disparity[:, ::-1]
    depth = np.zeros_like(disparity)
    found = disparity > 0
    depth[found] = focal * abs(baseline) / disparity[found]
    window = np.ones((_EDGE_WINDOW, _EDGE_WINDOW), np.uint8)
    farthest = cv2.dilate(depth, window)
    nearest = cv2.erode(np.where(found, depth, np.float32(np.inf)), window)
    depth[farthest / _EDGE > nearest] = 0  # where nothing matches, nearest is infinite
    return depth


def filter_depth(
    depth: np.ndarray,
    scan: np.ndarray,
    cam2img: np.ndarray,
    stereo: np.ndarray | None = None,
    tolerance: float = STEREO_TOLERANCE,
) -> tuple[np.ndarray, dict[str, int]]:
    """Remove from accumulated depth what the camera cannot see and what moved.

    Args:
        depth: float (H, W), meters, 0 = no measurement; of several scans.
        scan: The same, of the scan of the moment alone.
        cam2img: (3, 3), pixels.
        stereo: The same, from a second camera: only what it confirms stays. None without.
        tolerance: Share of the stereo depth by which a measurement may differ from it.

    Returns:
        tuple: the filtered map, float32 (H, W), meters; and how many pixels the scan had
        ``seen_through``, were ``hidden`` behind nearer ones, and, of the others, were
        ``unconfirmed`` by stereo.
    """
    footprint = beam_footprint(cam2img)
    # first of all what is not there any more: it hides nothing
    seen_through = seen_through_mask(depth, scan, footprint)
    hidden = hidden_mask(np.where(seen_through, 0, depth), footprint)
    kept = (depth > 0) & ~hidden & ~seen_through
    counts = dict(seen_through=np.count_nonzero(seen_through), hidden=np.count_nonzero(hidden))
    if stereo is not None:
        confirmed = (stereo > 0) & (np.abs(depth - stereo) <= tolerance * stereo)
        counts['unconfirmed'] = np.count_nonzero(kept & ~confirmed)
        kept &= confirmed
    return np.where(kept, depth, 0), {key: int(count) for key, count in counts.items()}
