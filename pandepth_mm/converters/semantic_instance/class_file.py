"""The list of classes that a user writes: JSON, YAML or CSV."""

import csv
import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import InputError, require_file, shorten
from pandepth_mm.structures.annotations import coco_categories
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.panoptic_ids import VOID_LABEL

_KEYS = ('name', 'id', 'isthing', 'color')
_FLAGS = {'0': 0, '1': 1, 'false': 0, 'true': 1, 'no': 0, 'yes': 1}
_MAX_ID = 65535  # of a 16-bit PNG


class ClassList(NamedTuple):
    """The classes of a data set.

    Attributes:
        categories: Of COCO, things first, with the ids 1, 2, ...
        table: int32 (N,), id in the images -> category id, 0 = void; ids from N on are void.
    """

    categories: list[dict]
    table: np.ndarray

    def categories_of(self, ids: np.ndarray) -> np.ndarray:
        """Category ids of ids in the images, int32 of the same shape; 0 = void."""
        known = ids < len(self.table)
        return np.where(known, self.table[np.where(known, ids, 0)], 0)

    @property
    def names(self) -> list[list[str]]:
        """Names of the things, and of the stuff."""
        return [[c['name'] for c in self.categories if c['isthing'] == k] for k in (1, 0)]

    @property
    def digest(self) -> str:
        """A short text that differs where the classes do."""
        content = json.dumps([self.categories, self.table.tolist()])
        digest = hashlib.sha256(content.encode()).hexdigest()[:12]
        return f'{len(self.categories)} classes, {digest}'


def read_classes(path: str | Path) -> ClassList:
    """Read the classes of a data set.

    Each class has ``name``, ``id`` (in the images; a list where several ids mean one class),
    ``isthing`` (0 or 1) and, if wanted, ``color`` (RGB). JSON and YAML: a list of such objects.
    CSV: a first line with these names, one class per line, numbers of a list apart by spaces.

    Raises:
        InputError: Missing, unreadable, or a class that is wrong.
    """
    path = Path(path)
    require_file(path, 'a file of classes', '--classes')
    readers = {'.json': _read_json, '.yaml': _read_yaml, '.yml': _read_yaml, '.csv': _read_csv}
    if path.suffix.lower() not in readers:
        raise InputError(path, f'suffix {path.suffix!r}', '.json, .yaml or .csv')
    try:
        entries = readers[path.suffix.lower()](path.read_text(encoding='utf-8-sig'), path)
    except UnicodeDecodeError as e:
        raise InputError(path, f'no text ({e})', 'a file of classes') from None
    if not isinstance(entries, list) or not entries:
        raise InputError(path, shorten(entries), 'a list of classes with name, id and isthing')
    classes = [_check(path, f'class {i}', entry) for i, entry in enumerate(entries, start=1)]
    if len(classes) > VOID_LABEL:
        raise InputError(path, f'{len(classes)} classes', f'at most {VOID_LABEL}')
    for what in ('name', 'id'):
        seen: dict[Any, str] = {}
        for entry in classes:
            for value in entry['id'] if what == 'id' else [entry['name']]:
                if value in seen:
                    raise InputError(
                        path, f'{what} {value!r} of {seen[value]} again', 'it once', entry['name']
                    )
                seen[value] = entry['name']
    classes.sort(key=lambda entry: -entry['isthing'])  # stable
    names = [entry['name'] for entry in classes]
    colors = [
        entry['color'] or color
        for entry, color in zip(classes, default_palette(names), strict=True)
    ]
    num_things = sum(entry['isthing'] for entry in classes)
    table = np.zeros(max(value for entry in classes for value in entry['id']) + 1, np.int32)
    for category, entry in enumerate(classes, start=1):
        table[entry['id']] = category
    return ClassList(coco_categories(names[:num_things], names[num_things:], colors), table)


def _read_json(text: str, path: Path) -> Any:
    """Content of a JSON file."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as e:
        raise InputError(path, f'broken JSON ({e})', 'a list of classes') from None


def _read_yaml(text: str, path: Path) -> Any:
    """Content of a YAML file."""
    import yaml  # only here: the rest does with numpy

    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        reason = ' '.join(str(e).split())
        raise InputError(path, f'broken YAML ({reason})', 'a list of classes') from None


def _read_csv(text: str, path: Path) -> list[dict]:
    """Rows of a CSV file, as JSON would hold them."""
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    rows = []
    for row in reader:
        for key in ('id', 'color'):
            words = (row.get(key) or '').split()
            if words and all(word.isdecimal() for word in words):
                row[key] = [int(word) for word in words]
        rows.append({key: value for key, value in row.items() if value not in ('', None)})
    return rows


def _check(path: Path, field: str, entry: Any) -> dict:
    """A class in one form, or what is wrong with it."""
    if not isinstance(entry, dict) or not set(entry) <= set(_KEYS):
        found = sorted(map(str, entry)) if isinstance(entry, dict) else entry
        raise InputError(path, shorten(found), f'the keys {", ".join(_KEYS)}', field)
    for key in _KEYS[:3]:
        if key not in entry:
            raise InputError(path, f'no {key} in {shorten(entry)}', 'name, id and isthing', field)
    name, ids, color = entry['name'], entry['id'], entry.get('color')
    if not isinstance(name, str) or not name:
        expected = "a text, in quotes where YAML reads something else: 'on', '3'"
        raise InputError(path, shorten(name), expected, f'{field}.name')
    field = f'{field}, {name}'
    ids = ids if isinstance(ids, list) else [ids]
    if not ids or not all(type(i) is int and 0 <= i <= _MAX_ID for i in ids):
        raise InputError(path, shorten(entry['id']), f'0 to {_MAX_ID}, or a list', f'{field}: id')
    isthing = _FLAGS.get(str(entry['isthing']).strip().lower())
    if isthing is None:
        raise InputError(path, shorten(entry['isthing']), '0 or 1', f'{field}: isthing')
    if color is not None and not (
        isinstance(color, (list, tuple))
        and len(color) == 3
        and all(type(c) is int and 0 <= c <= 255 for c in color)
    ):
        raise InputError(path, shorten(color), 'R G B, 0 to 255 each', f'{field}: color')
    return dict(name=name, id=ids, isthing=isthing, color=color)
