"""Reading COCO panoptic predictions, of whatever tool."""

from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

from pandepth_mm.errors import InputError, require_count, shorten
from pandepth_mm.fileio import read_json
from pandepth_mm.structures.panoptic_ids import MAX_ID


def read_coco_panoptic(
    path: Path, labels: Mapping[int, int], classes: Sequence[str], names: Mapping[int | str, str]
) -> dict[int | str, tuple[str, dict[int, int]]]:
    """Read a COCO panoptic JSON, without its PNGs.

    Args:
        path: The JSON. Its PNGs lie in the folder of its name without suffix, else beside it.
        labels: Label of each category id.
        classes: Name of each label; a category of the JSON with another name is refused.
        names: Name of each image, by id; each must have its prediction.

    Returns:
        {image id: (path of the PNG, {segment id: label})}.

    Raises:
        InputError: The first mistake found, with its place in the file.
    """
    content = read_json(path)
    records = content.get('annotations')
    if not isinstance(records, list):
        raise InputError(path, type(records).__name__, 'a list', 'annotations')
    _check_names(path, content.get('categories'), labels, classes)
    folder = path.with_suffix('')
    folder = folder if folder.is_dir() else path.parent
    images: dict[int | str, tuple[str, dict]] = {}
    for i, record in enumerate(records):
        field = f'annotations[{i}]'
        check_keys(path, field, record, ('image_id', 'file_name', 'segments_info'))
        img_id, name = record['image_id'], record['file_name']
        check_image_id(path, f'{field}.image_id', img_id, names)
        if img_id in images:
            raise InputError(path, f'{img_id} again', 'each image once', f'{field}.image_id')
        if not isinstance(name, str) or not name:
            raise InputError(path, shorten(name), 'the name of a PNG', f'{field}.file_name')
        segments = _segments(path, f'{field}.segments_info', record['segments_info'], labels)
        images[img_id] = (str(folder / name), segments)
    missing = [i for i in names if i not in images]
    if missing:
        raise InputError(
            path,
            f'none for {len(missing)} images, the first is {names[missing[0]]}',
            'one for every image',
            'annotations',
        )
    return images


def _segments(path: Path, field: str, segments: Any, labels: Mapping[int, int]) -> dict[int, int]:
    """{segment id: label} of one image."""
    if not isinstance(segments, list):
        raise InputError(path, shorten(segments), 'a list', field)
    found: dict[int, int] = {}
    for j, segment in enumerate(segments):
        where = f'{field}[{j}]'
        check_keys(path, where, segment, ('id', 'category_id'))
        number = segment['id']
        if not isinstance(number, int) or number >= MAX_ID:
            raise InputError(path, shorten(number), f'an integer below {MAX_ID}', f'{where}.id')
        require_count(number, path, f'{where}.id')
        if number in found:
            raise InputError(path, f'{number} again', 'unique ids', f'{where}.id')
        found[number] = label_of(path, f'{where}.category_id', segment['category_id'], labels)
    return found


def _check_names(
    path: Path, categories: Any, labels: Mapping[int, int], classes: Sequence[str]
) -> None:
    """Refuse ids that mean another class than in the annotations."""
    for i, category in enumerate(categories if isinstance(categories, list) else []):
        if not isinstance(category, dict) or not isinstance(category.get('id'), int):
            continue
        label, name = labels.get(category['id']), category.get('name')
        if label is not None and isinstance(name, str) and name.lower() != classes[label].lower():
            expected = f'{classes[label]!r}, the class of id {category["id"]} in the annotations'
            raise InputError(path, repr(name), expected, f'categories[{i}].name')


def check_keys(path: Path, field: str, record: Any, keys: Sequence[str]) -> None:
    """Refuse what is no object with these keys."""
    if not isinstance(record, dict) or not set(keys) <= set(record):
        raise InputError(path, shorten(record), f'an object with {list(keys)}', field)


def check_image_id(path: Path, field: str, img_id: Any, known: Container[int | str]) -> None:
    """Refuse what is no image id."""
    if not isinstance(img_id, int | str) or img_id not in known:
        raise InputError(path, shorten(img_id), 'the id of an image of the split', field)


def label_of(path: Path, field: str, category_id: Any, labels: Mapping[int, int]) -> int:
    """Label of a category id.

    Raises:
        InputError: No such category.
    """
    if not isinstance(category_id, int) or category_id not in labels:
        raise InputError(path, shorten(category_id), f'one of {list(labels)}', field)
    return labels[category_id]
