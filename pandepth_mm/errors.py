"""The one exception that every entry point raises for bad input, and checks by name."""

import math
import numbers
import os
from collections.abc import Iterable, Sequence
from typing import Any


class InputError(ValueError):
    """Bad input from the user: a file, a field of it, a flag or a config key.

    The message names the file, the field, what was found and what was expected. The command line
    tools print it without a traceback and exit with code 2.

    Args:
        source: File, folder, flag or config key that is wrong.
        found: What was found there.
        expected: What would have been right.
        field: Field, key or row inside ``source``, if any.
    """

    def __init__(self, source, found: str | None = None, expected: str = '', field: str = ''):
        # multiprocessing pickles exceptions by their args
        super().__init__(source, found, expected, field)
        if found is None:
            # torch raises a DataLoader worker's exception again as
            # type(text of the worker's traceback), which ends in ours
            self.message = str(source).rpartition('InputError: ')[2].strip()
        else:
            where = f'{source}: {field}' if field else str(source)
            self.message = f'{where}: found {found}; expected {expected}'

    def __str__(self) -> str:
        return self.message


def require_file(path: Any, what: str, field: str = '') -> None:
    """Refuse a path that is no file.

    Args:
        path: File, or what the user gave for one.
        what: What the file should be, 'a checkpoint', for the message.
        field: Flag or key that names the path; with it the message leads with it.

    Raises:
        InputError: No such file, or a folder.
    """
    if not os.path.isfile(path):
        found = 'a folder' if os.path.isdir(path) else 'no such file'
        if field:
            raise InputError(field, f'{path}, {found}', what)
        raise InputError(path, found, what)


def require_choice(value: Any, choices: Iterable[Any], source: Any, field: str = '') -> None:
    """Refuse a value that is not among the choices.

    Raises:
        InputError: It is not.
    """
    choices = list(choices)
    if value not in choices:
        raise InputError(source, repr(value), f'one of {choices}', field)


def require_positive(value: Any, source: Any, field: str = '', unit: str = '') -> None:
    """Refuse what is no finite number above 0.

    Args:
        value: To check.
        source: File, flag or class that it comes from.
        field: Field of it.
        unit: Unit, for the message.

    Raises:
        InputError: No number, not finite, zero or negative.
    """
    if not _is_number(value) or not 0 < value < math.inf:
        raise InputError(source, repr(value), f'a number above 0 {unit}'.strip(), field)


def require_count(value: Any, source: Any, field: str = '', least: int = 1) -> None:
    """Refuse what is no whole number of at least ``least``.

    Raises:
        InputError: It is not.
    """
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < least:
        raise InputError(source, repr(value), f'a whole number, at least {least}', field)


def require_fraction(value: Any, source: Any, field: str = '', zero: bool = False) -> None:
    """Refuse what is no fraction: above 0 (or 0, with ``zero``) and at most 1.

    Raises:
        InputError: It is not.
    """
    if not _is_number(value) or not (0 < value <= 1 or (zero and value == 0)):
        start = 'from 0' if zero else 'above 0'
        raise InputError(source, repr(value), f'a fraction {start} to 1', field)


def require_range(
    value: Any, source: Any, field: str = '', least: float = -math.inf, most: float = math.inf
) -> None:
    """Refuse what is no pair of finite numbers, the lower one first, within limits.

    Args:
        value: To check; both ends may be equal.
        source: File, flag or class that it comes from.
        field: Field of it.
        least: Least value of the lower end.
        most: Greatest value of the upper end.

    Raises:
        InputError: It is not.
    """
    if (
        not isinstance(value, Sequence)
        or len(value) != 2
        or not all(_is_number(end) and math.isfinite(end) for end in value)
        or not least <= value[0] <= value[1] <= most
    ):
        limits = f', from {least:g} to {most:g}' if least > -math.inf or most < math.inf else ''
        raise InputError(source, repr(value), f'two numbers, the lower one first{limits}', field)


def require_size(found: Sequence[int], expected: Sequence[int], source: Any, what: str) -> None:
    """Refuse a map of another size than what it belongs to.

    Args:
        found: (height, width) of the map.
        expected: (height, width) that it must have.
        source: File or argument.
        what: What has that size, 'the image', for the message.

    Raises:
        InputError: The sizes differ.
    """
    if tuple(found) != tuple(expected):
        raise InputError(
            source, f'size (h, w) = {tuple(found)}', f'{tuple(expected)}, the size of {what}'
        )


def shorten(value: Any, length: int = 80) -> str:
    """A value as a message shows it."""
    text = repr(value)
    return text if len(text) <= length else f'{text[:length]} ...'


def _is_number(value: Any) -> bool:
    """Whether it is a real number; True and False are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
