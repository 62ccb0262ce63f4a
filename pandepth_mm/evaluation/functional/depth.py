"""Depth errors by the definitions of KITTI's depth devkit.

Errors are computed per image over the pixels with ground truth, then averaged over the images;
errors pooled over the pixels of all images are given too. In contrast to the devkit, which
interpolates where a prediction is missing, a depth that is no positive finite number is counted and
set to ``MIN_DEPTH``: a hole then costs what it should.

With d the predicted depth and d* the ground truth, and the mean over pixels:

    rmse, mae           sqrt(mean (d - d*)^2), mean |d - d*|; mm
    irmse, imae         the same of 1/d - 1/d*; 1/km
    absrel              mean |d - d*| / d*
    sqrel_kitti         mean ((d - d*) / d*)^2, KITTI's devkit
    sqrel_eigen         mean (d - d*)^2 / d*; m. Eigen et al. 2014 and most
                        papers on monocular depth; often called sqRel too
    silog               100 sqrt(mean x^2 - (mean x)^2), x = ln d - ln d*
    delta1, 2, 3        share with max(d / d*, d* / d) < 1.25^k
"""

import numpy as np

from pandepth_mm.geometry.camera import resize_nearest

# Smallest depth in meters that KITTI's 16-bit PNG (1/256 m) holds. So a prediction has the same
# errors in memory and in a file.
MIN_DEPTH = 1 / 256

ERRORS = (
    'rmse',
    'mae',
    'irmse',
    'imae',
    'absrel',
    'sqrel_kitti',
    'sqrel_eigen',
    'silog',
    'delta1',
    'delta2',
    'delta3',
)
# Columns of the row of one image; 'log_bias', the mean of ln d - ln d*, lets silog be pooled.
ROW = ('n_valid', 'n_clamped') + ERRORS + ('log_bias',)


def gt_mask(gt: np.ndarray, max_depth: float | None = None) -> np.ndarray:
    """Where there is ground truth to compare with.

    Args:
        gt: float (H, W), meters, 0 = no measurement.
        max_depth: Meters beyond which ground truth is left out.

    Returns:
        bool (H, W).
    """
    valid = np.isfinite(gt) & (gt > 0)
    if max_depth is not None:
        valid &= gt <= max_depth
    return valid


def drop_beyond(depth: np.ndarray, max_depth: float | None) -> np.ndarray:
    """Set what is farther than ``max_depth`` meters to 0; None keeps all."""
    return depth if max_depth is None else np.where(depth > max_depth, 0, depth)


def clamp(pred: np.ndarray) -> tuple[np.ndarray, int]:
    """Set what is not a depth to ``MIN_DEPTH``.

    Args:
        pred: float, any shape, meters.

    Returns:
        float64, same shape; and how many values were not finite or below ``MIN_DEPTH``, 0 and
        negative ones included.
    """
    broken = ~(np.isfinite(pred) & (pred >= MIN_DEPTH))
    return np.where(broken, MIN_DEPTH, pred.astype(np.float64)), broken.sum()


def seen_pixels(sparse: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Which pixels were given as input.

    Args:
        sparse: float (h, w), the input at the network's size, meters, 0 = no measurement.
        shape: (H, W), the grid of the ground truth.

    Returns:
        bool (H, W): whether the network-size pixel that the pixel's center falls in, column
        floor((u + 0.5) w / W), was measured.
    """
    return resize_nearest(sparse > 0, shape)


def depth_row(gt: np.ndarray, pred: np.ndarray, max_depth: float | None = None) -> np.ndarray:
    """Depth errors of one image.

    Args:
        gt: float (H, W), meters, 0 = no measurement.
        pred: float (H, W), meters.
        max_depth: Ground truth beyond this distance in meters is left out; None keeps all.
            Predictions are never cut off.

    Returns:
        float64 (14,), in the order of ``ROW``: number of pixels with ground truth; how many
        predictions of those were clamped (see ``clamp``); the errors, by the formulas of this
        module; the mean of ln(pred) - ln(gt). The latter two are NaN for an image without ground
        truth.

    Raises:
        ValueError: Shapes that differ.
    """
    if gt.shape != pred.shape:
        raise ValueError(f'ground truth of shape {gt.shape}, prediction of shape {pred.shape}')
    valid = gt_mask(gt, max_depth)
    gt = gt[valid].astype(np.float64)
    row = np.full(len(ROW), np.nan)
    row[:2] = len(gt), 0
    if len(gt) == 0:
        return row

    pred, row[1] = clamp(pred[valid])
    error = pred - gt
    inverse = 1 / pred - 1 / gt
    relative = error / gt
    ratio = np.maximum(pred / gt, gt / pred)
    log_ratio = np.log(pred) - np.log(gt)
    row[2:] = (
        1e3 * np.sqrt(np.mean(error**2)),
        1e3 * np.mean(np.abs(error)),
        1e3 * np.sqrt(np.mean(inverse**2)),
        1e3 * np.mean(np.abs(inverse)),
        np.mean(np.abs(relative)),
        np.mean(relative**2),
        np.mean(error * relative),
        100 * np.std(log_ratio),
        *(np.mean(ratio < 1.25**k) for k in (1, 2, 3)),
        np.mean(log_ratio),
    )
    return row


def depth_means(rows: np.ndarray) -> dict[str, float]:
    """Mean over the images of each error.

    Args:
        rows: float64 (N, 14), one row of ``ROW`` per image.

    Returns:
        The mean of each of ``ERRORS`` over the images that have ground truth; NaN if none has.
    """
    rows = _with_gt(rows)
    if not len(rows):
        return dict.fromkeys(ERRORS, float('nan'))
    return {name: float(_column(rows, name).mean()) for name in ERRORS}


def depth_pooled(rows: np.ndarray) -> dict[str, float]:
    """Errors over the pixels of all images together.

    Args:
        rows: float64 (N, 14), one row of ``ROW`` per image.

    Returns:
        Each of ``ERRORS`` as if all images were one; NaN without any ground truth.
    """
    rows = _with_gt(rows)
    if not len(rows):
        return dict.fromkeys(ERRORS, float('nan'))
    weights = _column(rows, 'n_valid') / _column(rows, 'n_valid').sum()
    pooled = {}
    for name in ERRORS:
        values = _column(rows, name)
        if name in ('rmse', 'irmse'):
            pooled[name] = np.sqrt(np.sum(weights * values**2))
        elif name == 'silog':
            bias = _column(rows, 'log_bias')
            bias = 100 * (bias - np.sum(weights * bias))
            pooled[name] = np.sqrt(np.sum(weights * (values**2 + bias**2)))
        else:
            pooled[name] = np.sum(weights * values)
    return {name: float(value) for name, value in pooled.items()}


def depth_summary(rows: np.ndarray) -> dict[str, float]:
    """Sum up the rows of a whole set in a few numbers.

    Args:
        rows: float64 (N, 14), one row of ``ROW`` per image.

    Returns:
        The mean over the images of each of ``ERRORS``; ``rmse_pooled``, the RMSE in mm over the
        pixels of all images together; ``n_clamped``, the number of clamped predictions;
        ``n_images_without_gt``, how many images had no ground truth and are not in the means.
    """
    rows = np.asarray(rows, dtype=np.float64).reshape(-1, len(ROW))
    summary = depth_means(rows)
    summary['rmse_pooled'] = depth_pooled(rows)['rmse']
    summary['n_clamped'] = int(_column(rows, 'n_clamped').sum())
    summary['n_images_without_gt'] = len(rows) - len(_with_gt(rows))
    return summary


def _column(rows: np.ndarray, name: str) -> np.ndarray:
    return rows[:, ROW.index(name)]


def _with_gt(rows: np.ndarray) -> np.ndarray:
    rows = np.asarray(rows, dtype=np.float64).reshape(-1, len(ROW))
    return rows[_column(rows, 'n_valid') > 0]
