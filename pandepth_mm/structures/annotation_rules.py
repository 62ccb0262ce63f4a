"""What the annotation JSON may hold: a rule per key, and the check of a record."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from pandepth_mm.errors import InputError, shorten
from pandepth_mm.fileio import PathLike
from pandepth_mm.structures.panoptic_ids import MAX_ID

DEPTH_KINDS = ('sparse_depth', 'gt_depth_map', 'dense_depth')


def is_whole(value: Any) -> bool:
    """Whether it is an integer; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a finite number that a float can hold."""
    return (is_whole(value) and abs(value) < 1e300) or (
        isinstance(value, float) and math.isfinite(value)
    )


def is_name(value: Any) -> bool:
    """Whether it is a text, not an empty one."""
    return isinstance(value, str) and value != ''


def is_flag(value: Any) -> bool:
    """Whether it is 0, 1, true or false."""
    return isinstance(value, int) and value in (0, 1)


def is_matrix(value: Any) -> bool:
    """Whether it is three rows of three numbers."""
    return (
        isinstance(value, list)
        and len(value) == 3
        and all(isinstance(row, list) and len(row) == 3 for row in value)
        and all(is_number(x) for row in value for x in row)
    )


class Rule(NamedTuple):
    """What a key of a record must hold; null is right where it is not required."""

    is_right: Callable[[Any], bool]
    expected: str
    required: bool = True


def is_id(value: Any) -> bool:
    """Whether it can be the id of an image, as COCO or as cityscapesScripts has it."""
    return is_whole(value) or is_name(value)


_ID = Rule(is_id, 'an integer or a text')
_WHOLE = Rule(is_whole, 'an integer')
_FILE = Rule(is_name, 'the name of a file')
_PIXELS = Rule(lambda v: is_whole(v) and v > 0, 'a whole number, at least 1')
_SCALE = Rule(
    lambda v: is_number(v) and 1e-6 <= v <= 1e9, 'a number above 0, PNG units per meter', False
)
_ORIGIN = Rule(lambda v: v == '' or is_id(v), 'an integer or a text', False)

IMAGE = dict(
    id=_ID,
    file_name=_FILE,
    width=_PIXELS,
    height=_PIXELS,
    cam2img=Rule(is_matrix, 'a 3 x 3 matrix of numbers, a list of three lists'),
    sparse_depth_file=_FILE,
    **{f'{kind}_file': _FILE._replace(required=False) for kind in DEPTH_KINDS[1:]},
    **{f'{kind}_scale': _SCALE for kind in DEPTH_KINDS},
    **dict.fromkeys(('scene', 'variation', 'camera', 'frame'), _ORIGIN),
)
ANNOTATION = dict(
    image_id=_ID, file_name=_FILE, segments_info=Rule(lambda v: isinstance(v, list), 'a list')
)
SEGMENT = dict(  # area and bbox are what other tools read
    id=Rule(
        lambda v: is_whole(v) and 0 < v < MAX_ID, 'an integer, 1 to 16777215 (0 is void in a PNG)'
    ),
    category_id=_WHOLE,
    iscrowd=Rule(is_flag, '0 or 1', False),
)
CATEGORY = dict(
    id=_WHOLE, name=Rule(is_name, 'the name of a class'), isthing=Rule(is_flag, '0 or 1')
)


def check_record(path: PathLike, field: str, record: Any, rules: dict[str, Rule]) -> None:
    """Refuse what is no object, lacks a key, or has a wrong value.

    Args:
        path: File of the record, for the message.
        field: Place of the record in it.
        record: To check.
        rules: Of this module: ``IMAGE``, ``ANNOTATION``, ``SEGMENT`` or ``CATEGORY``.

    Raises:
        InputError: It is not as the rules say.
    """
    if not isinstance(record, dict):
        raise InputError(path, shorten(record), 'an object', field)
    for key, rule in rules.items():
        value = record.get(key)
        if value is None and not rule.required:
            continue
        if key not in record:
            keys = [key for key, rule in rules.items() if rule.required]
            raise InputError(path, f'no key {key!r} in {sorted(record)}', f'the keys {keys}', field)
        if not rule.is_right(value):
            raise InputError(path, shorten(value), rule.expected, f'{field}.{key}')
