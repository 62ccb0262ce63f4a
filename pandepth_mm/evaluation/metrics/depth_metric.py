"""Depth errors of the model and of fills that need no network."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pandepth_mm.errors import require_positive
from pandepth_mm.evaluation.functional.depth import (
    MIN_DEPTH,
    depth_means,
    depth_pooled,
    depth_row,
    depth_summary,
    seen_pixels,
)
from pandepth_mm.evaluation.metrics.depth_fill_metric import DepthFillMetric, names_of
from pandepth_mm.evaluation.table import Column, Table
from pandepth_mm.registry import METRICS
from pandepth_mm.structures.methods import METHODS


@METRICS.register_module()
class DepthMetric(DepthFillMetric):
    """KITTI's depth errors of the model and of plain fills.

    By the formulas of ``functional.depth``: per image over the pixels with ground truth, then the
    mean over the images. An image leaves a few kB of sums, no pixels.

    Metrics: ``rmse``, ``mae`` (mm), ``irmse``, ``imae`` (1/km), ``absrel``, ``sqrel_kitti``
    (fractions), ``sqrel_eigen`` (m), ``silog`` (KITTI's, times 100), ``delta1``, ``delta2``,
    ``delta3`` (fractions); ``unseen_rmse``, ``unseen_mae``, over the pixels that were not given as
    input (``functional.depth.seen_pixels``); ``rmse_pooled`` (over the pixels of all images);
    ``n_clamped`` (predictions below 1/256 m or not finite, which are set to 1/256 m),
    ``n_images_without_gt`` (left out of the means). The same under ``nearest_fill/`` and so on for
    each fill.

    ``details``: ``model`` and each fill, with ``per_image_mean``, ``pooled``,
    ``unseen_per_image_mean`` and ``unseen_pooled`` of every error.

    Args:
        max_depth: Ground truth beyond this distance in meters is left out. By default the range of
            the model that predicts.
        **kwargs: Of `DepthFillMetric`.

    Raises:
        InputError: A ``max_depth`` that is not positive, or an unknown fill.
    """

    table = Table(
        columns=(
            Column('rmse', 'RMSE mm'),
            Column('mae', 'MAE mm'),
            Column('irmse', 'iRMSE 1/km'),
            Column('imae', 'iMAE 1/km'),
            Column('unseen_rmse', 'unseen RMSE'),
            Column('delta1', 'delta1 %', 100),
        ),
        rows={names_of(method): title for method, title in METHODS.items()},
        digits=1,
    )

    def __init__(self, max_depth: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if max_depth is not None:
            require_positive(max_depth, 'DepthMetric', 'max_depth', 'm')
        self.max_depth = max_depth

    def image_result(self, sample: dict) -> np.ndarray:
        """Reduce one image to sums.

        Returns:
            float64 (1 + number of fills, 2, 14): errors over all pixels, and over those that were
            not given.
        """
        maps, limit = self.load(sample), self.depth_range(sample)
        unseen = np.where(seen_pixels(maps.sparse, maps.gt.shape), 0, maps.gt)
        return np.array(
            [[depth_row(gt, dense, limit) for gt in (maps.gt, unseen)] for dense in maps.dense()]
        )

    def summarize(self, results: dict[int, np.ndarray]) -> dict[str, float]:
        """Mean errors of the whole set; fills ``details``."""
        metrics: dict[str, float] = {}
        for i, method in enumerate(self.methods):
            rows, unseen = (np.array([image[i, k] for image in results.values()]) for k in (0, 1))
            means = depth_means(unseen)
            summary = depth_summary(rows)
            summary.update({f'unseen_{key}': means[key] for key in ('rmse', 'mae')})
            metrics.update({names_of(method).format(k): v for k, v in summary.items()})
            self.details[method] = {
                f'{start}{kind}': function(array)
                for start, array in (('', rows), ('unseen_', unseen))
                for kind, function in (('per_image_mean', depth_means), ('pooled', depth_pooled))
            }
        return metrics

    def notes(self, values: Mapping[str, float | None]) -> list[str]:
        """Say how many depths were clamped and how many images left out."""
        notes = []
        for pattern, title in self.table.rows.items():
            clamped = values.get(pattern.format('n_clamped'))
            if clamped:
                notes.append(
                    f'{title}: {clamped:.0f} depths were not finite or '
                    f'below {MIN_DEPTH:.4f} m and counted as that.'
                )
        without = values.get('n_images_without_gt')
        if without:
            notes.append(
                f'{without:.0f} images without depth ground truth are not in the depth rows.'
            )
        return notes
