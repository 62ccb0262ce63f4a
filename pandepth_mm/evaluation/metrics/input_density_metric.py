"""How dense the sparse input was."""

import numpy as np

from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric
from pandepth_mm.registry import METRICS


@METRICS.register_module()
class InputDensityMetric(PerImageMetric):
    """Share of the pixels of the network's input that hold a measurement.

    Padding is left out. Metrics: ``density`` (mean over the images), ``density_min`` and
    ``density_max`` (of single images), fractions.
    """

    default_prefix = 'input'

    def image_result(self, sample: dict) -> float:
        """Density of one image."""
        height, width = self.get(sample, 'img_shape')[:2]
        depth = self.get_map(sample, 'sparse_depth', 'data')[:height, :width]
        return float(np.mean(depth > 0))

    def summarize(self, results: dict[int, float]) -> dict[str, float]:
        """Mean and range."""
        values = list(results.values())
        return dict(
            density=float(np.mean(values)), density_min=min(values), density_max=max(values)
        )
