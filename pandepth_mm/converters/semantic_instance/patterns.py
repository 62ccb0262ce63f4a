"""File names with placeholders: ``images/{split}/{scene}/{name}.png``."""

import os
import posixpath
import re
from pathlib import Path

from pandepth_mm.errors import InputError

FIELDS = dict(split='[^/]+', scene='[^/]+', name='.+')


class Pattern:
    """Where the files of one kind lie below the data root.

    Args:
        text: Relative path with slashes and any of ``{split}``, ``{scene}`` (one folder, or a part
            of a name) and ``{name}`` (the rest; it may hold slashes).
        flag: That gave it, for messages.

    Raises:
        InputError: Another placeholder, or a path that is not relative.
    """

    def __init__(self, text: str, flag: str) -> None:
        self.flag = flag
        self.text = text = posixpath.normpath(text) if text else text  # './a//b' is 'a/b'
        parts = re.split(r'\{([^{}]*)\}', text)
        self.fields = set(parts[1::2])
        if not self.fields <= set(FIELDS) or set('{}') & set(''.join(parts[::2])):
            names = ', '.join(f'{{{name}}}' for name in FIELDS)
            raise InputError(flag, text, f'a path with the placeholders {names}')
        if not text or Path(text).is_absolute():
            raise InputError(flag, repr(text), 'a path relative to DATA_ROOT')
        regex, seen = '', set()
        for i, part in enumerate(parts):
            if i % 2 == 0:
                regex += re.escape(part)
            else:
                regex += f'(?P={part})' if part in seen else f'(?P<{part}>{FIELDS[part]})'
                seen.add(part)
        self._regex = re.compile(regex)
        self._start = parts[0].rpartition('/')[0]  # folders above the first placeholder

    def fill(self, values: dict[str, str]) -> str:
        """The path with these values."""
        return re.sub(r'\{(\w+)\}', lambda match: values[match[1]], self.text)

    def find(self, root: Path) -> list[dict[str, str]]:
        """The values of all files below a folder that fit, sorted by path.

        Raises:
            PermissionError: A folder that may not be read; its files would be left out.
        """
        paths = []
        for folder, folders, names in os.walk(
            root / self._start, onerror=_raise_refusal, followlinks=True
        ):
            folders[:] = [name for name in folders if not _leads_up(folder, name)]
            place = Path(folder).relative_to(root).as_posix()
            paths += [name if place == '.' else f'{place}/{name}' for name in names]
        matches = (self._regex.fullmatch(path) for path in sorted(paths))
        return [match.groupdict() for match in matches if match]


def _raise_refusal(error: OSError) -> None:
    """Raise what is about permissions; a folder that is not there has no files."""
    if isinstance(error, PermissionError):
        raise error


def _leads_up(folder: str, name: str) -> bool:
    """Whether a folder in another one is a link to that one, or to one above it: a loop."""
    path = os.path.join(folder, name)
    if not os.path.islink(path):
        return False
    above, here = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([above, here]) == above
