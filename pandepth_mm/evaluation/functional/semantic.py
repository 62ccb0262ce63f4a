"""Semantic segmentation: confusion matrix, IoU and accuracy."""

import numpy as np

from pandepth_mm.evaluation.functional.panoptic import find_runs


def confusion_matrix(
    gt: np.ndarray, pred: np.ndarray, num_classes: int, ignore_index: int = 255
) -> np.ndarray:
    """Count label pairs of one image.

    Args:
        gt: int (H, W), labels 0..C-1, ``ignore_index`` = void.
        pred: int (H, W), labels; anything outside 0..C-1 means "no label", which is wrong wherever
            the ground truth has one.
        num_classes: C.
        ignore_index: Label of the pixels that do not count.

    Returns:
        int64 (C, C + 1): rows ground truth, columns prediction, the last one for pixels without a
        predicted label.

    Raises:
        ValueError: Shapes that differ, or a ground-truth label out of range.
    """
    if gt.shape != pred.shape:
        raise ValueError(f'ground truth of shape {gt.shape}, prediction of shape {pred.shape}')
    gt, pred = gt.ravel(), pred.ravel()
    starts, lengths = find_runs(gt, pred)
    gt, pred = gt[starts].astype(np.int64), pred[starts].astype(np.int64)
    valid = gt != ignore_index
    gt, pred, lengths = gt[valid], pred[valid], lengths[valid]
    if gt.size and (gt.min() < 0 or gt.max() >= num_classes):
        raise ValueError(
            f'ground-truth labels from {gt.min()} to {gt.max()}, not in [0, {num_classes})'
        )
    pred = np.where((pred >= 0) & (pred < num_classes), pred, num_classes)
    columns = num_classes + 1
    # float sums of pixel counts are exact
    counts = np.bincount(gt * columns + pred, lengths, num_classes * columns)
    return counts.reshape(num_classes, columns).astype(np.int64)


def semantic_summary(confusion: np.ndarray) -> dict[str, object]:
    """IoU and accuracy from the confusion matrix of a whole set.

    Args:
        confusion: int (C, C + 1), summed over the images.

    Returns:
        ``mIoU``: mean over the classes that occur in the ground truth or in the prediction;
        ``mAcc``: mean recall over the classes that occur in the ground truth; ``aAcc``: share of
        correct pixels. Floats from 0 to 1, NaN if no pixel counts. ``per_class``: dict of ``IoU``
        and ``Acc``, each (C,), NaN for absent classes.
    """
    right = np.diagonal(confusion).astype(np.float64)
    gt = confusion.sum(axis=1)
    pred = confusion.sum(axis=0)[:-1]
    union = gt + pred - right
    iou = np.full(len(right), np.nan)
    np.divide(right, union, out=iou, where=union > 0)
    acc = np.full(len(right), np.nan)
    np.divide(right, gt, out=acc, where=gt > 0)

    def mean(values):
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else float('nan')

    total = gt.sum()
    return dict(
        mIoU=mean(iou),
        mAcc=mean(acc),
        aAcc=float(right.sum() / total) if total else float('nan'),
        per_class=dict(IoU=iou, Acc=acc),
    )
