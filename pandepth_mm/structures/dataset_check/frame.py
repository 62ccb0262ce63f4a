"""One frame: all its files are opened, as a training would.

Free of heavy imports, since worker processes start with it.
"""

import dataclasses
import hashlib
import io
import os
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from scipy.ndimage import find_objects

from pandepth_mm.errors import InputError, require_size
from pandepth_mm.fileio import DEPTH_PNG_MAX, read_depth_png, read_panoptic_png
from pandepth_mm.structures.annotation_rules import DEPTH_KINDS
from pandepth_mm.structures.image_files import check_image_file
from pandepth_mm.structures.panoptic_ids import number_segments

# kind -> whether a training fails on it, in the order of the report
KINDS = dict(
    missing=True,
    dangling=True,
    truncated=True,
    broken=True,
    size=True,
    segments=True,
    area=False,
    box=False,
    intrinsics=False,
    empty=False,
)
_BOX_TOLERANCE = 1  # pixels; some tools count the last pixel, some do not
_FOCAL_RANGE = 0.1, 20.0  # of the image's width: 157 to 3 degrees


class DepthFacts(NamedTuple):
    """Of a depth map.

    Attributes:
        pixels: Of the map.
        measured: Pixels with a measurement.
        beyond: Those of them beyond the model's range.
        saturated: Those of the largest value that 16 bits hold.
        least: Smallest depth, meters; 0 without any, and so are the next two.
        median: Of the depths.
        most: Largest depth.
        ratio: Median of this depth / the input's where both measure; None where they do not.
    """

    pixels: int
    measured: int
    beyond: int
    saturated: int
    least: float
    median: float
    most: float
    ratio: float | None = None


class Thing(NamedTuple):
    """An instance as the map has it.

    Attributes:
        label: Of its class.
        box: x, y, width, height, pixels.
        area: Pixels.
        iscrowd: Whether training ignores it.
    """

    label: int
    box: tuple[int, int, int, int]
    area: int
    iscrowd: bool


@dataclasses.dataclass
class FrameFacts:
    """What a frame holds.

    Attributes:
        size: Width and height, pixels.
        problems: (key of ``KINDS``, what was found).
        digest: Of the image's file; None where it cannot be read.
        depths: By the kind of map.
        class_pixels: int64 (num_classes + 1,), the last one void; None without panoptic map.
        things: Of the panoptic map.
    """

    size: tuple[int, int]
    problems: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    digest: bytes | None = None
    depths: dict[str, DepthFacts] = dataclasses.field(default_factory=dict)
    class_pixels: np.ndarray | None = None
    things: list[Thing] = dataclasses.field(default_factory=list)


def check_frame(info: dict, listed: Sequence[dict] | None, max_depth: float | None) -> FrameFacts:
    """Open all files of a frame.

    Args:
        info: The frame as `PanopticDepthDataset` has it: paths, scales, size, intrinsics, segments.
        listed: The same segments as the JSON has them, with ``area`` and ``bbox``.
        max_depth: Range of the model, meters, if it is known.
    """
    facts = FrameFacts((info['width'], info['height']))
    shape = (info['height'], info['width'])
    _try(facts, info['img_path'], lambda path: _check_image(facts, path, shape))
    _check_intrinsics(facts, info['cam2img'], shape)
    maps = {}
    for kind in DEPTH_KINDS:
        path = info.get(f'{kind}_path')
        if path is not None:
            depth = _try(facts, path, lambda path, kind=kind: _read_depth(info, kind, path, shape))
            if depth is not None:
                maps[kind] = depth
                facts.depths[kind] = _depth_facts(maps, kind, info[f'{kind}_scale'], max_depth)
                if not facts.depths[kind].measured and kind != 'dense_depth':
                    facts.problems.append(('empty', f'{path}: no measurement'))
    if info.get('seg_map_path') is not None:
        _try(facts, info['seg_map_path'], lambda path: _check_map(facts, path, info, listed, shape))
    return facts


def _try(facts: FrameFacts, path: str, check: Callable[[str], Any]) -> Any:
    """Run the check of a file and return its result, or note why it fails and return None."""
    kind = 'broken'
    if not os.path.isfile(path):
        kind = 'dangling' if os.path.islink(path) else 'missing'
    elif not os.access(path, os.R_OK):
        facts.problems.append((kind, f'{path}: no permission to read it'))
        return None
    elif path.lower().endswith('.png') and not _ends(path):
        kind = 'truncated'
    if kind != 'broken':  # nor would OpenCV be silent
        what = dict(missing='no such file', dangling='a link to nothing', truncated='it breaks off')
        facts.problems.append((kind, f'{path}: {what[kind]}'))
        return None
    try:
        return check(path)
    except InputError as e:
        text = str(e)
        if 'size (h, w)' in text:
            kind = 'size'
        elif 'breaks off' in text:
            kind = 'truncated'
        elif 'segments_info' in text:
            kind = 'segments'
        facts.problems.append((kind, text))
    return None


def _ends(path: str) -> bool:
    """Whether a PNG has its end; what is no PNG is left to its reader."""
    with open(path, 'rb') as f:
        if f.read(4) != b'\x89PNG':
            return True
        f.seek(max(0, os.path.getsize(path) - 1024))
        return b'IEND' in f.read()


def _check_image(facts: FrameFacts, path: str, shape: tuple[int, int]) -> None:
    """Look whether an image is whole, of 8 bits, and as large as its record says."""
    with open(path, 'rb') as f:
        content = f.read()
    found = check_image_file(io.BytesIO(content), path)
    require_size(found, shape, path, 'the image as its record has it')
    # an eighth of the size is decoded quicker, and fails alike
    if cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_REDUCED_COLOR_8) is None:
        raise InputError(path, 'a file that cannot be decoded', 'an image')
    facts.digest = hashlib.blake2b(content, digest_size=16).digest()


def _check_intrinsics(facts: FrameFacts, cam2img: np.ndarray, shape: tuple[int, int]) -> None:
    """Note intrinsics that belong to another size, or are no pixels."""
    height, width = shape
    (fx, _, cx), (_, fy, cy) = cam2img[:2].tolist()
    low, high = (bound * width for bound in _FOCAL_RANGE)
    if not (low < fx < high and low < fy < high and 0 < cx < width and 0 < cy < height):
        text = f'fx {fx:g}, fy {fy:g}, cx {cx:g}, cy {cy:g} of an image {width} x {height}'
        facts.problems.append(('intrinsics', text))


def _read_depth(info: dict, kind: str, path: str, shape: tuple[int, int]) -> np.ndarray:
    """A depth map; 65535 of a dense one is no measurement."""
    invalid = DEPTH_PNG_MAX if kind == 'dense_depth' else None
    return read_depth_png(path, info[f'{kind}_scale'], shape, invalid)


def _depth_facts(
    maps: dict[str, np.ndarray], kind: str, scale: float, max_depth: float | None
) -> DepthFacts:
    """Count a map, and compare it with the input."""
    depth = maps[kind]
    values = depth[depth > 0]
    ratio = None
    if kind != 'sparse_depth' and 'sparse_depth' in maps:
        both = (depth > 0) & (maps['sparse_depth'] > 0)
        if both.any():
            ratio = float(np.median(depth[both] / maps['sparse_depth'][both]))
    if not len(values):
        return DepthFacts(depth.size, 0, 0, 0, 0.0, 0.0, 0.0, ratio)
    return DepthFacts(
        pixels=depth.size,
        measured=len(values),
        beyond=0 if max_depth is None else int((values > max_depth).sum()),
        saturated=int((values >= np.float32(DEPTH_PNG_MAX) / np.float32(scale)).sum()),
        least=float(values.min()),
        median=float(np.median(values)),
        most=float(values.max()),
        ratio=ratio,
    )


def _check_map(
    facts: FrameFacts, path: str, info: dict, listed: Sequence[dict] | None, shape: tuple[int, int]
) -> None:
    """Count the pixels of each class, and compare segments with their records."""
    segments = info['segments_info']
    ids = read_panoptic_png(path, shape)
    try:
        numbers = number_segments(ids, [segment['id'] for segment in segments])
    except ValueError as e:
        raise InputError(path, str(e), 'pixels of exactly the segments_info') from None
    areas = np.bincount(numbers.ravel(), minlength=len(segments) + 1)
    facts.class_pixels = np.zeros(info['num_classes'] + 1, np.int64)
    facts.class_pixels[-1] = areas[0]
    wrong: dict[str, list[str]] = dict(area=[], box=[])
    slices = find_objects(numbers, max_label=len(segments))
    for segment, record, area, (rows, cols) in zip(
        segments, listed or segments, areas[1:].tolist(), slices, strict=True
    ):
        facts.class_pixels[segment['category']] += area
        box = (cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start)
        if segment['isthing']:
            facts.things.append(Thing(segment['category'], box, area, bool(segment['iscrowd'])))
        if record.get('area', area) != area:
            wrong['area'].append(f'segment {segment["id"]}: {record["area"]}, the map has {area}')
        if 'bbox' in record and not _same_box(record['bbox'], box):
            wrong['box'].append(
                f'segment {segment["id"]}: {record["bbox"]}, the map has {list(box)}'
            )
    for kind, texts in wrong.items():
        if texts:
            facts.problems.append((kind, f'{path}: {texts[0]} ({len(texts)} of the frame)'))


def _same_box(found, box: tuple[int, int, int, int]) -> bool:
    """Whether a box x, y, width, height is that of the map, but for a pixel."""
    try:
        x, y, width, height = (float(value) for value in found)
    except (TypeError, ValueError):
        return False
    corners = (x, y, x + width, y + height)
    expected = (box[0], box[1], box[0] + box[2], box[1] + box[3])
    return all(abs(a - b) <= _BOX_TOLERANCE for a, b in zip(corners, expected, strict=True))
