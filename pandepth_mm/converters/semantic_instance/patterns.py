"""File names with placeholders: ``images/{split}/{scene}/{name}.png``."""

import os
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
        parts = re.split(r'\{([^{}]*)\}', text)
        self.text, self.flag = text, flag
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
        """The values of all files below a folder that fit, sorted by path."""
        paths = []
        for folder, _, names in os.walk(root / self._start, followlinks=True):
            place = Path(folder).relative_to(root).as_posix()
            paths += [name if place == '.' else f'{place}/{name}' for name in names]
        matches = (self._regex.fullmatch(path) for path in sorted(paths))
        return [match.groupdict() for match in matches if match]
