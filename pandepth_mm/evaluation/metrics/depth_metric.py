"""Depth errors of the model and of fills that need no network."""
from typing import Dict, Optional, Sequence

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.functional.depth import depth_row, depth_summary
from pandepth_mm.evaluation.functional.depth_fill import (
    classical_fill,
    nearest_fill,
    resize_bilinear,
)
from pandepth_mm.registry import METRICS

from .per_image_metric import PerImageMetric

FILLS = dict(nearest_fill=nearest_fill, classical_fill=classical_fill)


@METRICS.register_module()
class DepthMetric(PerImageMetric):
    """RMSE, MAE (mm), iRMSE, iMAE (1/km), absRel (fraction) and SILog.

    By KITTI's definitions, see ``functional.depth``: per image over the
    pixels with ground truth, then the mean over the images. Compares
    ``pred_depth_map.data`` with ``gt_depth_map.data``, both (1, H, W) in
    metres. Beside the model stand fills of the same input: ``sparse_depth``
    at the network's input size, padding cropped, filled there and resized
    to the ground truth's size bilinearly, as the model's output is. Each
    image leaves 8 floats for the model and each fill.

    Metrics: ``rmse``, ``mae``, ``irmse``, ``imae``, ``absrel``, ``silog``,
    ``rmse_pooled`` (over the pixels of all images), ``n_clamped``
    (predictions below 1/256 m or not finite, which are set to that),
    ``n_images_without_gt`` (left out of the means); the same under
    ``nearest_fill/`` and ``classical_fill/``.

    Args:
        fills: Which fills to compare with, of 'nearest_fill' and
            'classical_fill'; () for none.
        max_depth: Ground truth beyond this distance in metres is left out;
            None keeps all.
        collect_device: Where the ranks' results meet, 'cpu' or 'gpu'.
        prefix: Prefix of the metric names.
        collect_dir: Folder for the exchange between ranks ('cpu' only).

    Raises:
        InputError: An unknown fill, or a ``max_depth`` that is not positive.
    """

    default_prefix = 'depth'

    def __init__(self,
                 fills: Sequence[str] = ('nearest_fill', 'classical_fill'),
                 max_depth: Optional[float] = None,
                 collect_device: str = 'cpu',
                 prefix: str | None = None,
                 collect_dir: str | None = None) -> None:
        super().__init__(
            collect_device=collect_device,
            prefix=prefix,
            collect_dir=collect_dir)
        unknown = sorted(set(fills) - set(FILLS))
        if unknown:
            raise InputError('DepthMetric', str(unknown),
                             f'names out of {sorted(FILLS)}', 'fills')
        if max_depth is not None and not max_depth > 0:
            raise InputError('DepthMetric', str(max_depth),
                             'None or a distance > 0 m', 'max_depth')
        self.fills = tuple(fills)
        self.max_depth = max_depth

    def image_result(self, sample: dict) -> np.ndarray:
        """Errors of one image, float64 (1 + number of fills, 8)."""
        gt = self.get_map(sample, 'gt_depth_map', 'data')
        pred = self.get_map(sample, 'pred_depth_map', 'data')
        self.check_shapes(sample, gt, pred)
        rows = [depth_row(gt, pred, self.max_depth)]
        if self.fills:
            height, width = self.get(sample, 'img_shape')[:2]
            sparse = self.get_map(sample, 'sparse_depth', 'data')
            sparse = sparse[:height, :width]
        for name in self.fills:
            dense = resize_bilinear(FILLS[name](sparse), gt.shape)
            rows.append(depth_row(gt, dense, self.max_depth))
        return np.stack(rows)

    def summarize(self, results: Dict[int, np.ndarray]) -> Dict[str, float]:
        """Mean errors of the whole set."""
        rows = np.array(list(results.values()))
        rows = rows.reshape(len(results), 1 + len(self.fills), -1)
        metrics = depth_summary(rows[:, 0])
        for i, name in enumerate(self.fills, start=1):
            for key, value in depth_summary(rows[:, i]).items():
                metrics[f'{name}/{key}'] = value
        return metrics
