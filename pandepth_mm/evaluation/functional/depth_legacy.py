"""RMSE as the authors' published code computes it; for comparison only.

Three things separate it from an RMSE in meters (docs/paper_units.md): depth is the 16-bit value of
Virtual KITTI 2, centimeters, divided by 255, so that its unit is 2.55 m; ground truth and
prediction are both set to 0 where there is no ground truth, and the mean is over all pixels of the
network's grid, those included; and ground truth beyond 50 such units counts as none.
"""

import numpy as np

from pandepth_mm.evaluation.functional.depth import clamp
from pandepth_mm.geometry.camera import resize_nearest

UNIT = 2.55  # meters
RANGE = 50.0  # units; ground truth at or beyond it is none
# Columns of the row of one image.
LEGACY_ROW = ('squared', 'n_valid', 'n_pixels')


def legacy_row(gt: np.ndarray, pred: np.ndarray) -> np.ndarray:
    """Sums of one image.

    Args:
        gt: float (H, W), meters, 0 = no measurement; of any size.
        pred: float (h, w), meters, on the network's grid, to which the ground truth is brought by
            its nearest pixels. A value that is not positive and finite is clamped as everywhere.

    Returns:
        float64 (3,): sum of the squared errors in units^2, number of pixels with ground truth,
        number of pixels.
    """
    gt = resize_nearest(gt, pred.shape).astype(np.float64) / UNIT
    valid = (gt > 0) & (gt < RANGE)
    error = clamp(pred[valid])[0] / UNIT - gt[valid]
    return np.array([np.sum(error**2), valid.sum(), pred.size], np.float64)


def legacy_summary(rows: np.ndarray) -> dict[str, float]:
    """RMSE of a whole set, pooled over its pixels, as the authors have it.

    Args:
        rows: float64 (N, 3), one row of ``LEGACY_ROW`` per image.

    Returns:
        ``rmse_units``, by the recipe: times 1000 it is the "RMSE (mm)" of the paper's Table 1;
        ``rmse_valid``, the same errors in mm over the pixels with ground truth only; ``density``,
        the share of these. rmse_valid = rmse_units * 2550 / sqrt(density). NaN without any pixel.
    """
    rows = np.asarray(rows, np.float64).reshape(-1, len(LEGACY_ROW))
    squared, n_valid, n_pixels = rows.sum(axis=0)
    nan = float('nan')
    return dict(
        rmse_units=float(np.sqrt(squared / n_pixels)) if n_pixels else nan,
        rmse_valid=float(1e3 * UNIT * np.sqrt(squared / n_valid)) if n_valid else nan,
        density=float(n_valid / n_pixels) if n_pixels else nan,
    )
