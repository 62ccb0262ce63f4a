"""One frame: labels to panoptic segments, dense depth to sparse draws.

The first half is pure functions on arrays; :func:`convert_frame` below reads
a frame, applies them and writes its files. It runs in worker processes, so
nothing heavy is imported here.
"""

import dataclasses
import functools
import os
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as mask_utils
from scipy import ndimage

from pandepth_mm.converters.vkitti2.layout import MODALITIES, Frame
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, write_depth_png, write_json, write_panoptic_png
from pandepth_mm.geometry.sampling import draw_depth, draw_nested, frame_seed
from pandepth_mm.structures.vkitti2_meta import (
    CLASS_COLORS,
    CLASSES,
    DEPTH_INVALID,
    DEPTH_SCALE,
    THING_CLASSES,
    VOID_COLOR,
    VOID_NAME,
)

NUM_THINGS = len(THING_CLASSES)
_UNKNOWN = 255
OUTPUT_FOLDERS = ('panoptic', 'sparse_depth', 'depth_gt')
CACHE_FOLDER = '.vkitti2'


@dataclasses.dataclass(frozen=True)
class FrameOptions:
    """What the files of one frame depend on, beside its source.

    Attributes:
        max_depth: Metres; what is farther is no measurement.
        seed: Seed of all draws.
        sparse_density: Fraction of the image's pixels in ``sparse_depth``.
        gt_density: Fraction of the image's pixels in ``depth_gt``.
        classless: What an instance without a thing-class pixel means:
            'error', or 'ignore' (its pixels stay what their class says).
        input_from_gt: Whether ``sparse_depth`` is a part of ``depth_gt``, as
            the authors' code has it (:func:`draw_nested`); by default the
            two draws are independent of each other.
    """

    max_depth: float = 80.0
    seed: int = 0
    sparse_density: float = 0.05
    gt_density: float = 0.20
    classless: str = 'error'
    input_from_gt: bool = False


@functools.cache
def _color_table() -> np.ndarray:
    """24-bit colour -> category id, uint8; ``_UNKNOWN`` elsewhere."""
    table = np.full(1 << 24, _UNKNOWN, np.uint8)
    for category, name in enumerate(CLASSES, start=1):
        r, g, b = CLASS_COLORS[name]
        table[r << 16 | g << 8 | b] = category
    r, g, b = VOID_COLOR
    table[r << 16 | g << 8 | b] = 0
    return table


def decode_classes(rgb: np.ndarray, source: str = '') -> np.ndarray:
    """Class colours to category ids.

    Args:
        rgb: uint8 (H, W, 3), a classSegmentation image.
        source: File name for the message.

    Returns:
        uint8 (H, W): 1..14 in the order of ``CLASSES``, 0 = void.

    Raises:
        InputError: A colour that is no class's.
    """
    code = rgb.astype(np.uint32)
    category = _color_table()[code[..., 0] << 16 | code[..., 1] << 8 | code[..., 2]]
    unknown = category == _UNKNOWN
    if unknown.any():
        row, col = np.argwhere(unknown)[0]
        color = tuple(int(v) for v in rgb[row, col])
        raise InputError(
            source,
            f'unknown colour {color} ({int(unknown.sum())} pixel(s) of unknown colours)',
            'a class colour of Virtual KITTI 2',
            f'row {row}, column {col}',
        )
    return category


def panoptic_ids(
    category: np.ndarray, instance: np.ndarray, source: str = '', classless: str = 'error'
) -> tuple[np.ndarray, dict]:
    """Classes and tracks of the pixels to panoptic segment ids.

    The id is ``category_id + 256 * (trackID + 1)`` for a thing and
    ``category_id`` for stuff. It fits 24 bits for 16-bit tracks, it cannot
    collide, and the panoptic PNG's red channel is the category.

    One stuff class is one segment, and so is one track, whether connected or
    not. Void are the undefined pixels and the pixels of a thing class without
    a track. A pixel of a track that is of no thing class (something seen
    through the object) keeps its own class. A track has one category, the
    one that most of its thing-class pixels have (of equals the first). In
    the genuine frame that was looked at all 39 tracks, down to single pixels,
    are of one thing class throughout, so neither rule changes anything there
    and an instance without a class is an error.

    Args:
        category: (H, W), 0 = void, 1..3 things, then stuff.
        instance: (H, W), trackID + 1, 0 = none.
        source: File name of the instances for the message.
        classless: 'error' or 'ignore'; see :class:`FrameOptions`.

    Returns:
        - int32 (H, W), segment ids, 0 = void.
        - Counts of what was odd: ``orphan_pixels`` (thing class without a
          track, made void), ``mixed_tracks`` (several thing classes),
          ``stuff_pixels_in_tracks``, ``classless_tracks``.

    Raises:
        InputError: A track without a thing-class pixel (``classless`` is
            'error').
    """
    category = category.astype(np.int32)
    instance = instance.astype(np.int32)
    is_thing = (category > 0) & (category <= NUM_THINGS)
    is_object = is_thing & (instance > 0)

    votes = np.bincount(
        instance[is_object] * NUM_THINGS + category[is_object] - 1,
        minlength=(int(instance.max()) + 1) * NUM_THINGS,
    )
    votes = votes.reshape(-1, NUM_THINGS)
    tracks = np.flatnonzero(np.bincount(instance[instance > 0]))
    without_class = tracks[votes[tracks].sum(axis=1) == 0]
    if len(without_class) and classless == 'error':
        track = without_class[0]
        names = (VOID_NAME,) + CLASSES
        found = ', '.join(names[c] for c in np.unique(category[instance == track]))
        raise InputError(
            source,
            f'an instance without a class: of its '
            f'{int((instance == track).sum())} pixel(s) none is of a thing '
            f'class, they are {found}',
            f'one of {", ".join(THING_CLASSES)} '
            '(or --classless-instances ignore, which leaves them '
            'to their own class)',
            f'trackID {track - 1}',
        )

    ids = np.where(category > NUM_THINGS, category, 0)
    track_category = votes.argmax(axis=1) + 1
    owner = instance[is_object]
    ids[is_object] = track_category[owner] + 256 * owner
    odd = dict(
        orphan_pixels=int((is_thing & (instance == 0)).sum()),
        mixed_tracks=int(((votes > 0).sum(axis=1) > 1).sum()),
        stuff_pixels_in_tracks=int(((instance > 0) & ~is_thing).sum()),
        classless_tracks=len(without_class),
    )
    return ids.astype(np.int32), odd


def segments_of(ids: np.ndarray) -> list[dict]:
    """The ``segments_info`` of a panoptic map.

    Args:
        ids: int (H, W) from :func:`panoptic_ids`.

    Returns:
        One dict a segment by ascending id: ``id``, ``category_id``, ``area``
        (pixels), ``bbox`` (x, y, w, h; tight, in whole pixels), ``iscrowd``.
    """
    areas = np.bincount(ids.ravel())
    areas[0] = 0  # void is no segment
    values = np.flatnonzero(areas)
    compact = np.zeros(len(areas), np.int32)  # id -> 1, 2, ...
    compact[values] = np.arange(1, len(values) + 1)
    segments = []
    for value, (rows, cols) in zip(values, ndimage.find_objects(compact[ids]), strict=True):
        box = [cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start]
        segments.append(
            dict(
                id=int(value),
                category_id=int(value & 255),
                area=int(areas[value]),
                bbox=box,
                iscrowd=0,
            )
        )
    return segments


def _read_image(path: Path, expected: str) -> np.ndarray:
    """Pixels as stored: palette images give their indices."""
    try:
        with Image.open(path) as image:
            return np.array(image)
    except (OSError, SyntaxError) as e:  # Pillow on broken PNG chunks
        raise InputError(path, f'a file that cannot be decoded ({e})', expected) from None


def output_paths(frame: Frame, out: Path) -> list[Path]:
    """The PNGs of a frame, in the order of ``OUTPUT_FOLDERS``."""
    return [out / folder / f'{frame.name}.png' for folder in OUTPUT_FOLDERS]


def cache_path(frame: Frame, out: Path) -> Path:
    """Where the result of a frame is kept for a restart."""
    return out / CACHE_FOLDER / 'frames' / f'{frame.name}.json'


def convert_frame(frame: Frame, root: Path, out: Path, options: FrameOptions) -> dict:
    """Convert one frame.

    Writes the panoptic map and the two depth maps, and last the cache entry,
    which thus proves that the others are complete.

    Args:
        frame: An inspected frame.
        root: Data root.
        out: Output folder.
        options: Options of the run.

    Returns:
        ``segments`` (as in the panoptic JSON), ``rles`` (segment id as str
        -> counts of the COCO RLE), ``drawn`` (pixels in sparse_depth and
        depth_gt), ``odd`` (see :func:`panoptic_ids`), ``stamp`` and ``sizes``
        (of the source and output files).

    Raises:
        InputError: A file that cannot be decoded, or a content that is wrong.
    """
    paths = {key: root / frame.files[key] for key in MODALITIES}
    shape = frame.height, frame.width
    # The image is only referred to, but a training should not be the first
    # to find out that it is cut off.
    _read_image(paths['rgb'], 'an RGB image')
    category = decode_classes(_read_image(paths['classes'], 'a class image'), str(paths['classes']))
    instance = _read_image(paths['instances'], 'an instance image')
    ids, odd = panoptic_ids(category, instance, str(paths['instances']), options.classless)
    depth = read_depth_png(paths['depth'], DEPTH_SCALE, shape, DEPTH_INVALID)
    depth[depth > options.max_depth] = 0

    where = (frame.scene, frame.variation, frame.camera, frame.number)
    if options.input_from_gt:
        draws = draw_nested(
            depth,
            options.gt_density,
            options.sparse_density,
            frame_seed(options.seed, *where, 'nested'),
        )
    else:
        draws = [
            draw_depth(depth, density, frame_seed(options.seed, *where, folder))
            for folder, density in (
                ('sparse_depth', options.sparse_density),
                ('depth_gt', options.gt_density),
            )
        ]
    segments = segments_of(ids)
    rles = {}
    for segment in segments:
        if segment['category_id'] <= NUM_THINGS:
            rle = mask_utils.encode(np.asfortranarray(ids == segment['id']))
            rles[str(segment['id'])] = rle['counts'].decode('ascii')

    outputs = output_paths(frame, out)
    write_panoptic_png(outputs[0], ids)
    for path, draw in zip(outputs[1:], draws, strict=True):
        write_depth_png(path, draw)
    result = dict(
        segments=segments,
        rles=rles,
        drawn=[int(np.count_nonzero(draw)) for draw in draws],
        odd=odd,
        stamp=[list(pair) for pair in frame.stamp],
        sizes=[os.path.getsize(path) for path in outputs],
    )
    write_json(cache_path(frame, out), result)
    return result
