"""How well things are counted: a metric as another package adds it.

A config uses it with ``custom_imports = dict(imports=['toy_metric'])`` and
``dict(type='CountMetric')`` in its ``test_evaluator``.
"""

from typing import Any

import numpy as np

from pandepth_mm.evaluation import Column, PerImageMetric, Table
from pandepth_mm.registry import METRICS


def count_errors(gt: np.ndarray, pred: np.ndarray, num_classes: int) -> np.ndarray:
    """How many things too many, int (num_classes,), of labels int (n,) and (m,)."""
    return np.bincount(pred, minlength=num_classes) - np.bincount(gt, minlength=num_classes)


@METRICS.register_module()
class CountMetric(PerImageMetric):
    """Error of the number of things per image and class.

    Args:
        score_thr: Least score of a detection that counts.
        **kwargs: Of `PerImageMetric`.
    """

    default_prefix = 'count'
    table = Table((Column('bias', 'too many'), Column('mae', 'MAE')), rows={'{}': 'things'})

    def __init__(self, score_thr: float = 0.5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.score_thr = score_thr

    def image_result(self, sample: dict) -> np.ndarray:
        """What an image leaves behind: small, and the same on any number of GPUs."""
        gt = self.get_array(sample, 'gt_instances', 'labels')
        labels = self.get_array(sample, 'pred_instances', 'labels')
        scores = self.get_array(sample, 'pred_instances', 'scores')
        return count_errors(gt, labels[scores >= self.score_thr], len(self.meta('thing_classes')))

    def summarize(self, results: dict[int, np.ndarray]) -> dict[str, float]:
        """Means over images and classes, from {image id: result}."""
        errors = np.array(list(results.values()))
        return dict(bias=float(errors.mean()), mae=float(np.abs(errors).mean()))
