"""What the depth metrics share."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import require_choice
from pandepth_mm.evaluation.functional.depth_fill import FILLS, resize_bilinear
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric


def names_of(method: str) -> str:
    """Pattern of the names of a method's metrics, with '{}' for the error."""
    return '{}' if method == 'model' else f'{method}/{{}}'


class DepthMaps(NamedTuple):
    """Depth of one image, meters, 0 = no measurement.

    Attributes:
        gt: float (H, W), the ground truth.
        sparse: float (h, w), the input at the network's size, padding cropped.
        pred: float (H, W), the model's.
        filled: float32 (h, w), one per fill of the metric.
    """

    gt: np.ndarray
    sparse: np.ndarray
    pred: np.ndarray
    filled: list[np.ndarray]

    def dense(self) -> list[np.ndarray]:
        """The model's map and those of the fills, all (H, W).

        Fills are resized bilinearly, as the model's output is.
        """
        return [self.pred, *(resize_bilinear(filled, self.gt.shape) for filled in self.filled)]


class DepthFillMetric(PerImageMetric):
    """Base of the metrics that compare the model's depth with plain fills.

    Compares ``pred_depth_map.data`` with ``gt_depth_map.data``, both (1, H, W) in meters. Beside
    the model stand fills of the same input, ``sparse_depth`` at the network's size.

    Args:
        fills: Which fills to compare with, keys of ``functional.depth_fill.FILLS``; () for none.
        **kwargs: Of `PerImageMetric`.

    Raises:
        InputError: An unknown fill.
    """

    default_prefix = 'depth'

    def __init__(self, fills: Sequence[str] = tuple(FILLS), **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in fills:
            require_choice(name, FILLS, type(self).__name__, 'fills')
        self.fills = tuple(fills)

    @property
    def methods(self) -> tuple[str, ...]:
        """Names of what is compared, as in ``structures.methods``."""
        return ('model', *self.fills)

    def load(self, sample: dict) -> DepthMaps:
        """Take the maps of one image out of its sample.

        The metrics of an evaluator get the same dict one after the other: the first that asks for a
        fill leaves it there for the others.
        """
        gt = self.get_map(sample, 'gt_depth_map', 'data')
        pred = self.get_map(sample, 'pred_depth_map', 'data')
        self.check_shapes(sample, gt, pred)
        height, width = self.get(sample, 'img_shape')[:2]
        sparse = self.get_map(sample, 'sparse_depth', 'data')[:height, :width]
        filled = sample.setdefault('filled', {})
        for name in self.fills:
            if name not in filled:
                filled[name] = FILLS[name](sparse)
        return DepthMaps(gt, sparse, pred, [filled[name] for name in self.fills])
