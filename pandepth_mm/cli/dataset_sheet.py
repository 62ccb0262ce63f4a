"""The pictures that ``pandepth check-dataset --html`` shows."""

from collections.abc import Sequence

import cv2
import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import DEPTH_PNG_MAX, PathLike, read_depth_png, read_panoptic_png
from pandepth_mm.structures.dataset_check.frame import FrameFacts
from pandepth_mm.structures.dataset_check.report import SplitReport
from pandepth_mm.structures.panoptic_ids import encode_panoptic, number_segments
from pandepth_mm.visualization.frame.contact_sheet import (
    SheetFrame,
    sheet_pictures,
    write_contact_sheet,
)

FRAMES = 12  # of a split
_CAPTIONS = dict(sparse_depth='input', gt_depth_map='ground truth', dense_depth='dense depth')


def write_sheet(
    path: PathLike, title: str, summary: str, checked: Sequence[tuple[SplitReport, list[dict]]]
) -> None:
    """Write a page with some frames of each split: first those with problems, then others.

    Args:
        path: The file.
        title: Heading of the page.
        summary: Text above the frames.
        checked: Reports, and their frames as data_info.

    Raises:
        InputError: A path that cannot be written.
    """
    frames, classes, palette = [], (), ()
    for report, infos in checked:
        if not infos:
            continue
        classes, palette = report.classes, report.palette
        for i in choose_frames(report.frames):
            frames.append(_sheet_frame(report.name, infos[i], report.frames[i], palette))
    write_contact_sheet(path, title, summary, frames, classes, palette)


def choose_frames(frames: Sequence[FrameFacts], count: int = FRAMES) -> list[int]:
    """Numbers of the frames to show, in order.

    Half of them at most have problems; the others are spread evenly over the rest.
    """
    bad = [i for i, frame in enumerate(frames) if frame.problems]
    chosen = bad[: max(count // 2, count - (len(frames) - len(bad)))]
    rest = [i for i, frame in enumerate(frames) if not frame.problems]
    places = np.linspace(0, len(rest) - 1, min(count - len(chosen), len(rest)))
    return sorted({*chosen, *(rest[int(round(place))] for place in places)})


def _sheet_frame(
    split: str, info: dict, facts: FrameFacts, palette: Sequence[Sequence[int]]
) -> SheetFrame:
    """Draw what can be read of a frame."""
    problems = [f'{kind}: {text}' for kind, text in facts.problems]
    title = f'{split}: {info["img_path"]}'
    if facts.digest is None:  # the image itself is bad
        return SheetFrame(title, problems, [])
    image = cv2.imread(info['img_path'], cv2.IMREAD_COLOR)[..., ::-1]
    depths = {}
    for kind, caption in _CAPTIONS.items():
        if kind in facts.depths:
            invalid = DEPTH_PNG_MAX if kind == 'dense_depth' else None
            path, scale = info[f'{kind}_path'], info[f'{kind}_scale']
            depths[caption] = read_depth_png(path, scale, image.shape[:2], invalid)
    panoptic = _read_map(info) if facts.class_pixels is not None else None
    return SheetFrame(title, problems, sheet_pictures(image, panoptic, depths, palette))


def _read_map(info: dict) -> np.ndarray:
    """A panoptic map that could be read before."""
    segments = info['segments_info']
    ids = read_panoptic_png(info['seg_map_path'])
    try:
        numbers = number_segments(ids, [segment['id'] for segment in segments])
    except ValueError as e:  # changed since
        raise InputError(info['seg_map_path'], str(e), 'the file as it was checked') from None
    return encode_panoptic(numbers, segments, info['num_classes'])[0]
