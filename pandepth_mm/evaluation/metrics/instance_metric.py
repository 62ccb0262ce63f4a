"""Average precision of boxes and masks."""

import contextlib
import io
from collections.abc import Sequence

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric, class_rows, to_numpy
from pandepth_mm.fileio import read_json
from pandepth_mm.registry import METRICS

# COCOeval.stats in its order, under mmdet's names
_STATS = ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l')


@METRICS.register_module()
class InstanceMetric(PerImageMetric):
    """COCO AP of boxes and masks by pycocotools, in fractions of 1.

    The ground truth is the COCO instances JSON that the data set names in
    ``instances_ann_file``; its categories are the ``thing_classes`` of the
    data set, matched by name. The prediction is ``pred_instances`` with
    ``bboxes`` (n, 4) in x1 y1 x2 y2 pixels, ``scores``, ``labels`` and
    ``masks`` (n, H, W), at the original image size. Only images that were
    processed count. Each image leaves its boxes, scores, labels and RLEs.

    Metrics: ``bbox_mAP``, ``bbox_mAP_50``, ``_75``, ``_s``, ``_m``, ``_l``
    and the same with ``segm``. What COCOeval gives as -1, no ground truth of
    that size or class, is NaN here. With ``classwise`` ``bbox_mAP/CLASS``
    and ``segm_mAP/CLASS``.

    Args:
        metric: What to evaluate: 'bbox', 'segm' or both.
        classwise: Whether to report per-class values too.
        collect_device: Where the ranks' results meet, 'cpu' or 'gpu'.
        prefix: Prefix of the metric names.
        collect_dir: Folder for the exchange between ranks ('cpu' only).

    Raises:
        InputError: An unknown ``metric``; when the data set is known, an
            instances JSON that is missing, broken or has other categories.
    """

    default_prefix = 'instance'

    def __init__(
        self,
        metric: str | Sequence[str] = ('bbox', 'segm'),
        classwise: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(classwise, collect_device, prefix, collect_dir)
        self.iou_types = (metric,) if isinstance(metric, str) else tuple(metric)
        if not self.iou_types or set(self.iou_types) - {'bbox', 'segm'}:
            raise InputError('InstanceMetric', repr(metric), "'bbox', 'segm' or both", 'metric')
        self._ground_truth: dict = {}
        self._category_ids: list[int] = []

    @BaseMetric.dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        """Read the ground truth when the data set becomes known.

        The loops set this before the first iteration, so a wrong file is
        found before the training and not at its first validation.
        """
        self._dataset_meta = dataset_meta
        path = self.meta('instances_ann_file')
        classes = list(self.meta('thing_classes'))
        if not path:
            raise InputError(
                'InstanceMetric',
                repr(path),
                'the path of a COCO instances JSON',
                'dataset_meta: instances_ann_file',
            )
        data = read_json(path)
        for key in ('images', 'annotations', 'categories'):
            if not isinstance(data.get(key), list):
                raise InputError(path, type(data.get(key)).__name__, 'a list', key)
        ids = {c['name']: c['id'] for c in data['categories']}
        if set(ids) != set(classes):
            raise InputError(
                path,
                str(sorted(ids)),
                f'{sorted(classes)}, the thing classes of the data set',
                'categories',
            )
        self._category_ids = [ids[name] for name in classes]
        self._ground_truth = data

    def image_result(self, sample: dict) -> dict:
        """Boxes, scores, labels and RLEs of one image."""
        boxes = self.get_array(sample, 'pred_instances', 'bboxes')
        labels = self.get_array(sample, 'pred_instances', 'labels')
        if np.any((labels < 0) | (labels >= len(self._category_ids))):
            raise InputError(
                'InstanceMetric',
                f'labels {sorted(set(labels.tolist()))}',
                f'labels of the {len(self._category_ids)} thing classes',
                'pred_instances.labels',
            )
        result = dict(
            bboxes=boxes.reshape(-1, 4),
            scores=self.get_array(sample, 'pred_instances', 'scores'),
            labels=labels,
        )
        if 'segm' in self.iou_types:
            masks = self.get(sample, 'pred_instances', 'masks')
            result['masks'] = _encode(masks)
        return result

    def summarize(self, results: dict[int, dict]) -> dict[str, float]:
        """AP of the whole set.

        Raises:
            InputError: An image that the instances JSON does not list.
        """
        classes = self.meta('thing_classes')
        known = {image['id'] for image in self._ground_truth['images']}
        missing = sorted(set(results) - known)
        if missing:
            raise InputError(
                self.meta('instances_ann_file'),
                f'no image with id {missing[0]}',
                'the image ids of the panoptic annotations',
                'images',
            )
        metrics: dict[str, float] = {}
        per_class: dict[str, np.ndarray] = {}
        for iou_type in self.iou_types:
            evaluator = self._evaluate(results, iou_type)
            for name, value in zip(_STATS, evaluator.stats[:6], strict=True):
                metrics[f'{iou_type}_{name}'] = _score(value)
            by_class = {f'{iou_type}_mAP': self._class_ap(evaluator)}
            metrics.update(self.per_class(by_class, classes))
            per_class.update(by_class)
        self.details = dict(per_class=class_rows(per_class, classes))
        return metrics

    def _evaluate(self, results: dict[int, dict], iou_type: str) -> COCOeval:
        """Run COCOeval, without what it prints."""
        gt, dt = COCO(), COCO()
        # New ids from 1 on: COCOeval takes a match with id 0 for none.
        annotations = [
            dict(ann, id=i) for i, ann in enumerate(self._ground_truth['annotations'], 1)
        ]
        gt.dataset = dict(self._ground_truth, annotations=annotations)
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
            evaluator.params.catIds = self._category_ids
            evaluator.evaluate()
            evaluator.accumulate()
            evaluator.summarize()
        return evaluator

    def _class_ap(self, evaluator: COCOeval) -> np.ndarray:
        """AP in the order of the thing classes, (T,)."""
        # (IoU thresholds, recalls, categories, areas, detections)
        precision = evaluator.eval['precision'][:, :, :, 0, -1]
        # COCOeval has sorted the categories by their ids
        order = np.searchsorted(evaluator.params.catIds, self._category_ids)
        values = (precision[:, :, k] for k in order)
        return np.array([v[v > -1].mean() if (v > -1).any() else np.nan for v in values])

    def _detections(self, results: dict[int, dict], iou_type: str) -> list[dict]:
        """List the detections as COCO results."""
        detections = []
        for img_id, result in results.items():
            corners = result['bboxes'].astype(np.float64)
            for i, (x1, y1, x2, y2) in enumerate(corners.tolist()):
                item = dict(
                    image_id=img_id,
                    category_id=self._category_ids[int(result['labels'][i])],
                    score=float(result['scores'][i]),
                )
                # a box beside the mask would be taken for the mask's area
                if iou_type == 'bbox':
                    item['bbox'] = [x1, y1, x2 - x1, y2 - y1]
                else:
                    item['segmentation'] = result['masks'][i]
                detections.append(item)
        return detections


def _encode(masks) -> list[dict]:
    """Encode (n, H, W) masks as COCO RLE."""
    masks = to_numpy(masks).astype(bool, copy=False).view(np.uint8)
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
