"""Panoptic quality."""
from typing import Dict

import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET

from pandepth_mm.evaluation.functional.panoptic import (
    decode_panoptic,
    panoptic_stats,
    panoptic_summary,
)
from pandepth_mm.fileio import read_panoptic_png
from pandepth_mm.registry import METRICS

from .per_image_metric import PerImageMetric


@METRICS.register_module()
class PanopticMetric(PerImageMetric):
    """PQ, SQ and RQ of all classes, things and stuff, in fractions of 1.

    By the rules of panopticapi, see ``functional.panoptic``. The ground truth
    is the PNG ``seg_map_path`` with ``segments_info`` in the sample's meta
    information, the prediction ``pred_panoptic_seg.sem_seg`` (1, H, W), id =
    label + 1000 * instance, void for any label >= the number of classes. Both
    have the original image size. Each image leaves (C, 4) floats.

    Metrics: ``PQ``, ``SQ``, ``RQ`` and those with ``_th``, ``_st``; NaN if
    no class occurs. With ``classwise`` ``PQ/CLASS`` and so on, NaN for
    classes that do not occur.

    Args:
        classwise: Whether to report per-class values too.
        collect_device: Where the ranks' results meet, 'cpu' or 'gpu'.
        prefix: Prefix of the metric names.
        collect_dir: Folder for the exchange between ranks ('cpu' only).
    """

    default_prefix = 'panoptic'

    def image_result(self, sample: dict) -> np.ndarray:
        """Statistics of one image, float64 (C, 4)."""
        num_classes = len(self.meta('classes'))
        pred = self.get_map(sample, 'pred_panoptic_seg', 'sem_seg')
        segments = self.get(sample, 'segments_info')
        gt = read_panoptic_png(self.get(sample, 'seg_map_path'), pred.shape)
        pred_ids, pred_segments = decode_panoptic(pred, num_classes,
                                                  INSTANCE_OFFSET)
        return panoptic_stats(gt, segments, pred_ids, pred_segments,
                              num_classes)

    def summarize(self, results: Dict[int, np.ndarray]) -> Dict[str, float]:
        """PQ of the whole set."""
        classes = self.meta('classes')
        things = set(self.meta('thing_classes'))
        stats = sum(results.values(), np.zeros((len(classes), 4)))
        summary = panoptic_summary(stats, [c in things for c in classes])
        per_class = summary.pop('per_class')
        return {**summary, **self.per_class(per_class, classes)}
