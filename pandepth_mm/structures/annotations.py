"""Reading and checking the annotation JSON of a split: pure functions.

Every mistake that can be found without opening each picture is found here,
before training starts.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_json
from pandepth_mm.geometry.camera import check_intrinsics

_IMAGE_KEYS = ('id', 'file_name', 'width', 'height', 'cam2img', 'sparse_depth_file')
_ANNOTATION_KEYS = ('image_id', 'file_name', 'segments_info')
_SEGMENT_KEYS = ('id', 'category_id', 'area')
_CATEGORY_KEYS = ('id', 'name', 'isthing')


class Annotations(NamedTuple):
    """The checked content of an annotation JSON.

    Attributes:
        info: The JSON's ``info``.
        images: The JSON's ``images``.
        truths: The JSON's ``annotations`` by image id; either of every image
            or empty, for data without panoptic truth.
        labels: Contiguous label, things first, of each category id.
        is_thing: Whether the class is a thing, of each category id.
    """

    info: dict
    images: list[dict]
    truths: dict[int, dict]
    labels: dict[int, int]
    is_thing: dict[int, bool]


def _check_keys(path: str, field: str, record: Any, keys: Sequence[str]) -> None:
    """Raise InputError unless ``record`` is a dict that has ``keys``."""
    if not isinstance(record, dict):
        raise InputError(path, type(record).__name__, 'an object', field)
    missing = [key for key in keys if key not in record]
    if missing:
        raise InputError(
            path, f'no key {missing[0]!r} in {sorted(record)}', f'the keys {list(keys)}', field
        )


def _check_categories(
    path: str, categories: list[dict], thing_classes: Sequence[str], stuff_classes: Sequence[str]
) -> list[dict]:
    """Return the categories, things first, if they are the expected ones."""
    for i, category in enumerate(categories):
        _check_keys(path, f'categories[{i}]', category, _CATEGORY_KEYS)
    things = [c for c in categories if c['isthing']]
    stuff = [c for c in categories if not c['isthing']]
    found = ([c['name'] for c in things], [c['name'] for c in stuff])
    expected = (list(thing_classes), list(stuff_classes))
    if found != expected:
        raise InputError(
            path,
            f'{len(found[0])} things {found[0]} and {len(found[1])} stuff classes {found[1]}',
            f'{len(expected[0])} things {expected[0]} and {len(expected[1])} '
            f'stuff classes {expected[1]}, the metainfo of the data set in '
            'the config, in the same order',
            'categories',
        )
    if len({c['id'] for c in categories}) < len(categories):
        raise InputError(path, 'a category id twice', 'unique ids', 'categories')
    return things + stuff


def _check_images(path: str, images: list[dict]) -> None:
    """Check keys, ids, sizes and intrinsics of all images."""
    if not images:
        raise InputError(path, 'no image', 'at least one', 'images')
    seen = set()
    for i, image in enumerate(images):
        field = f'images[{i}]'
        _check_keys(path, field, image, _IMAGE_KEYS)
        if not isinstance(image['id'], int) or image['id'] in seen:
            raise InputError(path, repr(image['id']), 'a unique integer', f'{field}.id')
        seen.add(image['id'])
        for key in ('width', 'height'):
            if not isinstance(image[key], int) or image[key] < 1:
                raise InputError(path, repr(image[key]), 'pixels, >= 1', f'{field}.{key}')
        check_intrinsics(image['cam2img'], path, f'{field}.cam2img')
    with_truth = sum('depth_gt_file' in image for image in images)
    if with_truth not in (0, len(images)):
        raise InputError(
            path,
            f'the key depth_gt_file in {with_truth} of {len(images)}',
            'it in all of them, or in none',
            'images',
        )


def _check_truths(
    path: str, records: list[dict], image_ids: set, category_ids: Iterable[int]
) -> dict[int, dict]:
    """Check the panoptic truths and return them by image id."""
    category_ids = set(category_ids)
    truths = {}
    for i, record in enumerate(records):
        field = f'annotations[{i}]'
        _check_keys(path, field, record, _ANNOTATION_KEYS)
        image_id = record['image_id']
        if image_id not in image_ids or image_id in truths:
            raise InputError(path, repr(image_id), 'the id of an image, once', f'{field}.image_id')
        truths[image_id] = record
        segment_ids = set()
        for j, segment in enumerate(record['segments_info']):
            where = f'{field}.segments_info[{j}]'
            _check_keys(path, where, segment, _SEGMENT_KEYS)
            if segment['category_id'] not in category_ids:
                raise InputError(
                    path,
                    repr(segment['category_id']),
                    f'one of {sorted(category_ids)}',
                    f'{where}.category_id',
                )
            if segment['id'] in segment_ids or segment['id'] == 0:
                raise InputError(
                    path, repr(segment['id']), 'a unique id other than 0 (void)', f'{where}.id'
                )
            segment_ids.add(segment['id'])
    if truths and len(truths) < len(image_ids):
        lacking = min(image_ids - truths.keys())
        raise InputError(
            path,
            f'none for {len(image_ids) - len(truths)} of '
            f'{len(image_ids)} images, first image id {lacking}',
            'one for every image (or none at all, for data without panoptic truth)',
            'annotations',
        )
    return truths


def read_annotations(
    path: str, thing_classes: Sequence[str], stuff_classes: Sequence[str]
) -> Annotations:
    """Read and check a COCO panoptic JSON of the data contract.

    Args:
        path: The JSON (data contract: design.md, section 1).
        thing_classes: Names that the JSON's things must have, in order.
        stuff_classes: The same of the stuff.

    Raises:
        InputError: The first mistake found, with its place in the file.
    """
    data = read_json(path)
    _check_keys(path, '', data, ('images', 'annotations', 'categories'))
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data[key], list):
            raise InputError(path, type(data[key]).__name__, 'a list', key)
    categories = _check_categories(path, data['categories'], thing_classes, stuff_classes)
    _check_images(path, data['images'])
    labels = {c['id']: label for label, c in enumerate(categories)}
    truths = _check_truths(
        path, data['annotations'], {image['id'] for image in data['images']}, labels
    )
    return Annotations(
        info=data.get('info') or {},
        images=data['images'],
        truths=truths,
        labels=labels,
        is_thing={c['id']: bool(c['isthing']) for c in categories},
    )


def check_files(source: str, paths: Iterable[str]) -> None:
    """Check that all files exist, with one look into each folder.

    Args:
        source: The file that lists them, for the message.
        paths: The files.

    Raises:
        InputError: Names the first missing one and how many are missing.
    """
    folders = defaultdict(list)
    for path in paths:
        folder, name = os.path.split(path)
        folders[folder].append(name)
    missing, total = [], 0
    for folder, names in folders.items():
        total += len(names)
        try:
            present = set(os.listdir(folder or '.'))
        except (FileNotFoundError, NotADirectoryError):
            present = set()
        missing += [os.path.join(folder, name) for name in names if name not in present]
    if missing:
        raise InputError(
            source,
            f'{len(missing)} of {total} listed files missing, the first is {missing[0]}',
            'all of them (when the originals have moved, set source_root of the data set)',
        )
