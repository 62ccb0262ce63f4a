"""A frame to convert, and the files that come of it."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import DEPTH_PNG_MAX, KITTI_DEPTH_SCALE, write_depth_png, write_panoptic_png

MAX_DEPTH = DEPTH_PNG_MAX / KITTI_DEPTH_SCALE  # meters, what the depth files hold


@dataclasses.dataclass(frozen=True)
class Frame:
    """A frame to convert; converters derive from it to add what they know.

    Attributes:
        name: Path of its outputs without suffix, with slashes; unique in the data set.
        sources: Kind -> file, relative to the data root, with slashes. A frame is converted anew
            when one of them, or anything else that the frame holds, has changed.
    """

    name: str
    sources: dict[str, str]


def add_max_depth_argument(parser: argparse.ArgumentParser) -> None:
    """Add ``--max-depth``."""
    parser.add_argument(
        '--max-depth', type=float, help='meters; beyond it there is no measurement (%(default)s)'
    )


def check_max_depth(max_depth: float) -> None:
    """Refuse a range that the depth files cannot hold.

    Raises:
        InputError: Not above 0, or too far.
    """
    if not 0 < max_depth <= MAX_DEPTH:
        raise InputError(
            '--max-depth',
            f'{max_depth}',
            f'above 0 and at most {MAX_DEPTH:.1f} m, the range of the depth files',
        )


def write_maps(
    out: Path,
    frame: Frame,
    ids: np.ndarray,
    segments: list[dict],
    sparse_depth: np.ndarray,
    gt_depth_map: np.ndarray,
) -> dict:
    """Write the files of a frame.

    Args:
        out: Output folder.
        frame: The frame.
        ids: int (H, W), segment ids of 24 bits, 0 = void.
        segments: From ``segments_of``.
        sparse_depth: float (H, W), meters, 0 = no measurement.
        gt_depth_map: The same.

    Returns:
        What a ``FrameRecord`` says about these files.
    """
    file = f'{frame.name}.png'
    write_panoptic_png(out / 'panoptic' / file, ids)
    depths = dict(sparse_depth=sparse_depth, gt_depth_map=gt_depth_map)
    return dict(panoptic_file=file, segments=segments, **write_depth_maps(out, frame, **depths))


def write_depth_maps(
    out: Path, frame: Frame, sparse_depth: np.ndarray, gt_depth_map: np.ndarray | None = None
) -> dict:
    """Write the depth files of a frame.

    Args:
        out: Output folder.
        frame: The frame.
        sparse_depth: float (H, W), meters, 0 = no measurement.
        gt_depth_map: The same; None without.

    Returns:
        What a ``FrameRecord`` says about these files.
    """
    parts = {}
    for kind, depth in (('sparse_depth', sparse_depth), ('gt_depth_map', gt_depth_map)):
        if depth is not None:
            file = f'{kind}/{frame.name}.png'
            write_depth_png(out / file, depth)
            parts[f'{kind}_file'] = file
            parts[f'{kind}_scale'] = KITTI_DEPTH_SCALE
    return parts
