"""The authors' RMSE of the model and of fills that need no network."""

from collections.abc import Mapping

import numpy as np

from pandepth_mm.evaluation.functional.depth_legacy import legacy_row, legacy_summary
from pandepth_mm.evaluation.metrics.depth_fill_metric import DepthFillMetric, names_of
from pandepth_mm.evaluation.table import is_known
from pandepth_mm.geometry.camera import resize_nearest
from pandepth_mm.registry import METRICS
from pandepth_mm.structures.methods import METHODS


@METRICS.register_module()
class DepthLegacyMetric(DepthFillMetric):
    """RMSE by the authors' recipe, not comparable with any other.

    See ``functional.depth_legacy``. The model's map is brought back to the network's grid by the
    nearest pixels; the fills are compared on that grid directly.

    Metrics: ``legacy/rmse_units`` of the model, ``nearest_fill/legacy/rmse_units`` and so on of the
    fills; of the model only, ``legacy/rmse_valid`` (mm) and ``legacy/density``.

    Args and errors: those of `DepthFillMetric`.
    """

    def image_result(self, sample: dict) -> np.ndarray:
        """Sums of one image, float64 (1 + number of fills, 3)."""
        maps = self.load(sample)
        on_grid = [resize_nearest(maps.pred, maps.sparse.shape), *maps.filled]
        return np.array([legacy_row(maps.gt, dense) for dense in on_grid])

    def summarize(self, results: dict[int, np.ndarray]) -> dict[str, float]:
        """RMSE of the whole set."""
        metrics: dict[str, float] = {}
        for i, method in enumerate(self.methods):
            summary = legacy_summary(np.array([image[i] for image in results.values()]))
            for key in summary if method == 'model' else ('rmse_units',):
                metrics[names_of(method).format(f'legacy/{key}')] = summary[key]
        return metrics

    def notes(self, values: Mapping[str, float | None]) -> list[str]:
        """Give the RMSE of each method in one line: it is no column of the table."""
        found = {
            title: values.get(names_of(method).format('legacy/rmse_units'))
            for method, title in METHODS.items()
        }
        text = ', '.join(
            f'{title} {1e3 * value:.0f}' for title, value in found.items() if is_known(value)
        )
        if not text:
            return []
        return [
            f"RMSE by the authors' recipe, as in Table 1: {text}; not mm, see docs/paper_units.md."
        ]
