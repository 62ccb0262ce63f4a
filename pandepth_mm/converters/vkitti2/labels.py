"""Labels of Virtual KITTI 2 to panoptic segments: pure functions on arrays."""

import functools

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.structures.vkitti2_meta import (
    CLASS_COLORS,
    CLASSES,
    THING_CLASSES,
    VOID_COLOR,
    VOID_NAME,
)

NUM_THINGS = len(THING_CLASSES)
_UNKNOWN = 255


@functools.cache
def _color_table() -> np.ndarray:
    """24-bit color -> category id, uint8; ``_UNKNOWN`` elsewhere."""
    table = np.full(1 << 24, _UNKNOWN, np.uint8)
    for category, name in enumerate(CLASSES, start=1):
        r, g, b = CLASS_COLORS[name]
        table[r << 16 | g << 8 | b] = category
    r, g, b = VOID_COLOR
    table[r << 16 | g << 8 | b] = 0
    return table


def decode_classes(rgb: np.ndarray, source: str = '') -> np.ndarray:
    """Class colors to category ids.

    Args:
        rgb: uint8 (H, W, 3), a classSegmentation image.
        source: File name for the message.

    Returns:
        uint8 (H, W): 1..14 in the order of ``CLASSES``, 0 = void.

    Raises:
        InputError: A color of no class.
    """
    code = rgb.astype(np.uint32)
    category = _color_table()[code[..., 0] << 16 | code[..., 1] << 8 | code[..., 2]]
    unknown = category == _UNKNOWN
    if unknown.any():
        row, col = np.argwhere(unknown)[0]
        color = tuple(int(v) for v in rgb[row, col])
        raise InputError(
            source,
            f'unknown color {color} ({int(unknown.sum())} pixel(s) of unknown colors)',
            'a class color of Virtual KITTI 2',
            f'row {row}, column {col}',
        )
    return category


def panoptic_ids(
    category: np.ndarray, instance: np.ndarray, source: str = '', classless: str = 'error'
) -> tuple[np.ndarray, dict]:
    """Classes and tracks of the pixels to panoptic segment ids.

    The id is ``category_id + 256 * (trackID + 1)`` for a thing and ``category_id`` for stuff. It
    fits 24 bits for 16-bit tracks, it cannot collide, and the panoptic PNG's red channel is the
    category.

    One stuff class is one segment, and so is one track, whether connected or not. Undefined pixels
    and pixels of a thing class without a track are void. A pixel of a track that is of no thing
    class (something seen through the object) keeps its own class. A track has one category, the one
    that most of its thing-class pixels have (on a tie the first). In the genuine frame that was
    examined, all 39 tracks, down to single pixels, are of one thing class throughout, so neither
    rule changes anything there and an instance without a class is an error.

    Args:
        category: (H, W), 0 = void, 1..3 things, then stuff.
        instance: (H, W), trackID + 1, 0 = none.
        source: File name of the instances for the message.
        classless: What an instance without a thing-class pixel means: 'error', or 'ignore' (its
            pixels stay what their class says).

    Returns:
        Segment ids, int32 (H, W), 0 = void; and counts of what was odd: ``orphan_pixels`` (thing
        class without a track, made void), ``mixed_tracks`` (several thing classes),
        ``stuff_pixels_in_tracks``, ``classless_tracks``.

    Raises:
        InputError: A track without a thing-class pixel (``classless`` is 'error').
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
