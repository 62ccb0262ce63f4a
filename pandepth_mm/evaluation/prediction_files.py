"""Predictions in files, as ``tools/test.py --format-only OUT`` writes them.

Layout of OUT; a branch that the model lacks leaves its files out:

- ``info.json``: written last, so that it marks a finished run. Versions, classes, kinds of
  predictions, (id, name) of every image, and the settings of the test run that an evaluation of the
  files needs.
- ``panoptic.json`` and ``panoptic/NAME.png``: COCO panoptic, see ``fileio``; category ids are those
  of the annotation JSON. ``panoptic_heuristic`` is the same for the heuristic fusion.
- ``instances_bbox.json``, ``instances_segm.json``: COCO results: x, y, width, height in pixels,
  unrounded, and masks as RLE. Both list the same detections in the same order.
- ``semantic/NAME.png``: labels, 8 bit, things first, 255 = no class.
- ``depth/NAME.png``: KITTI's 16 bit, 1/256 m, 0 = no depth. So a depth in the file is up to 1/512 m
  off. Below 1/256 m or not finite, which the depth metric counts and clamps, is 0; what is beyond
  255.996 m is cut off there and counted in ``info.json``.
- ``depth_uncertainty/NAME.png``: the expected absolute error of the depth, encoded as it; nowhere
  less than 1/256 m. It is for others: no metric reads it.

All maps have the image's original size.

Other tools write ``panoptic.json`` and its PNGs alone, and no ``info.json``. These are read too,
for PQ.
"""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as mask_utils

from pandepth_mm.errors import InputError, require_choice, require_file, shorten
from pandepth_mm.evaluation.coco_panoptic import (
    check_image_id,
    check_keys,
    label_of,
    read_coco_panoptic,
)
from pandepth_mm.fileio import (
    KITTI_DEPTH_SCALE,
    PathLike,
    read_depth_png,
    read_json,
    read_label_png,
    read_panoptic_png,
)
from pandepth_mm.structures.annotation_rules import is_number
from pandepth_mm.structures.annotations import read_annotations
from pandepth_mm.structures.frame_names import ambiguous_names, frame_name
from pandepth_mm.structures.panoptic_ids import encode_panoptic, number_segments

INFO = 'info.json'
FORMAT = 'pandepth_mm predictions, version 1'
# Kinds of predictions, each a folder or a JSON of this name.
PANOPTIC = dict(panoptic='pred_panoptic_seg', panoptic_heuristic='pred_panoptic_baseline')
SEMANTIC, DEPTH, DEPTH_UNCERTAINTY = 'semantic', 'depth', 'depth_uncertainty'
BOXES, MASKS = 'instances_bbox', 'instances_segm'
KINDS = (*PANOPTIC, SEMANTIC, DEPTH, DEPTH_UNCERTAINTY, BOXES, MASKS)
# What the settings may name. Their files may come from strangers, and a registry would call
# whatever it is told to.
DATASET_KEYS = ('img_scale', 'depth_scale', 'data_prefix')
TRANSFORMS = (
    'LoadImageFromFile',
    'LoadDepthMap',
    'LoadPanopticMap',
    'ResampleSparseDepth',
    'ResizePanopticDepth',
    'PackPanopticDepthInputs',
)
METRICS = (
    'PanopticMetric',
    'SemanticMetric',
    'InstanceMetric',
    'DepthMetric',
    'DepthBreakdownMetric',
    'DepthLegacyMetric',
)

# the settings for predictions of other tools
_COCO_SETTINGS = dict(
    dataset={},
    pipeline=[
        dict(type='LoadImageFromFile'),
        dict(type='LoadDepthMap', key='sparse_depth'),
        dict(type='LoadPanopticMap'),
        dict(type='PackPanopticDepthInputs'),
    ],
    metrics=[dict(type='PanopticMetric')],
)
_INFO_KEYS = dict(
    thing_classes=list, stuff_classes=list, predictions=list, images=list, settings=dict
)
_VALUES = {BOXES: 'bbox', MASKS: 'segmentation'}


def frame_names(images: Sequence[dict]) -> dict[int | str, str]:
    """Name the files of each image, {image id: name}, none twice.

    Args:
        images: The ``images`` of an annotation JSON.
    """
    metas = [dict(image, img_id=image['id'], img_path=image['file_name']) for image in images]
    shared = ambiguous_names(metas)
    names = [frame_name(meta, shared) for meta in metas]
    if len({name.lower() for name in names}) < len(names):
        names = [frame_name(meta) for meta in metas]  # all with their ids
    return {m['img_id']: name for m, name in zip(metas, names, strict=True)}


class PredictionFiles:
    """The predictions of a folder, checked against the annotations.

    Everything but the content of the PNGs is checked at once.

    Args:
        pred: The OUT of ``tools/test.py --format-only OUT``; or COCO panoptic predictions: a folder
            with ``panoptic.json`` and ``panoptic/``, or the JSON, whose PNGs lie in the folder of
            its name without suffix, else beside it.
        ann_file: Annotation JSON of the split (see ``structures/annotations.py``). It must list
            exactly the images of the predictions.

    Raises:
        InputError: A file that is missing or broken, predictions of another split or other classes,
            an image without prediction, or an unknown id.
    """

    def __init__(self, pred: PathLike, ann_file: PathLike) -> None:
        self.folder = Path(pred)
        self._panoptic = {kind: self.folder / f'{kind}.json' for kind in PANOPTIC}
        foreign = self._is_foreign()
        if self.folder.is_file():
            self._panoptic['panoptic'] = self.folder
        self.thing_classes, self.stuff_classes = _classes(ann_file)
        annotations = read_annotations(str(ann_file), self.thing_classes, self.stuff_classes)
        self._labels = annotations.labels
        self._classes = [*self.thing_classes, *self.stuff_classes]
        self._shapes = {
            image['id']: (image['height'], image['width']) for image in annotations.images
        }
        self._names = frame_names(annotations.images)
        if foreign:
            self.info = dict(predictions=['panoptic'], settings=_COCO_SETTINGS)
        else:
            self.info = self._read_info(ann_file)
            self._check_images(ann_file)
        self.kinds = self.info['predictions']

        self._segments = {
            kind: read_coco_panoptic(path, self._labels, self._classes, self._names)
            for kind, path in self._panoptic.items()
            if kind in self.kinds
        }
        self._detections = {
            kind: self._read_detections(kind) for kind in (BOXES, MASKS) if kind in self.kinds
        }
        self._check_pairs()
        paths = [
            self._png(kind, img_id)
            for kind in (SEMANTIC, DEPTH)
            if kind in self.kinds
            for img_id in self._names
        ]
        paths += [path for images in self._segments.values() for path, _ in images.values()]
        missing = [path for path in paths if not os.path.isfile(path)]
        if missing:
            raise InputError(
                self.folder,
                f'{len(missing)} files missing, the first is {missing[0]}',
                f'{len(paths)} maps, one per kind and image',
            )

    def _is_foreign(self) -> bool:
        """Whether another tool wrote the predictions, and panoptic ones only."""
        if not self.folder.is_dir():
            return self.folder.is_file()
        ours = {INFO, *(f'{kind}{end}' for kind in KINDS[1:] for end in ('', '.json'))}
        there = set(os.listdir(self.folder))
        return 'panoptic.json' in there and not ours & there

    def _read_info(self, ann_file: PathLike) -> dict:
        """Read info.json; check its keys and the classes."""
        path = self.folder / INFO
        require_file(
            path,
            'what a finished `tools/test.py --format-only` wrote, or panoptic.json and panoptic/ '
            'of another tool',
        )
        info = read_json(path)
        require_choice(info.get('format'), (FORMAT,), path, 'format')
        for key, kind in _INFO_KEYS.items():
            if not isinstance(info.get(key), kind):
                raise InputError(path, shorten(info.get(key)), f'a {kind.__name__}', key)
        for kind in info['predictions']:
            require_choice(kind, KINDS, path, 'predictions')
        for key in ('thing_classes', 'stuff_classes'):
            expected = getattr(self, key)
            if info[key] != expected:
                raise InputError(path, str(info[key]), f'{expected}, as {ann_file} has', key)
        return info

    def _check_images(self, ann_file: PathLike) -> None:
        """Make sure that the predictions are those of the split."""
        path = self.folder / INFO
        found = {}
        for i, image in enumerate(self.info['images']):
            check_keys(path, f'images[{i}]', image, ('id', 'name'))
            if not isinstance(image['id'], int | str):
                raise InputError(
                    path, shorten(image['id']), 'the id of an image', f'images[{i}].id'
                )
            found[image['id']] = image['name']
        for img_id, name in found.items():
            if self._names.get(img_id) != name:
                raise InputError(
                    path,
                    f'image id {img_id}, {name}',
                    f'images of {ann_file}, which has '
                    f'{self._names.get(img_id, "no image")} under that id: '
                    'are these the predictions of another split?',
                    'images',
                )
        missing = [i for i in self._names if i not in found]
        if missing:
            raise InputError(
                path,
                f'none for {len(missing)} of {len(self._names)} '
                f'images, the first is {self._names[missing[0]]}',
                f'predictions for every image of {ann_file}',
                'images',
            )

    def _png(self, kind: str, img_id: int) -> str:
        """Path of a map."""
        return str(self.folder / kind / f'{self._names[img_id]}.png')

    def _read_detections(self, kind: str) -> dict[int, list[tuple]]:
        """Read {image id: [(label, score, box or RLE)]}."""
        path, key = self.folder / f'{kind}.json', _VALUES[kind]
        images = defaultdict(list)
        for i, item in enumerate(read_json(path, list)):
            field = f'[{i}]'
            check_keys(path, field, item, ('image_id', 'category_id', 'score', key))
            check_image_id(path, f'{field}.image_id', item['image_id'], self._names)
            label = label_of(path, f'{field}.category_id', item['category_id'], self._labels)
            if label >= len(self.thing_classes):
                raise InputError(
                    path,
                    repr(item['category_id']),
                    'the category of a thing',
                    f'{field}.category_id',
                )
            if not is_number(item['score']):
                raise InputError(path, repr(item['score']), 'a number', f'{field}.score')
            value, shape = item[key], self._shapes[item['image_id']]
            if kind == BOXES and not (
                isinstance(value, list) and len(value) == 4 and all(map(is_number, value))
            ):
                raise InputError(path, repr(value), '[x, y, width, height]', f'{field}.bbox')
            if kind == MASKS and not (
                isinstance(value, dict)
                and value.get('size') == [*shape]
                and isinstance(value.get('counts'), str)
            ):
                raise InputError(
                    path,
                    str(value)[:80],
                    f"an RLE: 'size' {[*shape]}, the image's, and 'counts', a text",
                    f'{field}.segmentation',
                )
            images[item['image_id']].append((label, item['score'], value))
        return images

    def _check_pairs(self) -> None:
        """Make sure that boxes and masks are the same detections."""
        if len(self._detections) < 2:
            return
        for img_id, name in self._names.items():
            boxes, masks = (
                [d[:2] for d in self._detections[kind][img_id]] for kind in (BOXES, MASKS)
            )
            if boxes != masks:
                raise InputError(
                    self.folder / f'{MASKS}.json',
                    f'other detections in image {name}',
                    f'those of {BOXES}.json, in the same order, with the '
                    'same categories and scores',
                )

    def add_to(self, sample: DetDataSample) -> None:
        """Put the predictions of an image into its data sample.

        Args:
            sample: With ``img_id`` in its meta information.

        Raises:
            InputError: A PNG that is broken or has another size.
        """
        img_id = sample.img_id
        shape = self._shapes[img_id]
        for kind, images in self._segments.items():
            panoptic = self._panoptic_map(*images[img_id], shape)
            setattr(sample, PANOPTIC[kind], PixelData(sem_seg=torch.from_numpy(panoptic)[None]))
        if SEMANTIC in self.kinds:
            labels = read_label_png(self._png(SEMANTIC, img_id), shape)
            sample.pred_sem_seg = PixelData(sem_seg=torch.from_numpy(labels.astype(np.int64))[None])
        if DEPTH in self.kinds:
            depth = read_depth_png(self._png(DEPTH, img_id), KITTI_DEPTH_SCALE, shape)
            sample.pred_depth_map = PixelData(data=torch.from_numpy(depth)[None])
        if self._detections:
            sample.pred_instances = self._instances(img_id)

    def _panoptic_map(
        self, path: str, labels: dict[int, int], shape: tuple[int, int]
    ) -> np.ndarray:
        """Read a PNG as the model predicts, in ids of ``panoptic_ids``."""
        try:
            numbers = number_segments(read_panoptic_png(path, shape), list(labels))
        except ValueError as e:
            raise InputError(path, str(e), 'pixels of exactly the segments_info') from None
        segments = [
            dict(category=label, isthing=label < len(self.thing_classes))
            for label in labels.values()
        ]
        return encode_panoptic(numbers, segments, len(self._labels))[0]

    def _instances(self, img_id: int) -> InstanceData:
        """Boxes, scores, labels and masks of an image."""
        detections = next(iter(self._detections.values()))[img_id]
        instances = InstanceData(
            labels=torch.tensor([d[0] for d in detections], dtype=torch.long),
            scores=torch.tensor([d[1] for d in detections], dtype=torch.float64),
        )
        if BOXES in self.kinds:
            boxes = torch.tensor(
                [d[2] for d in self._detections[BOXES][img_id]], dtype=torch.float64
            ).reshape(-1, 4)
            boxes[:, 2:] += boxes[:, :2]
            instances.bboxes = boxes
        if MASKS in self.kinds:
            masks = np.zeros((len(detections), *self._shapes[img_id]), bool)
            for mask, (_, _, rle) in zip(masks, self._detections[MASKS][img_id], strict=True):
                try:
                    mask[:] = mask_utils.decode(rle)
                except ValueError as e:
                    raise InputError(
                        self.folder / f'{MASKS}.json',
                        f'a broken RLE ({e}) of {self._names[img_id]}',
                        'COCO RLE',
                        'segmentation',
                    ) from None
            instances.masks = torch.from_numpy(masks)
        return instances


def _classes(ann_file: PathLike) -> tuple[list[str], list[str]]:
    """Names of things and stuff in an annotation JSON."""
    if os.path.isdir(ann_file):
        raise InputError(ann_file, 'a folder', 'the annotation JSON of a split')
    categories = read_json(ann_file).get('categories')
    try:
        return tuple(
            [c['name'] for c in categories if bool(c['isthing']) is t] for t in (True, False)
        )
    except (TypeError, KeyError):
        raise InputError(
            ann_file,
            str(categories)[:80],
            "a list of objects with 'name' and 'isthing'",
            'categories',
        ) from None
