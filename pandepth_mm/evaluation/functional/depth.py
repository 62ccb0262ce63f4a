"""Depth errors by the definitions of KITTI's depth devkit.

Errors are computed per image over the pixels with ground truth, then
averaged over the images. In contrast to the devkit, which interpolates where
a prediction is missing, a depth that is no positive finite number is counted
and set to ``MIN_DEPTH``: a hole then costs what it should.
"""
from typing import Dict, Optional

import numpy as np

# Smallest depth in metres that KITTI's 16-bit PNG (1/256 m) holds. So a
# prediction has the same errors in memory and when it was written to a file.
MIN_DEPTH = 1 / 256

ERRORS = ('rmse', 'mae', 'irmse', 'imae', 'absrel', 'silog')
# What stands in the row of one image.
ROW = ('n_valid', 'n_clamped') + ERRORS


def depth_row(gt: np.ndarray,
              pred: np.ndarray,
              max_depth: Optional[float] = None) -> np.ndarray:
    """Depth errors of one image.

    Args:
        gt: float (H, W), metres, 0 = no measurement.
        pred: float (H, W), metres.
        max_depth: Ground truth beyond this distance in metres is left out;
            None keeps all. Predictions are never cut off.

    Returns:
        float64 (8,), in the order of ``ROW``: number of pixels with ground
        truth; how many predictions of those were clamped (not finite, or
        below ``MIN_DEPTH``, so that 0 and negative ones are among them);
        RMSE and MAE in mm; RMSE and MAE of the inverse depth in 1/km; mean of
        |error| / ground truth (a fraction); SILog, 100 times the standard
        deviation of ln(pred) - ln(gt). The errors are NaN for an image
        without ground truth.

    Raises:
        ValueError: Shapes that differ.
    """
    if gt.shape != pred.shape:
        raise ValueError(f'ground truth of shape {gt.shape}, prediction of '
                         f'shape {pred.shape}')
    valid = np.isfinite(gt) & (gt > 0)
    if max_depth is not None:
        valid &= gt <= max_depth
    gt = gt[valid].astype(np.float64)
    pred = pred[valid].astype(np.float64)
    row = np.full(len(ROW), np.nan)
    row[:2] = len(gt), 0
    if len(gt) == 0:
        return row

    broken = ~(np.isfinite(pred) & (pred >= MIN_DEPTH))
    pred[broken] = MIN_DEPTH
    error = pred - gt
    inverse = 1 / pred - 1 / gt
    row[1:] = (
        broken.sum(),
        1e3 * np.sqrt(np.mean(error**2)),
        1e3 * np.mean(np.abs(error)),
        1e3 * np.sqrt(np.mean(inverse**2)),
        1e3 * np.mean(np.abs(inverse)),
        np.mean(np.abs(error) / gt),
        100 * np.std(np.log(pred) - np.log(gt)),
    )
    return row


def depth_summary(rows: np.ndarray) -> Dict[str, float]:
    """Average the rows of a whole set.

    Args:
        rows: float64 (N, 8), one row of ``ROW`` per image.

    Returns:
        The mean over the images of each of ``ERRORS``; ``rmse_pooled``, the
        RMSE in mm over the pixels of all images together; ``n_clamped``, the
        number of clamped predictions; ``n_images_without_gt``, how many
        images had no ground truth and are not in the means. The means are
        NaN if no image has ground truth.
    """
    rows = np.asarray(rows, dtype=np.float64).reshape(-1, len(ROW))
    n_valid = rows[:, ROW.index('n_valid')]
    used = rows[n_valid > 0]
    summary: Dict[str, float] = {}
    for name in ERRORS:
        values = used[:, ROW.index(name)]
        summary[name] = float(values.mean()) if len(used) else float('nan')
    pixels = used[:, ROW.index('n_valid')]
    squares = used[:, ROW.index('rmse')]**2
    summary['rmse_pooled'] = float(
        np.sqrt(np.sum(squares * pixels) /
                pixels.sum())) if len(used) else float('nan')
    summary['n_clamped'] = int(used[:, ROW.index('n_clamped')].sum())
    summary['n_images_without_gt'] = int(len(rows) - len(used))
    return summary
