"""Images whose pixels are ids of classes or instances, and the panoptic map that they give."""

from pathlib import Path

import numpy as np
from PIL import Image

from pandepth_mm.errors import InputError, require_file, require_size
from pandepth_mm.structures.annotations import segments_of

_GRAY = ('1', 'L', 'P', 'I', 'I;16', 'I;16B')  # modes of Pillow; P: the indices count
_TAIL = 1024  # bytes in which the end of a PNG lies
# Per image. Cityscapes' class * 1000 + number has no room for more in a class, and people label a
# few hundred at most; a depth map, or colors that were resampled, have thousands of values.
MAX_INSTANCES = 1000


def check_id_image(
    path: Path, shape: tuple[int, int], what: str, gray: bool = True, rgb: bool = False
) -> None:
    """Check the header and the end of an image of ids, without decoding it.

    Args:
        path: A PNG.
        shape: Expected (height, width).
        what: What it should be, for messages.
        gray: Whether one channel is right, or a palette.
        rgb: Whether three channels are right.

    Raises:
        InputError: Missing, no PNG, broken off, of another kind or size.
    """
    require_file(path, what)
    kinds = ['gray', 'palette'] * gray + ['RGB'] * rgb
    expected = f'a PNG of ids, {" or ".join(kinds)}'
    try:
        with Image.open(path) as image:
            width, height = image.size
            mode, kind = image.mode, image.format
    except PermissionError:
        raise
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise InputError(path, 'a file that cannot be decoded', expected) from None
    if kind != 'PNG' or mode not in _GRAY * gray + ('RGB',) * rgb:
        raise InputError(path, f'{kind} with pixels {mode}', expected)
    require_size((height, width), shape, path, 'the image')
    with open(path, 'rb') as f:
        f.seek(max(0, path.stat().st_size - _TAIL))
        if b'IEND' not in f.read():
            raise InputError(path, 'a PNG that breaks off', 'a complete PNG')


def read_id_image(path: Path) -> np.ndarray:
    """Read an image that :func:`check_id_image` has passed.

    Returns:
        int32 (H, W): the value of a gray pixel, the index of one with a palette, R + 256 G + 65536
        B of three channels.

    Raises:
        InputError: It cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image).astype(np.int32)
    except (OSError, SyntaxError, ValueError) as e:
        raise InputError(path, f'a file that cannot be decoded ({e})', 'a PNG of ids') from None
    return pixels if pixels.ndim == 2 else pixels @ np.array([1, 256, 65536], np.int32)


def require_instances(values: np.ndarray, path: Path) -> None:
    """Refuse an image of instances with too many values, whatever the classes of the pixels.

    Args:
        values: int (H, W), from :func:`read_id_image`.
        path: Of the image, for the message.

    Raises:
        InputError: Over ``MAX_INSTANCES`` values beside 0.
    """
    count = np.count_nonzero(np.unique(values))  # 0 is none
    if count > MAX_INSTANCES:
        raise InputError(
            path,
            f'{count} values in {values.size} pixels, as of a depth map',
            f'numbers of instances, at most {MAX_INSTANCES} in an image',
        )


def check_decodes(path: Path) -> None:
    """Decode an RGB image that is only referred to: a training should not be the first to do it.

    Raises:
        InputError: It cannot be decoded.
    """
    try:
        with Image.open(path) as image:
            image.load()
    except (OSError, SyntaxError, ValueError) as e:
        raise InputError(path, f'a file that cannot be decoded ({e})', 'an image') from None


def number_instances(
    category: np.ndarray, instance: np.ndarray, num_things: int, source: Path
) -> tuple[np.ndarray, dict[int, int]]:
    """Classes and instances of the pixels to panoptic segment ids.

    The id is ``category + 256 n``: n is 0 for stuff and for pixels of a thing class that belong to
    no instance; the instances of the image have n = 1, 2, ... by category and instance. So the same
    instance number in two classes is two instances. An instance is one segment, connected or not.

    Args:
        category: int (H, W), category ids: 0 = void, 1 to ``num_things`` the things, then stuff.
        instance: int (H, W), below 2^24; 0 = none. Of no effect outside things.
        num_things: Number of thing classes.
        source: File of the instances, for the message.

    Returns:
        tuple: segment ids, int32 (H, W), 0 = void; and segment id -> number of the instance.

    Raises:
        InputError: Over ``MAX_INSTANCES``.
    """
    ids = category.astype(np.int32)
    is_object = (category > 0) & (category <= num_things) & (instance > 0)
    keys, order = np.unique(
        category[is_object].astype(np.int64) << 24 | instance[is_object], return_inverse=True
    )
    if len(keys) > MAX_INSTANCES:
        raise InputError(source, f'{len(keys)} instances', f'at most {MAX_INSTANCES} in an image')
    segment_ids = (keys >> 24) + 256 * np.arange(1, len(keys) + 1)
    ids[is_object] = segment_ids[order.reshape(-1)]
    numbers = (keys & 0xFFFFFF).tolist()
    return ids, dict(zip(segment_ids.tolist(), numbers, strict=True))


def tracked_segments(
    category: np.ndarray, instance: np.ndarray, num_things: int, source: Path
) -> tuple[np.ndarray, list[dict], int]:
    """:func:`number_instances` and their segments, where instance numbers hold over a sequence.

    Returns:
        tuple: segment ids, int32 (H, W); the segments, those of instances with their number as
        ``track_id``; and how many instances there are.
    """
    ids, numbers = number_instances(category, instance, num_things, source)
    segments = segments_with_crowds(ids, num_things)
    for segment in segments:
        if segment['id'] in numbers:
            segment['track_id'] = numbers[segment['id']]
    return ids, segments, len(numbers)


def segments_with_crowds(ids: np.ndarray, num_things: int) -> list[dict]:
    """The segments of a map of :func:`number_instances`.

    Pixels of a thing class that belong to no instance are a crowd: one segment with ``iscrowd`` =
    1, which is neither trained as an object nor counted as background.
    """
    segments = segments_of(ids, lambda value: value & 255, range(1, num_things + 1))
    for segment in segments:
        segment['iscrowd'] = int('segmentation' in segment and segment['id'] < 256)
    return segments
