"""Writing predictions to files instead of evaluating them."""

import json
import logging
import os
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric
from pandepth_mm.evaluation.prediction_files import (
    BOXES,
    DEPTH,
    DEPTH_UNCERTAINTY,
    FORMAT,
    INFO,
    KINDS,
    MASKS,
    PANOPTIC,
    SEMANTIC,
    frame_names,
)
from pandepth_mm.fileio import (
    DEPTH_PNG_MAX,
    KITTI_DEPTH_SCALE,
    fit_depth_png,
    write_depth_png,
    write_json,
    write_label_png,
    write_panoptic_png,
)
from pandepth_mm.registry import METRICS
from pandepth_mm.structures.annotations import read_annotations
from pandepth_mm.structures.coco_results import coco_results
from pandepth_mm.structures.panoptic_ids import VOID_LABEL, decode_panoptic
from pandepth_mm.version import stack_summary


@METRICS.register_module()
class FormatPredictions(PerImageMetric):
    """Write predictions in the formats that others read; no numbers.

    The formats and the layout of the folder are those of ``prediction_files``. Every prediction
    that the samples have is written, PNGs as they come, by every rank; the main process writes the
    JSONs at the end and ``info.json`` last.

    Args:
        out_dir: A new or an empty folder.
        settings: What ``tools/eval_files.py`` needs to know of the test run: ``dataset``
            (arguments), ``pipeline`` and ``metrics`` (configs).
        **kwargs: Of `PerImageMetric`.

    Raises:
        InputError: ``out_dir`` is a file or holds something, or settings that JSON cannot hold.
    """

    default_prefix = 'format'

    def __init__(self, out_dir: str, settings: dict | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # One rank looks for all: another might already write.
        found = [_content(out_dir) if is_main_process() else None]
        broadcast_object_list(found)
        if found[0]:
            raise InputError(
                out_dir, found[0], 'a new or an empty folder', 'folder for the predictions'
            )
        try:
            self.settings = json.loads(json.dumps(settings or {}))
        except TypeError as e:
            raise InputError(
                'FormatPredictions', str(e), 'what JSON can hold', 'settings'
            ) from None
        self.out_dir = Path(out_dir)
        self._names: dict[int, str] = {}
        self._category_ids: list[int] = []

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Learn the names and the category ids of the data set."""
        self._dataset_meta = dataset_meta
        annotations = read_annotations(
            self.meta('panoptic_ann_file'), self.meta('thing_classes'), self.meta('stuff_classes')
        )
        self._names = frame_names(annotations.images)
        self._category_ids = sorted(annotations.labels, key=annotations.labels.get)

    def image_result(self, sample: dict) -> dict[str, Any]:
        """Write the maps of one image; return what goes into the JSONs."""
        img_id = sample['img_id']
        if img_id not in self._names:
            raise InputError(
                'FormatPredictions',
                repr(img_id),
                f'an image of {self.meta("panoptic_ann_file")}',
                'img_id',
            )
        result: dict[str, Any] = {}
        for kind, field in PANOPTIC.items():
            if field in sample:
                result[kind] = self._write_panoptic(sample, kind, field)
        if 'pred_sem_seg' in sample:
            labels = self._prediction(sample, 'pred_sem_seg', 'sem_seg')
            known = (labels >= 0) & (labels < len(self._category_ids))
            write_label_png(
                self._png(sample, SEMANTIC), np.where(known, labels, VOID_LABEL).astype(np.uint8)
            )
            result[SEMANTIC] = True
        if 'pred_depth_map' in sample:
            result[DEPTH] = self._write_depth(sample)
        if 'pred_depth_uncertainty' in sample:
            uncertainty = self._prediction(sample, 'pred_depth_uncertainty', 'data')
            # 0 would be "none" in the file
            fitted, _ = fit_depth_png(np.maximum(uncertainty, 1 / KITTI_DEPTH_SCALE))
            write_depth_png(self._png(sample, DEPTH_UNCERTAINTY), fitted)
            result[DEPTH_UNCERTAINTY] = True
        if 'pred_instances' in sample:
            result.update(self._detections(sample))
        if not result:
            raise InputError(
                'FormatPredictions',
                f'no prediction for image {img_id}',
                'a model that predicts something',
                'data sample',
            )
        return result

    def _prediction(self, sample: dict, *keys: str) -> np.ndarray:
        """Get a map (H, W), of the image's original size."""
        pred = self.get_map(sample, *keys)
        self.check_shapes(sample, np.empty(self.get(sample, 'ori_shape')[:2]), pred)
        return pred

    def _png(self, sample: dict, kind: str) -> Path:
        """Path of a map."""
        return self.out_dir / kind / f'{self._names[sample["img_id"]]}.png'

    def _write_panoptic(self, sample: dict, kind: str, field: str) -> list[dict]:
        """Write segment ids 1..n; return ``segments_info``."""
        pred = self._prediction(sample, field, 'sem_seg')
        ids, segments = decode_panoptic(pred, len(self._category_ids))
        write_panoptic_png(self._png(sample, kind), ids)
        return [dict(id=s['id'], category_id=self._category_ids[s['category']]) for s in segments]

    def _write_depth(self, sample: dict) -> int:
        """Write the depth; return how many pixels were cut off."""
        depth = self._prediction(sample, 'pred_depth_map', 'data')
        # what the metric counts as no depth has to be none in the file too
        depth, beyond = fit_depth_png(depth)
        write_depth_png(self._png(sample, DEPTH), depth)
        return beyond

    def _detections(self, sample: dict) -> dict[str, list[dict]]:
        """COCO results of one image, unrounded, boxes and masks."""
        arrays = {
            key: self.get_array(sample, 'pred_instances', key)
            for key in ('labels', 'scores', 'bboxes', 'masks')
            if key in sample['pred_instances'] or key != 'masks'
        }
        boxes, masks = coco_results(sample['img_id'], self._category_ids, **arrays)
        if 'masks' in arrays:
            return {BOXES: boxes, MASKS: masks}
        return {BOXES: boxes}

    def summarize(self, results: dict[int, dict]) -> dict[str, float]:
        """Write the JSONs."""
        kinds = [k for k in KINDS if any(k in r for r in results.values())]
        for img_id, result in results.items():
            if len(result) < len(kinds):
                raise InputError(
                    'FormatPredictions',
                    f'{sorted(result)} for image {img_id}',
                    f'the predictions {kinds} for every image',
                    'data sample',
                )
        things = set(self.meta('thing_classes'))
        categories = [
            dict(id=i, name=name, isthing=int(name in things))
            for i, name in zip(self._category_ids, self.meta('classes'), strict=True)
        ]
        for kind in kinds:
            path = self.out_dir / f'{kind}.json'
            if kind in PANOPTIC:
                annotations = [
                    dict(
                        image_id=img_id,
                        file_name=f'{self._names[img_id]}.png',
                        segments_info=result[kind],
                    )
                    for img_id, result in results.items()
                ]
                write_json(path, dict(annotations=annotations, categories=categories))
            elif kind in (BOXES, MASKS):
                write_json(path, [d for r in results.values() for d in r[kind]])
        beyond = sum(result.get(DEPTH, 0) for result in results.values())
        if beyond:
            print_log(
                f'{beyond} depths are beyond what a 16-bit PNG holds and '
                f'were cut off at {DEPTH_PNG_MAX / KITTI_DEPTH_SCALE:.3f} m.',
                logger='current',
                level=logging.WARNING,
            )
        write_json(
            self.out_dir / INFO,
            dict(
                format=FORMAT,
                stack=stack_summary(),
                thing_classes=list(self.meta('thing_classes')),
                stuff_classes=list(self.meta('stuff_classes')),
                predictions=kinds,
                depth_scale=KITTI_DEPTH_SCALE,
                n_depths_cut_off=beyond,
                images=[dict(id=img_id, name=self._names[img_id]) for img_id in results],
                settings=self.settings,
            ),
        )
        return {}


def _content(path: str) -> str | None:
    """Say what is wrong with a folder that should be new or empty."""
    if os.path.isdir(path):
        names = sorted(os.listdir(path))
        return f'{len(names)} entries ({names[0]} ...)' if names else None
    return 'a file' if os.path.exists(path) else None
