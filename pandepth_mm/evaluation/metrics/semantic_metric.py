"""Mean intersection over union."""

from typing import Any

import numpy as np

from pandepth_mm.evaluation.functional.semantic import confusion_matrix, semantic_summary
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric, class_rows
from pandepth_mm.evaluation.table import Column, Table, percent
from pandepth_mm.registry import METRICS


@METRICS.register_module()
class SemanticMetric(PerImageMetric):
    """mIoU, mean and overall accuracy, in fractions of 1.

    Compares ``pred_sem_seg.sem_seg`` with ``gt_sem_seg.sem_seg``, both (1, H, W). mIoU is the mean
    over the classes that occur in the ground truth or in the prediction of the whole set: a class
    that occurs in neither is not counted as 0. Each image leaves its confusion matrix.

    Metrics: ``mIoU``, ``mAcc``, ``aAcc``, NaN if no pixel counts. With ``classwise`` ``IoU/CLASS``
    and ``Acc/CLASS``, NaN for absent classes. ``details``: the same per class under ``per_class``,
    and ``confusion`` (pixel counts, names of rows (ground truth) and columns (prediction)).

    Args:
        ignore_index: Label in the ground truth that does not count.
        **kwargs: Of `PerImageMetric`.
    """

    default_prefix = 'semantic'
    table = Table(percent(('mIoU', 'mAcc', 'aAcc')), rows={'{}': 'all classes'})
    class_columns = (Column('IoU', 'IoU %', 100),)

    def __init__(self, ignore_index: int = 255, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ignore_index = ignore_index

    def image_result(self, sample: dict) -> np.ndarray:
        """Confusion matrix of one image, int64 (C, C + 1)."""
        gt = self.get_map(sample, 'gt_sem_seg', 'sem_seg')
        pred = self.get_map(sample, 'pred_sem_seg', 'sem_seg')
        self.check_shapes(sample, gt, pred)
        return confusion_matrix(gt, pred, len(self.meta('classes')), self.ignore_index)

    def summarize(self, results: dict[int, np.ndarray]) -> dict[str, float]:
        """IoU of the whole set."""
        classes = self.meta('classes')
        n = len(classes)
        confusion = sum(results.values(), np.zeros((n, n + 1), np.int64))
        summary = semantic_summary(confusion)
        per_class = summary.pop('per_class')
        self.details = dict(
            per_class=class_rows(per_class, classes),
            confusion=dict(rows=classes, columns=[*classes, 'void'], counts=confusion),
        )
        return {**summary, **self.per_class(per_class, classes)}
