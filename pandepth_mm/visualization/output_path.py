"""A file that the user asked for, with a message if it cannot be written."""

import contextlib
from collections.abc import Iterator

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike, atomic_path


@contextlib.contextmanager
def output_path(path: PathLike) -> Iterator[str]:
    """`atomic_path`, with the system's errors as bad input.

    Raises:
        InputError: ``path`` is a folder, its folder cannot be made or
            written to, or the disk is full.
    """
    try:
        with atomic_path(path) as tmp:
            yield tmp
    except OSError as e:
        raise InputError(
            path, f'a path that cannot be written ({e.strerror})', 'the name of a file'
        ) from e
