"""Depth-aware panoptic quality (DPQ), for one image pair and for a set.

DPQ at lambda is PQ after every pixel of the prediction whose absolute relative depth error |d - d*|
/ d* exceeds lambda has become void. Defined by Qiao et al., "ViP-DeepLab", CVPR 2021, for video
(DVPQ; this is its case of one frame), and by Gao et al., "PanopticDepth", CVPR 2022, for single
images; its mean over lambda = 0.1, 0.25 and 0.5 is the number to compare. Pixels without depth
ground truth keep their prediction, as in the evaluation code of ViP-DeepLab.

Void in the prediction is not forgiven, but a prediction that vanishes is no longer a false
positive: DPQ of a class can exceed its PQ.

The overlaps of segments are counted once, by bins of the depth error (``overlap_table`` with
``bins``); voiding pixels then only moves counts from one column to another.
"""

from collections.abc import Sequence

import numpy as np

from pandepth_mm.evaluation.functional.panoptic import (
    FIRST_SEGMENT,
    VOID_ROW,
    match_segments,
    panoptic_summary,
)

# Bin of the pixels without depth ground truth; the others are in bin 1 + the number of lambdas that
# their error exceeds.
UNTESTED = 0


def depth_error_bins(
    gt_depth: np.ndarray, pred_depth: np.ndarray, lambdas: Sequence[float]
) -> np.ndarray:
    """Sort pixels by the lambdas that their depth error exceeds.

    Compares in float32, the precision of the maps. The lambdas are rounded to it too; an error
    equal to one does not exceed it.

    Args:
        gt_depth: float (H, W), meters, 0 = no ground truth.
        pred_depth: float (H, W), meters; a depth <= 0 or not finite exceeds every lambda.
        lambdas: n limits of the absolute relative error, ascending.

    Returns:
        uint8 (H, W), values below ``num_bins(lambdas)``.
    """
    if gt_depth.shape != pred_depth.shape:
        raise ValueError(
            f'depth ground truth of shape {gt_depth.shape}, prediction of shape {pred_depth.shape}'
        )
    with np.errstate(divide='ignore', invalid='ignore'):
        error = np.abs(pred_depth - gt_depth)
        error /= gt_depth
        bad = ~(pred_depth > 0)
    bins = np.ones(gt_depth.shape, dtype=np.uint8)
    for limit in lambdas:
        bins += ~(error <= limit)  # NaN exceeds too
    bins[bad] = 1 + len(lambdas)
    bins *= gt_depth > 0
    return bins


def num_bins(lambdas: Sequence[float]) -> int:
    """Number of bins: no ground truth, none exceeded, 1 .. n exceeded."""
    return 2 + len(lambdas)


def depth_panoptic_stats(
    table: np.ndarray, gt_segments: Sequence[dict], pred_segments: Sequence[dict], num_classes: int
) -> np.ndarray:
    """PQ statistics of one image without and with voided pixels.

    Args:
        table: (B, 2 + G, 2 + P) from ``overlap_table``, with the bins of n lambdas or with one bin
            (n = 0).
        gt_segments: As for ``match_segments``.
        pred_segments: As for ``match_segments``.
        num_classes: C.

    Returns:
        float64 (1 + n, C, 4): first those of PQ, then those at each lambda.
    """
    upto = np.cumsum(table, axis=0)
    total = upto[-1]
    stats = [match_segments(total, gt_segments, pred_segments, num_classes)]
    for kept in upto[1:-1]:
        voided = kept.copy()
        voided[:, VOID_ROW] += (total - kept).sum(axis=1)
        # a segment without a pixel left is not in the prediction
        left = np.flatnonzero(voided[:, FIRST_SEGMENT:].any(axis=0))
        columns = np.r_[:FIRST_SEGMENT, left + FIRST_SEGMENT]
        stats.append(
            match_segments(
                voided[:, columns], gt_segments, [pred_segments[i] for i in left], num_classes
            )
        )
    return np.stack(stats)


def depth_panoptic_summary(
    stats: np.ndarray, is_thing: Sequence[bool], lambdas: Sequence[float]
) -> dict[str, object]:
    """PQ and DPQ from the statistics of a whole set.

    Args:
        stats: float (1 + n, C, 4), summed over the images.
        is_thing: (C,) which classes are things.
        lambdas: The n lambdas.

    Returns:
        What ``panoptic_summary`` returns; with lambdas also ``DPQ@LAMBDA`` for each of them and
        their mean ``DPQ``, all with ``_th`` and ``_st``, and (C,) each under ``per_class``. A class
        that occurs at some lambdas only (false positives that vanish) has the mean over those.
    """
    summary = panoptic_summary(stats[0], is_thing)
    per_class = summary['per_class']
    voided = [panoptic_summary(s, is_thing) for s in stats[1:]]
    if not voided:
        return summary
    names: list[str] = [f'DPQ@{limit:g}' for limit in lambdas]
    for suffix in ('', '_th', '_st'):
        values = [v[f'PQ{suffix}'] for v in voided]
        summary[f'DPQ{suffix}'] = float(np.mean(values))
        for name, value in zip(names, values, strict=True):
            summary[f'{name}{suffix}'] = value
    values = np.stack([v['per_class']['PQ'] for v in voided])
    known = ~np.isnan(values)
    per_class['DPQ'] = np.divide(
        np.where(known, values, 0).sum(axis=0),
        known.sum(axis=0),
        out=np.full(values.shape[1], np.nan),
        where=known.any(axis=0),
    )
    per_class.update(zip(names, values, strict=True))
    return summary
