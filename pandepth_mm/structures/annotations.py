"""The data contract of a split: one record per frame, and the JSON files that hold them.

Converters write with this module, data sets read with it, and the tests make their tiny data sets
with it; it needs neither torch nor mmcv. Every mistake that can be found without opening each
picture is found when the JSON is read, before training starts.
"""

import dataclasses
import os
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from pandepth_mm.errors import InputError, shorten
from pandepth_mm.fileio import PathLike, read_json, write_json
from pandepth_mm.geometry.camera import check_intrinsics
from pandepth_mm.structures.annotation_rules import (
    ANNOTATION,
    CATEGORY,
    IMAGE,
    SEGMENT,
    check_record,
)
from pandepth_mm.structures.coco_results import encode_rle

# in the order in which they are written: where the last one is, both are
ANNOTATION_KINDS = ('instances', 'panoptic')
_COCO_SEGMENT_KEYS = ('id', 'category_id', 'area', 'bbox', 'iscrowd')
# keys of ``images`` in files that earlier versions wrote -> keys of today
_FORMER_KEYS = {
    f'{former}_{part}': f'{kind}_{part}'
    for former, kind in (('depth_gt', 'gt_depth_map'), ('depth', 'dense_depth'))
    for part in ('file', 'scale')
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class FrameRecord:
    """The contract of a frame: all that the annotations say about it.

    Depth files are 16-bit PNG, depth along the camera's z axis, 0 = no measurement. Paths have
    slashes. ``file_name`` and ``dense_depth_file`` are relative to the folder of the original data
    (``info.data_root``), ``sparse_depth_file`` and ``gt_depth_map_file`` to the converted data,
    ``panoptic_file`` to the folder ``panoptic`` of the converted data.

    Attributes:
        id: Of the image, an integer or a text, unique in the data set;
            :func:`write_annotations` numbers the frames.
        file_name: The RGB image.
        width: Of the image, pixels.
        height: Of the image, pixels.
        cam2img: (3, 3), pixels; integer coordinates are pixel centers.
        scene: Where the frame comes from, if known; likewise the next three.
        variation: Of weather or light.
        camera: Number or name.
        frame: Number of the frame in its sequence.
        sparse_depth_file: The input.
        sparse_depth_scale: Units per meter; None: the data set's config says it.
        gt_depth_map_file: Ground truth; None without.
        gt_depth_map_scale: As of the input.
        dense_depth_file: Dense depth, to sample other inputs from; None without.
        dense_depth_scale: As of the input.
        panoptic_file: COCO panoptic PNG, id = R + 256 G + 65536 B, 0 = void; None without panoptic
            ground truth.
        segments: The segments of that PNG, as :func:`segments_of` gives them; ``track_id`` may be
            added.
    """

    id: int | str = 0
    file_name: str
    width: int
    height: int
    cam2img: list[list[float]]
    scene: str | None = None
    variation: str | None = None
    camera: int | str | None = None
    frame: int | str | None = None
    sparse_depth_file: str
    sparse_depth_scale: float | None = None
    gt_depth_map_file: str | None = None
    gt_depth_map_scale: float | None = None
    dense_depth_file: str | None = None
    dense_depth_scale: float | None = None
    panoptic_file: str | None = None
    segments: list[dict] | None = None

    def image(self) -> dict:
        """The entry of ``images`` in the JSON: what is known, but for the panoptic map."""
        return {
            field: value
            for field, value in vars(self).items()
            if value is not None and field not in ('panoptic_file', 'segments')
        }


class Annotations(NamedTuple):
    """The checked content of an annotation JSON.

    Attributes:
        info: The JSON's ``info``.
        frames: One record per image; panoptic ground truth is in all of them or in none.
        labels: Contiguous label, things first, of each category id.
        is_thing: Whether the class is a thing, of each category id.
    """

    info: dict
    frames: list[FrameRecord]
    labels: dict[int, int]
    is_thing: dict[int, bool]

    @property
    def images(self) -> list[dict]:
        """The JSON's ``images``, with the keys of today."""
        return [frame.image() for frame in self.frames]


def _check_categories(
    path: str, categories: list[dict], thing_classes: Sequence[str], stuff_classes: Sequence[str]
) -> list[dict]:
    """Return the categories, things first, if they are the expected ones."""
    for i, category in enumerate(categories):
        check_record(path, f'categories[{i}]', category, CATEGORY)
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
        check_record(path, field, image, IMAGE)
        if image['id'] in seen:
            raise InputError(path, f'{image["id"]!r} again', 'a unique id', f'{field}.id')
        seen.add(image['id'])
        check_intrinsics(image['cam2img'], path, f'{field}.cam2img')
    with_gt = sum('gt_depth_map_file' in image for image in images)
    if with_gt not in (0, len(images)):
        raise InputError(
            path,
            f'the key gt_depth_map_file in {with_gt} of {len(images)}',
            'it in all of them, or in none',
            'images',
        )


def _check_panoptic(
    path: str, records: list[dict], image_ids: Sequence, category_ids: Iterable[int]
) -> dict[int | str, dict]:
    """Check the panoptic ground truth and return it by image id."""
    category_ids, known = set(category_ids), set(image_ids)
    found = {}
    for i, record in enumerate(records):
        field = f'annotations[{i}]'
        check_record(path, field, record, ANNOTATION)
        image_id = record['image_id']
        if image_id not in known or image_id in found:
            raise InputError(
                path, shorten(image_id), 'the id of an image, once', f'{field}.image_id'
            )
        found[image_id] = record
        segment_ids = set()
        for j, segment in enumerate(record['segments_info']):
            where = f'{field}.segments_info[{j}]'
            check_record(path, where, segment, SEGMENT)
            if segment['category_id'] not in category_ids:
                raise InputError(
                    path,
                    shorten(segment['category_id']),
                    f'one of {sorted(category_ids)}',
                    f'{where}.category_id',
                )
            if segment['id'] in segment_ids:
                raise InputError(path, f'{segment["id"]} again', 'a unique id', f'{where}.id')
            segment_ids.add(segment['id'])
    lacking = [image_id for image_id in image_ids if image_id not in found]
    if found and lacking:
        raise InputError(
            path,
            f'none for {len(lacking)} of {len(image_ids)} images, first image id {lacking[0]}',
            'one for every image (or none at all, for data without panoptic ground truth)',
            'annotations',
        )
    return found


def read_annotations(
    path: str, thing_classes: Sequence[str], stuff_classes: Sequence[str]
) -> Annotations:
    """Read and check a COCO panoptic JSON of the data contract.

    Data without panoptic ground truth has no ``annotations``; its ``categories`` may be empty too.

    Args:
        path: The JSON; keys of earlier versions are read as those of today.
        thing_classes: Names that the JSON's things must have, in order.
        stuff_classes: The same of the stuff.

    Raises:
        InputError: The first mistake found, with its place in the file.
    """
    data = read_json(path)
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data.get(key), list):
            found = shorten(data[key]) if key in data else f'no key {key!r} in {sorted(data)}'
            raise InputError(path, found, 'a list', key)
    info = data.get('info') or {}
    if not isinstance(info, dict):
        raise InputError(path, shorten(info), 'an object', 'info')
    if not isinstance(info.get('data_root', ''), str | None):
        raise InputError(path, shorten(info['data_root']), 'a folder', 'info.data_root')
    categories = data['categories']
    if categories or data['annotations']:  # without panoptic ground truth it may name no class
        categories = _check_categories(path, categories, thing_classes, stuff_classes)
    images = [
        {_FORMER_KEYS.get(key, key): value for key, value in image.items() if value is not None}
        if isinstance(image, dict)
        else image
        for image in data['images']
    ]
    _check_images(path, images)
    labels = {c['id']: label for label, c in enumerate(categories)}
    panoptic = _check_panoptic(path, data['annotations'], [image['id'] for image in images], labels)
    known = {field.name for field in dataclasses.fields(FrameRecord)}
    frames = []
    for image in images:
        values = {key: value for key, value in image.items() if key in known}
        if image['id'] in panoptic:
            entry = panoptic[image['id']]
            values.update(panoptic_file=entry['file_name'], segments=entry['segments_info'])
        frames.append(FrameRecord(**values))
    return Annotations(
        info=info,
        frames=frames,
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
            with os.scandir(folder or '.') as entries:  # a link may lead nowhere
                present = {entry.name for entry in entries if entry.is_file()}
        except (OSError, ValueError):  # no such folder, or no name that a system takes
            present = set()
        missing += [os.path.join(folder, name) for name in names if name not in present]
    if missing:
        raise InputError(
            source,
            f'{len(missing)} of {total} listed files missing, the first is {missing[0]}',
            'all of them (when the originals have moved, set source_root of the data set)',
        )


def segments_of(
    ids: np.ndarray, category_of: Callable[[int], int], thing_categories: Container[int]
) -> list[dict]:
    """The segments of a panoptic map.

    Args:
        ids: int (H, W), segment ids of 24 bits, 0 = void.
        category_of: Segment id -> category id.
        thing_categories: The category ids of things.

    Returns:
        One dict per segment by ascending id: ``id``, ``category_id``, ``area`` (pixels), ``bbox``
        (x, y, width, height; tight, in whole pixels), ``iscrowd`` = 0; things have also
        ``segmentation``, their COCO RLE.
    """
    areas = np.bincount(ids.ravel())
    areas[0] = 0  # void is no segment
    values = np.flatnonzero(areas)
    compact = np.zeros(len(areas), np.int32)  # id -> 1, 2, ...
    compact[values] = np.arange(1, len(values) + 1)
    segments = []
    for value, (rows, cols) in zip(
        values.tolist(), ndimage.find_objects(compact[ids]), strict=True
    ):
        segment = dict(
            id=value,
            category_id=category_of(value),
            area=int(areas[value]),
            bbox=[cols.start, rows.start, cols.stop - cols.start, rows.stop - rows.start],
            iscrowd=0,
        )
        if segment['category_id'] in thing_categories:
            segment['segmentation'] = encode_rle(ids == value)
        segments.append(segment)
    return segments


def coco_categories(
    thing_classes: Sequence[str], stuff_classes: Sequence[str], colors: Sequence[Sequence[int]]
) -> list[dict]:
    """COCO categories, things first, with the ids 1, 2, ...

    Args:
        thing_classes: Names.
        stuff_classes: Names.
        colors: RGB of each class, things first.
    """
    names = (*thing_classes, *stuff_classes)
    return [
        dict(id=number, name=name, isthing=int(number <= len(thing_classes)), color=list(color))
        for number, (name, color) in enumerate(zip(names, colors, strict=True), start=1)
    ]


def annotation_files(root: PathLike, split: str) -> list[Path]:
    """The JSON files of a split below its data root, in the order of ``ANNOTATION_KINDS``."""
    return [Path(root) / 'annotations' / f'{kind}_{split}.json' for kind in ANNOTATION_KINDS]


def write_annotations(
    root: PathLike,
    split: str,
    frames: Sequence[FrameRecord],
    categories: list[dict],
    info: dict,
    first_id: int = 1,
) -> None:
    """Write the COCO panoptic and the COCO instances JSON of a split.

    The instances, which COCO's metrics for boxes and masks want, are the thing segments of the
    panoptic maps; ``segment_id`` is added to COCO's keys. Of frames without panoptic ground truth
    there are the ``images`` alone.

    Args:
        root: Data root; the files go into its folder ``annotations``.
        split: 'train', 'val', ...
        frames: All with panoptic ground truth, or none; their ids are given here.
        categories: From :func:`coco_categories`; none where there is no panoptic ground truth.
        info: What the files say about themselves; ``data_root`` is the folder of the original data.
        first_id: Id of the first image.
    """
    images, panoptic, instances = [], [], []
    for image_id, frame in enumerate(frames, start=first_id):
        images.append(dataclasses.replace(frame, id=image_id).image())
        if frame.segments is None:
            continue
        segments_info = [{key: s[key] for key in _COCO_SEGMENT_KEYS} for s in frame.segments]
        panoptic.append(
            dict(image_id=image_id, file_name=frame.panoptic_file, segments_info=segments_info)
        )
        for segment in frame.segments:
            if 'segmentation' in segment:
                instances.append(_instance(segment, len(instances) + 1, image_id))
    contents = dict(
        instances=([c for c in categories if c['isthing']], instances),
        panoptic=(categories, panoptic),
    )
    for kind, path in zip(ANNOTATION_KINDS, annotation_files(root, split), strict=True):
        listed, annotations = contents[kind]
        write_json(path, dict(info=info, categories=listed, images=images, annotations=annotations))


def _instance(segment: dict, number: int, image_id: int) -> dict:
    """The COCO instance of a thing segment."""
    keys = ('category_id', 'segmentation', 'area', 'bbox', 'iscrowd')
    instance = dict(id=number, image_id=image_id, **{key: segment[key] for key in keys})
    track = {key: segment[key] for key in ('track_id',) if key in segment}
    return dict(instance, segment_id=segment['id'], **track)
