"""Panoptic quality, and depth-aware panoptic quality."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pandepth_mm.errors import require_positive
from pandepth_mm.evaluation.functional.depth import drop_beyond
from pandepth_mm.evaluation.functional.depth_panoptic import (
    depth_error_bins,
    depth_panoptic_stats,
    depth_panoptic_summary,
    num_bins,
)
from pandepth_mm.evaluation.functional.panoptic import FN, FP, TP, class_confusion, overlap_table
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric, class_rows
from pandepth_mm.evaluation.table import Table, is_known, percent
from pandepth_mm.registry import METRICS
from pandepth_mm.structures.panoptic_ids import decode_panoptic

# Predictions by the prefix of their metric names.
MODEL, HEURISTIC = '', 'heuristic_fusion/'
FIELDS = {MODEL: 'pred_panoptic_seg', HEURISTIC: 'pred_panoptic_baseline'}
# below this share of tested pixels DPQ says little
_LOW_SHARE = 0.5


@METRICS.register_module()
class PanopticMetric(PerImageMetric):
    """PQ, SQ, RQ and DPQ of all classes, things and stuff, fractions of 1.

    By the rules of panopticapi, see ``functional.panoptic``. Compares ``pred_panoptic_seg.sem_seg``
    with ``gt_panoptic_seg.sem_seg`` and its ``segments_info``. Both are (1, H, W), of the original
    image size, with the ids of ``structures.panoptic_ids``; any label >= the number of classes is
    void.

    DPQ, see ``functional.depth_panoptic``, compares ``pred_depth_map.data`` (1, H, W) with
    ``dense_depth.data`` where the sample has it, else with ``gt_depth_map.data``, meters. Pixels
    without depth ground truth keep their prediction; ``DPQ_tested`` is the share of all pixels that
    have it.

    Each image leaves the nonzero values of its statistics and pixel counts.

    Metrics: ``PQ``, ``SQ``, ``RQ``, with lambdas ``DPQ`` and ``DPQ@0.1`` and so on, all of them
    also with ``_th`` and ``_st``, and ``DPQ_tested``; NaN if no class occurs. With
    ``heuristic_fusion`` the same under ``heuristic_fusion/``. With ``classwise`` ``PQ/CLASS`` and
    so on, NaN for classes that do not occur.

    ``details``: ``per_class`` (also TP, FP, FN and the tested share of the class's pixels),
    ``confusion`` (pixel counts, names of rows (ground truth) and columns (prediction)),
    ``depth_truth``, ``heuristic_fusion``.

    Args:
        depth_lambdas: Limits of the absolute relative depth error, for DPQ; () for PQ alone.
        max_depth: Depth ground truth beyond this distance in meters is none. By default the range
            of the model that predicts.
        heuristic_fusion: Whether to evaluate ``pred_panoptic_baseline`` too, see
            ``model.panoptic_baseline``.
        **kwargs: Of `PerImageMetric`.

    Raises:
        InputError: Lambdas or a ``max_depth`` that are not positive.
    """

    default_prefix = 'panoptic'
    class_columns = percent(('PQ', 'SQ', 'RQ', 'DPQ'))

    def __init__(
        self,
        depth_lambdas: Sequence[float] = (),
        max_depth: float | None = None,
        heuristic_fusion: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for limit in depth_lambdas:
            require_positive(limit, 'PanopticMetric', 'depth_lambdas')
        if max_depth is not None:
            require_positive(max_depth, 'PanopticMetric', 'max_depth', 'm')
        self.lambdas = sorted(set(depth_lambdas))
        dpq = ['DPQ', *(f'DPQ@{limit:g}' for limit in self.lambdas)] if self.lambdas else []
        groups = {'{}': 'all', '{}_th': 'things', '{}_st': 'stuff'}
        self.table = Table(
            percent(['PQ', 'SQ', 'RQ', *dpq]),
            rows={
                **groups,
                **{HEURISTIC + names: f'{title}, heuristic' for names, title in groups.items()},
            },
        )
        self.max_depth = max_depth
        self.predictions = (MODEL, HEURISTIC) if heuristic_fusion else (MODEL,)

    def image_result(self, sample: dict) -> dict[str, tuple]:
        """Statistics and pixel counts of one image, by name, sparse."""
        pred = self.get_map(sample, FIELDS[MODEL], 'sem_seg')
        gt, segments = self.gt_segments(sample)
        bins, result = None, {}
        if self.lambdas:
            bins, dense = self._depth_bins(sample, pred)
            result['dense'] = _sparse(np.array([dense]))
        for prefix in self.predictions:
            pred = self.get_map(sample, FIELDS[prefix], 'sem_seg')
            self.check_shapes(sample, gt, pred)
            stats, confusion, tested = self._count(gt, segments, pred, bins)
            result[f'{prefix}stats'] = _sparse(stats)
            if prefix == MODEL:
                result['confusion'] = _sparse(confusion)
                result['tested'] = _sparse(tested)
        return result

    def _depth_bins(self, sample: dict, pred: np.ndarray) -> tuple[np.ndarray, bool]:
        """Bins of the depth error, and whether the ground truth is dense."""
        dense = 'dense_depth' in sample
        gt = self.get_map(sample, 'dense_depth' if dense else 'gt_depth_map', 'data')
        depth = self.get_map(sample, 'pred_depth_map', 'data')
        self.check_shapes(sample, gt, depth)
        self.check_shapes(sample, gt, pred)
        gt = drop_beyond(gt, self.depth_range(sample))
        return depth_error_bins(gt, depth, self.lambdas), dense

    def _count(
        self, gt: np.ndarray, segments: Sequence[dict], pred: np.ndarray, bins: np.ndarray | None
    ) -> tuple[np.ndarray, ...]:
        """Compare one prediction with the ground truth.

        Returns:
            Statistics (1 + n, C, 4), confusion (C + 1, C + 1), and pixels with depth ground truth
            by class (C + 1,).
        """
        n = len(self.meta('classes'))
        ids, pred_segments = decode_panoptic(pred, n)
        table = overlap_table(
            gt,
            ids,
            [s['id'] for s in segments],
            [s['id'] for s in pred_segments],
            bins,
            1 if bins is None else num_bins(self.lambdas),
        )
        untested, tested = (
            class_confusion(part.sum(axis=0), segments, pred_segments, n)
            for part in (table[:1], table[1:])
        )
        return (
            depth_panoptic_stats(table, segments, pred_segments, n),
            untested + tested,
            tested.sum(axis=1),
        )

    def summarize(self, results: dict[int, dict]) -> dict[str, float]:
        """PQ and DPQ of the whole set."""
        classes = self.meta('classes')
        n = len(classes)
        shapes = dict(dense=(1,), tested=(n + 1,), confusion=(n + 1, n + 1))
        for prefix in self.predictions:
            shapes[f'{prefix}stats'] = (1 + len(self.lambdas), n, 4)
        totals = {
            name: _total([r[name] for r in results.values() if name in r], shape)
            for name, shape in shapes.items()
        }

        metrics: dict[str, float] = {}
        for prefix in self.predictions:
            stats = totals[f'{prefix}stats']
            summary = depth_panoptic_summary(stats, self._is_thing(), self.lambdas)
            per_class = summary.pop('per_class')
            for name, value in {**summary, **self.per_class(per_class, classes)}.items():
                metrics[f'{prefix}{name}'] = value
            for name, column in (('TP', TP), ('FP', FP), ('FN', FN)):
                per_class[name] = stats[0, :, column].astype(np.int64)
            details = class_rows(per_class, classes)
            if prefix == MODEL:
                self.details['per_class'] = details
            else:
                self.details[prefix.strip('/')] = dict(per_class=details)

        confusion, tested = totals['confusion'], totals['tested']
        names = [*classes, 'void']
        self.details['confusion'] = dict(
            rows=names, columns=names, counts=confusion.astype(np.int64)
        )
        if self.lambdas:
            pixels = confusion.sum(axis=1)
            share = _share(tested.sum(), pixels.sum())
            metrics['DPQ_tested'] = share
            self.details['depth_truth'] = dict(
                lambdas=self.lambdas,
                tested=share,
                images=len(results),
                images_with_dense_truth=int(totals['dense'][0]),
            )
            for i, label in enumerate(classes):
                self.details['per_class'][label]['depth_tested'] = _share(tested[i], pixels[i])
        return metrics

    def notes(self, values: Mapping[str, float | None]) -> list[str]:
        """Say how much of the image DPQ tests."""
        tested = values.get('DPQ_tested')
        if not is_known(tested):
            return []
        notes = [
            f'DPQ: {100 * tested:.1f} % of the pixels have depth truth; the others keep their '
            'prediction.'
        ]
        if tested < _LOW_SHARE:
            notes.append('DPQ: with so few it can hardly fall below PQ.')
        return notes

    def _is_thing(self) -> Sequence[bool]:
        """Which classes are things."""
        things = set(self.meta('thing_classes'))
        return [c in things for c in self.meta('classes')]


def _sparse(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flat indices and values of what is not zero."""
    flat = array.ravel()
    index = np.flatnonzero(flat)
    return index.astype(np.int32), flat[index]


def _total(parts: Sequence[tuple], shape: tuple[int, ...]) -> np.ndarray:
    """Sum sparse arrays, in their order, float64."""
    total = np.zeros(shape)
    for index, values in parts:
        total.reshape(-1)[index] += values
    return total


def _share(part: Any, whole: Any) -> float:
    """Part of a whole, NaN of nothing."""
    return float(part / whole) if whole else float('nan')
