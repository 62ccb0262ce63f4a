"""Depth of frames that have scans and classes: input, ground truth, and what to say about them."""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from pandepth_mm.converters.core.frame import Frame
from pandepth_mm.converters.core.ground_truth import accumulate_scans, filter_depth, stereo_depth
from pandepth_mm.errors import InputError, require_size
from pandepth_mm.geometry.calibration import Calibration
from pandepth_mm.structures.image_files import check_image_file

_FILTERS = ('seen_through', 'hidden', 'unconfirmed')  # counts of filter_depth


@dataclasses.dataclass(frozen=True)
class LabeledFrame(Frame):
    """A frame of a sequence, with labels and scans.

    Attributes:
        sequence: Name of the sequence.
        number: Of the frame in it.
        neighbors: Numbers of the frames around it whose scans count too.
        height: Pixels; 0 until ``inspect_frame``.
        width: Pixels; 0 until ``inspect_frame``.
    """

    sequence: str
    number: int
    neighbors: tuple[int, ...]
    height: int = 0
    width: int = 0


def labeled_depth(
    scans: Sequence[tuple[np.ndarray, np.ndarray]],
    cam2img: np.ndarray,
    may_move: np.ndarray,
    sky: np.ndarray,
    max_depth: float,
    stereo: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """Input of the frame's scan, and ground truth of that and others.

    On things that may move the other scans do not count, and in the sky none does; then
    ``filter_depth`` removes what the camera cannot see and what moved.

    Args:
        scans: The frame's scan first: points (N, 3), meters, and the transform (4, 4) from their
            frame to the camera's.
        cam2img: (3, 3), pixels.
        may_move: bool (H, W).
        sky: bool (H, W).
        max_depth: Meters; farther points are left out.
        stereo: float (H, W), meters, 0 = no measurement; None without a second camera.

    Returns:
        tuple: input and ground truth, float32 (H, W), meters; and counts of pixels:
        ``sparse_pixels``, ``accumulated_pixels``, ``gt_pixels``, and those that were left out.
    """
    sparse_depth = accumulate_scans(scans[:1], cam2img, sky.shape, max_depth)
    depth = accumulate_scans(scans, cam2img, sky.shape, max_depth)
    depth = np.where(may_move, sparse_depth, depth)
    depth[sky] = 0
    gt_depth_map, counts = filter_depth(depth, sparse_depth, cam2img, stereo)
    maps = dict(sparse=sparse_depth, accumulated=depth, gt=gt_depth_map)
    counts |= {f'{name}_pixels': int(np.count_nonzero(m)) for name, m in maps.items()}
    counts['stereo'] = int(stereo is not None)
    return sparse_depth, gt_depth_map, counts


def check_image_pair(paths: Mapping[str, Path]) -> tuple[int, int]:
    """Check the headers of 'image' and, where there is one, 'second image'.

    Returns:
        Height and width of both.

    Raises:
        InputError: Broken, broken off, not of 8 bits, or of different sizes.
    """
    shapes = []
    for kind in ('image', 'second image'):
        if kind in paths:
            with open(paths[kind], 'rb') as file:
                shapes.append(check_image_file(file, paths[kind]))
    if len(shapes) == 2:
        require_size(shapes[1], shapes[0], paths['second image'], 'the image of the left camera')
    return shapes[0]


def stereo_of_pair(
    image: Path, second: Path, calibrations: Sequence[Calibration], source: Path
) -> np.ndarray:
    """Depth from a rectified pair of cameras.

    Args:
        image: Of the first camera.
        second: Of the second camera.
        calibrations: Of both, with the place of the same LiDAR.
        source: File of the calibrations, for the message.

    Returns:
        float32 (H, W), meters, 0 = no measurement.

    Raises:
        InputError: An image that cannot be decoded, or cameras of different intrinsics.
    """
    images = []
    for path in (image, second):
        images.append(cv2.imread(str(path)))
        if images[-1] is None:
            raise InputError(path, 'a file that cannot be decoded', 'an image')
    one, two = calibrations
    if not np.allclose(one.cam2img, two.cam2img, atol=0.01):
        raise InputError(source, 'two cameras of different intrinsics', 'a rectified pair')
    baseline = one.lidar2cam[0, 3] - two.lidar2cam[0, 3]
    return stereo_depth(*images, one.cam2img[0, 0], baseline)


def describe_depth(counts: Mapping[str, int]) -> list[str]:
    """Lines on the summed counts of :func:`labeled_depth` and ``pixels``."""
    pixels, accumulated = (max(counts[f'{k}pixels'], 1) for k in ('', 'accumulated_'))
    filtered = ', '.join(
        f'{name.replace("_", " ")} {counts.get(name, 0) / accumulated:.1%}' for name in _FILTERS
    )
    return [
        f'  with stereo     {counts["stereo"]}',
        f'mean density      sparse_depth {counts["sparse_pixels"] / pixels:.2%}, '
        f'gt_depth_map {counts["gt_pixels"] / pixels:.2%} of the pixels',
        f'the filter took   {1 - counts["gt_pixels"] / accumulated:.1%} of the accumulated pixels: '
        f'{filtered}',
    ]
