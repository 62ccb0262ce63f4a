"""Panoptic quality of one image pair, by the rules of panopticapi.

PQ is defined by Kirillov et al., "Panoptic Segmentation", CVPR 2019, and in its details by the COCO
panoptic API:

* ground truth and prediction match if they have the same category and an IoU
  over 0.5, where pixels that are void in the ground truth are taken out of
  the union;
* a crowd segment of the ground truth is neither matched nor missed;
* an unmatched prediction is no false positive if more than half of it lies on
  void or on the crowd segment of its own category (the last one listed, if
  there are several);
* void in the prediction is not forgiven;
* classes without any TP, FP or FN are left out of the mean.

The work is split in two: ``overlap_table`` goes over the pixels once, ``match_segments`` over the
segments only.
"""

from collections.abc import Sequence

import numpy as np

from pandepth_mm.structures.panoptic_ids import MAX_ID

VOID = 0
# Largest id that a COCO panoptic PNG holds, plus one.

# Columns of the statistics.
IOU, TP, FP, FN = range(4)
# Rows and columns of the overlap table that stand before the segments.
UNLISTED_ROW, VOID_ROW, FIRST_SEGMENT = 0, 1, 2


def find_runs(*maps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cut flat maps into runs of pixels that are equal in each of them.

    Segments have extent: a few percent of the pixels start a run, and look-ups are needed only
    there.

    Args:
        maps: Arrays (N,), all of one length.

    Returns:
        Index of each run's first pixel (R,), and the runs' lengths (R,).
    """
    size = len(maps[0])
    first = np.ones(size, dtype=bool)
    if size:
        np.not_equal(maps[0][1:], maps[0][:-1], out=first[1:])
    for other in maps[1:]:
        first[1:] |= other[1:] != other[:-1]
    starts = np.flatnonzero(first)
    return starts, np.diff(starts, append=size)


def _check_ids(ids: np.ndarray, what: str) -> None:
    """Refuse ids that no panoptic PNG holds."""
    if ids.size and (ids.min() < 0 or ids.max() >= MAX_ID):
        raise ValueError(f'{what} from {ids.min()} to {ids.max()}, not in [0, {MAX_ID})')


def _positions(ids: np.ndarray, listed: Sequence[int]) -> np.ndarray:
    """Map ids to their rows or columns in the overlap table."""
    _check_ids(ids, 'segment ids')
    # Among few listed ids a search is quicker than a table over all 2^24, whose pages the system
    # has to provide.
    known = np.array([VOID, *listed], dtype=np.int64)
    order = np.argsort(known, kind='stable')
    # the last one of equal ids; an unknown id finds a smaller one
    found = np.searchsorted(known[order], ids, side='right') - 1
    position = np.r_[VOID_ROW, FIRST_SEGMENT : FIRST_SEGMENT + len(listed)]
    return np.where(known[order][found] == ids, position[order][found], UNLISTED_ROW)


def overlap_table(
    gt_ids: np.ndarray,
    pred_ids: np.ndarray,
    gt_listed: Sequence[int],
    pred_listed: Sequence[int],
    bins: np.ndarray | None = None,
    num_bins: int = 1,
) -> np.ndarray:
    """Count the pixels that each pair of segments shares.

    Args:
        gt_ids: int (H, W), ids of the ground truth, 0 = void.
        pred_ids: int (H, W), ids of the prediction, 0 = void.
        gt_listed: The ids of the G segments of the ground truth.
        pred_listed: The ids of the P segments of the prediction.
        bins: uint8 (H, W), values below ``num_bins``, a third key beside the two segments (see
            ``depth_panoptic``); None puts all pixels into bin 0.
        num_bins: B.

    Returns:
        int64 (B, 2 + G, 2 + P), summing to H * W. Row and column 0: ids that are not listed, 1:
        void, then the segments in the order given.
    """
    for other, name in ((pred_ids, 'prediction'), (bins, 'bins')):
        if other is not None and other.shape != gt_ids.shape:
            raise ValueError(f'ground truth of shape {gt_ids.shape}, {name} of shape {other.shape}')
    rows = len(gt_listed) + FIRST_SEGMENT
    columns = len(pred_listed) + FIRST_SEGMENT
    size = num_bins * rows * columns
    gt_ids, pred_ids = gt_ids.ravel(), pred_ids.ravel()
    starts, lengths = find_runs(gt_ids, pred_ids)
    pairs = _positions(gt_ids[starts], gt_listed) * columns
    pairs += _positions(pred_ids[starts], pred_listed)
    if bins is None:
        # float sums of pixel counts are exact
        counts = np.bincount(pairs, lengths, size).astype(np.int64)
    else:
        small = np.min_scalar_type(size)  # less memory to go through
        keys = np.repeat(pairs.astype(small), lengths)
        keys += np.multiply(bins.ravel(), rows * columns, dtype=small)
        counts = np.bincount(keys, minlength=size)
    return counts.reshape(num_bins, rows, columns)


def class_confusion(
    table: np.ndarray, gt_segments: Sequence[dict], pred_segments: Sequence[dict], num_classes: int
) -> np.ndarray:
    """Count the pixels of each pair of classes, whatever the segments.

    Args:
        table: (2 + G, 2 + P), one bin of ``overlap_table`` or their sum.
        gt_segments: G dicts with ``category``; crowds count as their class.
        pred_segments: P dicts with ``category``.
        num_classes: C.

    Returns:
        int64 (C + 1, C + 1), rows ground truth, columns prediction, the last ones void and ids that
        are not listed.
    """
    rows, columns = (
        np.array([num_classes] * FIRST_SEGMENT + [s['category'] for s in segments])
        for segments in (gt_segments, pred_segments)
    )
    confusion = np.zeros((num_classes + 1, num_classes + 1), np.int64)
    np.add.at(confusion, (rows[:, None], columns), table)
    return confusion


def match_segments(
    table: np.ndarray, gt_segments: Sequence[dict], pred_segments: Sequence[dict], num_classes: int
) -> np.ndarray:
    """Match segments by their overlaps and count TP, FP and FN by class.

    Args:
        table: (2 + G, 2 + P), one bin of ``overlap_table`` or their sum.
        gt_segments: G dicts with ``category``, ``iscrowd`` (default 0) and ``area`` (default:
            counted).
        pred_segments: P dicts with ``category``.
        num_classes: Number of classes C.

    Returns:
        float64 (C, 4): sum of the IoUs of matched pairs, TP, FP, FN.

    Raises:
        ValueError: A category out of range, predicted ids that are not listed, or listed
            predictions without a pixel.
    """
    gt_class = np.array([s['category'] for s in gt_segments], dtype=np.intp)
    pred_class = np.array([s['category'] for s in pred_segments], dtype=np.intp)
    for name, labels in (('gt', gt_class), ('pred', pred_class)):
        if np.any((labels < 0) | (labels >= num_classes)):
            raise ValueError(f'{name} categories {sorted(set(labels))} not in [0, {num_classes})')
    crowd = np.array([bool(s.get('iscrowd', 0)) for s in gt_segments], dtype=bool)
    # panopticapi reads the area of the ground truth from the annotation
    counted = table[FIRST_SEGMENT:].sum(axis=1)
    gt_area = np.array(
        [s.get('area', counted[i]) for i, s in enumerate(gt_segments)], dtype=np.float64
    )
    pred_area = table[:, FIRST_SEGMENT:].sum(axis=0)
    if table[:, UNLISTED_ROW].any():
        raise ValueError('the prediction has ids that are not listed')
    if np.any(pred_area == 0):
        raise ValueError('a listed segment of the prediction has no pixel')

    shared = table[FIRST_SEGMENT:, FIRST_SEGMENT:]
    on_void = table[VOID_ROW, FIRST_SEGMENT:]
    union = gt_area[:, None] + pred_area - shared - on_void
    candidate = (gt_class[:, None] == pred_class) & ~crowd[:, None]
    candidate &= (shared > 0) & (union > 0)
    iou = np.zeros(shared.shape)
    np.divide(shared, union, out=iou, where=candidate)
    gt_index, pred_index = np.nonzero(iou > 0.5)

    missed = ~crowd
    missed[gt_index] = False
    # pixels of each prediction that do not count against it
    forgiven = on_void.copy()
    crowd_of = {gt_class[i]: i for i in np.flatnonzero(crowd)}
    for label, i in crowd_of.items():
        forgiven += np.where(pred_class == label, shared[i], 0)
    wrong = forgiven / pred_area <= 0.5
    wrong[pred_index] = False

    def count(labels, weights=None):
        return np.bincount(labels, weights, minlength=num_classes)

    stats = np.zeros((num_classes, 4))
    stats[:, IOU] = count(gt_class[gt_index], iou[gt_index, pred_index])
    stats[:, TP] = count(gt_class[gt_index])
    stats[:, FP] = count(pred_class[wrong])
    stats[:, FN] = count(gt_class[missed])
    return stats


def panoptic_stats(
    gt_ids: np.ndarray,
    gt_segments: Sequence[dict],
    pred_ids: np.ndarray,
    pred_segments: Sequence[dict],
    num_classes: int,
) -> np.ndarray:
    """PQ statistics of one image.

    Args:
        gt_ids: int (H, W), 0 = void. Ids that ``gt_segments`` does not list match nothing, and are
            not void either, as in panopticapi.
        gt_segments: Dicts with ``id``, ``category`` (0..C-1), ``iscrowd`` and ``area``; of two with
            the same id the last counts.
        pred_ids: int (H, W), 0 = void.
        pred_segments: Dicts with ``id`` and ``category``.
        num_classes: C.

    Returns:
        float64 (C, 4): sum of the IoUs of matched pairs, TP, FP, FN.
    """
    gt = {s['id']: s for s in gt_segments}
    pred = {s['id']: s for s in pred_segments}
    table = overlap_table(gt_ids, pred_ids, list(gt), list(pred))[0]
    return match_segments(table, list(gt.values()), list(pred.values()), num_classes)


def panoptic_summary(stats: np.ndarray, is_thing: Sequence[bool]) -> dict[str, object]:
    """PQ, SQ and RQ from the statistics of a whole set.

    Args:
        stats: float (C, 4), summed over the images.
        is_thing: (C,) which classes are things.

    Returns:
        ``PQ``, ``SQ``, ``RQ`` and the same with ``_th`` and ``_st``: floats from 0 to 1, the mean
        over the classes with TP + FP + FN > 0, NaN if there is none. ``per_class``: dict of ``PQ``,
        ``SQ``, ``RQ``, each (C,), NaN for a class without any of the three.
    """
    iou, tp, fp, fn = np.asarray(stats, dtype=np.float64).T
    weight = tp + 0.5 * fp + 0.5 * fn
    seen = weight > 0
    nan = np.full(len(weight), np.nan)
    per_class = dict(
        PQ=np.divide(iou, weight, out=nan.copy(), where=seen),
        # a class that was never matched has SQ 0, as in panopticapi
        SQ=np.where(seen, iou / np.maximum(tp, 1), np.nan),
        RQ=np.divide(tp, weight, out=nan.copy(), where=seen),
    )

    things = np.asarray(is_thing, dtype=bool)
    groups = {'': seen, '_th': seen & things, '_st': seen & ~things}
    summary: dict[str, object] = {
        f'{name}{suffix}': float(values[group].mean()) if group.any() else float('nan')
        for suffix, group in groups.items()
        for name, values in per_class.items()
    }
    summary['per_class'] = per_class
    return summary
