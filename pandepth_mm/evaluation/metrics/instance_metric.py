"""Average precision of boxes and masks."""

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric, class_rows
from pandepth_mm.evaluation.table import Column, Table
from pandepth_mm.registry import METRICS

# COCOeval.stats in its order, under mmdet's names
_STATS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')
_TITLES = ('mAP %', 'AP50 %', 'AP75 %', 'small %', 'medium %', 'large %')


@METRICS.register_module()
class InstanceMetric(PerImageMetric):
    """COCO AP of boxes and masks by pycocotools, in fractions of 1.

    The ground truth is the things of ``gt_panoptic_seg`` and ``segments_info``, with their boxes,
    areas and crowds. The prediction is ``pred_instances`` with ``bboxes`` (n, 4) in x1 y1 x2 y2
    pixels, ``scores``, ``labels`` and ``masks`` (n, H, W), at the original image size. Each image
    leaves boxes, scores, labels and RLEs.

    Metrics: ``bbox_mAP``, ``bbox_mAP_50``, ``_75``, ``_s``, ``_m``, ``_l`` and the same with
    ``segm``. What COCOeval gives as -1, no ground truth of that size or class, is NaN here. With
    ``classwise`` ``bbox_mAP/CLASS`` and ``segm_mAP/CLASS``.

    Args:
        metric: What to evaluate: 'bbox', 'segm' or both.
        **kwargs: Of `PerImageMetric`.

    Raises:
        InputError: An unknown ``metric``.
    """

    default_prefix = 'instance'
    table = Table(
        [Column(key, title, 100) for key, title in zip(_STATS, _TITLES, strict=True)],
        rows={'bbox_{}': 'box', 'segm_{}': 'mask'},
    )
    class_columns = (Column('bbox_mAP', 'box mAP %', 100), Column('segm_mAP', 'mask mAP %', 100))

    def __init__(self, metric: str | Sequence[str] = ('bbox', 'segm'), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.iou_types = (metric,) if isinstance(metric, str) else tuple(metric)
        for name in self.iou_types or (None,):
            require_choice(name, ('bbox', 'segm'), 'InstanceMetric', 'metric')

    def image_result(self, sample: dict) -> dict:
        """Detections and ground truth of one image."""
        boxes = self.get_array(sample, 'pred_instances', 'bboxes')
        labels = self.get_array(sample, 'pred_instances', 'labels')
        num_things = len(self.meta('thing_classes'))
        if np.any((labels < 0) | (labels >= num_things)):
            raise InputError(
                'InstanceMetric',
                f'labels {sorted(set(labels.tolist()))}',
                f'labels of the {num_things} thing classes',
                'pred_instances.labels',
            )
        result = dict(
            bboxes=boxes.reshape(-1, 4),
            scores=self.get_array(sample, 'pred_instances', 'scores'),
            labels=labels,
            shape=self.get(sample, 'ori_shape')[:2],
            gt=self._ground_truth(sample),
        )
        if 'segm' in self.iou_types:
            result['masks'] = _encode(self.get_array(sample, 'pred_instances', 'masks'))
        return result

    def _ground_truth(self, sample: dict) -> list[dict]:
        """The things of one image as COCO annotations without ids."""
        numbers, segments = self.gt_segments(sample)
        things = [segment for segment in segments if segment['isthing']]
        rles = _encode(np.stack([numbers == s['id'] for s in things])) if things else []
        return [
            dict(
                category_id=segment['category'],
                iscrowd=int(segment['iscrowd']),
                segmentation=rle,
                area=int(mask_utils.area(rle)),
                bbox=mask_utils.toBbox(rle).tolist(),
            )
            for segment, rle in zip(things, rles, strict=True)
        ]

    def summarize(self, results: dict[int, dict]) -> dict[str, float]:
        """AP of the whole set."""
        classes = self.meta('thing_classes')
        metrics: dict[str, float] = {}
        per_class: dict[str, np.ndarray] = {}
        # COCOeval would turn ids into texts where only some are
        numbered = dict(enumerate(results.values(), 1))
        for iou_type in self.iou_types:
            evaluator = self._evaluate(numbered, iou_type)
            for name, value in zip(_STATS, evaluator.stats[:6], strict=True):
                metrics[f'{iou_type}_{name}'] = _score(value)
            by_class = {f'{iou_type}_mAP': _class_ap(evaluator)}
            metrics.update(self.per_class(by_class, classes))
            per_class.update(by_class)
        self.details = dict(per_class=class_rows(per_class, classes))
        return metrics

    def _evaluate(self, results: dict[int, dict], iou_type: str) -> COCOeval:
        """Run COCOeval, without what it prints."""
        labels = range(len(self.meta('thing_classes')))
        annotations = [
            dict(annotation, image_id=img_id)
            for img_id, result in results.items()
            for annotation in result['gt']
        ]
        gt, dt = COCO(), COCO()
        gt.dataset = dict(
            images=[
                dict(id=img_id, height=result['shape'][0], width=result['shape'][1])
                for img_id, result in results.items()
            ],
            # Ids from 1 on: COCOeval takes a match with id 0 for none.
            annotations=[dict(a, id=i) for i, a in enumerate(annotations, 1)],
            categories=[dict(id=label) for label in labels],
        )
        detections = self._detections(results, iou_type)
        with contextlib.redirect_stdout(io.StringIO()):
            gt.createIndex()
            if detections:
                dt = gt.loadRes(detections)
            else:  # loadRes() cannot read an empty list
                dt.dataset = dict(gt.dataset, annotations=[])
                dt.createIndex()
            evaluator = COCOeval(gt, dt, iou_type)
            evaluator.params.imgIds = list(results)
            evaluator.params.catIds = list(labels)
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        return evaluator

    def _detections(self, results: dict[int, dict], iou_type: str) -> list[dict]:
        """List the detections as COCO results."""
        detections = []
        for img_id, result in results.items():
            corners = result['bboxes'].astype(np.float64)
            for i, (x1, y1, x2, y2) in enumerate(corners.tolist()):
                item = dict(
                    image_id=img_id,
                    category_id=int(result['labels'][i]),
                    score=float(result['scores'][i]),
                )
                # a box beside the mask would be taken for the mask's area
                if iou_type == 'bbox':
                    item['bbox'] = [x1, y1, x2 - x1, y2 - y1]
                else:
                    item['segmentation'] = result['masks'][i]
                detections.append(item)
        return detections


def _class_ap(evaluator: COCOeval) -> np.ndarray:
    """AP in the order of the thing classes, (T,)."""
    # (IoU thresholds, recalls, categories, areas, detections)
    precision = evaluator.eval['precision'][:, :, :, 0, -1]
    return np.array(
        [v[v > -1].mean() if (v > -1).any() else np.nan for v in precision.transpose(2, 0, 1)]
    )


def _encode(masks: np.ndarray) -> list[dict]:
    """Encode masks (n, H, W) as COCO RLE."""
    masks = masks.astype(bool, copy=False).view(np.uint8)
    if not len(masks):
        return []
    # RLE runs down the columns; OpenCV transposes quicker than numpy
    count, height, width = masks.shape
    columns = np.empty((count, width, height), np.uint8)
    for mask, transposed in zip(masks, columns, strict=True):
        cv2.transpose(mask, dst=transposed)
    return mask_utils.encode(columns.transpose(2, 1, 0))


def _score(value: float) -> float:
    """Turn COCOeval's -1 (nothing to find) into NaN."""
    return float(value) if value > -1 else float('nan')
