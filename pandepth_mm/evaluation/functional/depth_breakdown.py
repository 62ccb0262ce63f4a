"""Where depth is wrong: errors by groups of pixels and by things.

A family sorts the pixels with ground truth into groups (ranges, classes,
...). Each image leaves sums per group, which add up over the images: all
errors here are pooled over pixels, or means over instances.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from scipy.ndimage import distance_transform_edt

from pandepth_mm.geometry.camera import resize_nearest

# Limits of the groups; a value on a limit belongs to the lower group.
RANGES = (10, 20, 40, 80)  # ground-truth depth, meters
INPUT_DISTANCES = (0, 1, 2, 4, 8)  # to the nearest input, network pixels
EDGE_RATIO = 1.1  # of the two depths on the sides of a jump
EDGE_RADIUS = 2  # pixels around a jump that count as "at an edge"

RANGE_NAMES = ('0-10 m', '10-20 m', '20-40 m', '40-80 m', 'over 80 m')
INPUT_DISTANCE_NAMES = ('0 px (given)', '0-1 px', '1-2 px', '2-4 px', '4-8 px', 'over 8 px')
EDGE_NAMES = ('elsewhere', 'at edges')
VOID_NAME = 'void'

# Columns of the sums of a group of pixels, and of a group of instances.
PIXEL_SUMS = ('n', 'abs', 'squared', 'relative')
INSTANCE_SUMS = ('n', 'median', 'relative')
# Sums of one image: the groups that occur (G,), their sums (P, G, columns).
Sums = tuple[np.ndarray, np.ndarray]


def range_groups(gt: np.ndarray) -> np.ndarray:
    """Group of each ground-truth depth: 0-10, 10-20, 20-40, 40-80 m, farther.

    Args:
        gt: float, any shape, meters.

    Returns:
        int, same shape: index into ``RANGE_NAMES``.
    """
    return np.searchsorted(RANGES, gt)


def input_distance_groups(sparse: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Group of each pixel by its distance to the nearest input point.

    Args:
        sparse: float (h, w), the input at the network's size, meters, 0 = no measurement.
        shape: (H, W), the grid of the ground truth.

    Returns:
        int (H, W): index into ``INPUT_DISTANCE_NAMES``, by the Euclidean distance, in pixels of the
        network's grid, from the network pixel that the pixel falls in to the nearest measured one.
    """
    empty = ~(sparse > 0)
    if empty.all():
        return np.full(shape, len(INPUT_DISTANCES))
    groups = np.searchsorted(INPUT_DISTANCES, distance_transform_edt(empty))
    return resize_nearest(groups, shape)


def depth_edges(
    dense: np.ndarray, ratio: float = EDGE_RATIO, radius: int = EDGE_RADIUS
) -> np.ndarray:
    """Find the pixels at depth edges.

    Two neighbors (left and right, or above and below) form a jump if both have ground truth and the
    farther is more than ``ratio`` times as far as the nearer. At 1.1 a street seen from 1.5 m at f
    = 725 is no edge up to about 100 m. Where one of them has none (the sky) there is no jump: there
    is no second depth to mix in.

    Args:
        dense: float (H, W), meters, 0 = no ground truth.
        ratio: Least ratio of the depths.
        radius: How far the edge reaches, in pixels: a square of 2 radius + 1 pixels around each of
            the two pixels of a jump.

    Returns:
        bool (H, W).
    """
    at_jump = np.zeros(dense.shape, bool)
    for axis in (0, 1):
        first = [slice(None)] * 2
        second = [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        first, second = tuple(first), tuple(second)
        near = np.minimum(dense[first], dense[second]).astype(np.float64)
        far = np.maximum(dense[first], dense[second])
        jump = (near > 0) & (far > ratio * near)
        at_jump[first] |= jump
        at_jump[second] |= jump
    kernel = np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)
    return cv2.dilate(at_jump.astype(np.uint8), kernel).astype(bool)


def class_groups(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Group of each pixel by class: the label; ``num_classes`` for void.

    Args:
        labels: int (H, W); a label >= ``num_classes`` is void.
        num_classes: Number of classes.

    Returns:
        int (H, W), 0..num_classes.
    """
    return np.minimum(labels, num_classes)


def pixel_sums(groups: np.ndarray, gt: np.ndarray, preds: Sequence[np.ndarray]) -> Sums:
    """Add up the errors of each group of pixels.

    Args:
        groups: int (N,), group of each pixel with ground truth.
        gt: float (N,), meters, > 0.
        preds: P predictions, float64 (N,), meters, clamped.

    Returns:
        The groups that occur, int (G,), ascending; and float64 (P, G, 4):
        number of pixels, sums of |error| in m, of its square in m^2 and of
        |error| / ground truth.
    """
    present = np.flatnonzero(np.bincount(groups))
    gt = gt.astype(np.float64)
    sums = np.empty((len(preds), len(present), len(PIXEL_SUMS)))
    for i, pred in enumerate(preds):
        error = np.abs(pred - gt)
        columns = (None, error, error**2, error / gt)
        for j, weights in enumerate(columns):
            sums[i, :, j] = np.bincount(groups, weights)[present]
    return present, sums


def instance_sums(
    ids: np.ndarray, segments: Sequence[dict], gt: np.ndarray, preds: Sequence[np.ndarray]
) -> tuple[Sums, int]:
    """Median errors of the things, added up by class and range.

    Args:
        ids: int (N,), segment id of each pixel with ground truth.
        segments: The image's segments: dicts with ``id``, ``category`` (label), ``isthing``,
            ``iscrowd``. Crowds are left out.
        gt: float (N,), meters, > 0.
        preds: P predictions, float64 (N,), meters, clamped.

    Returns:
        The sums: groups, label * 5 + group of the range of the instance's median ground-truth
        depth, int (G,); and float64 (P, G, 3): number of instances, sums of their median |error| in
        m, and of that divided by their median ground-truth depth. Then how many things have no
        pixel with ground truth and are in no group.
    """
    labels = {s['id']: s['category'] for s in segments if s['isthing'] and not s['iscrowd']}
    # all pixels of a thing side by side
    order = np.argsort(ids, kind='stable')
    order = order[np.isin(ids[order], list(labels))]
    starts = np.flatnonzero(np.diff(ids[order], prepend=-1))
    pieces = np.split(order, starts[1:]) if len(order) else []
    groups, rows = [], []
    for pixels in pieces:
        depth = np.median(gt[pixels].astype(np.float64))
        groups.append(labels[int(ids[pixels[0]])] * len(RANGE_NAMES) + int(range_groups(depth)))
        medians = [np.median(np.abs(p[pixels] - gt[pixels])) for p in preds]
        rows.append([(1, m, m / depth) for m in medians])
    present, where = np.unique(np.array(groups, np.int64), return_inverse=True)
    sums = np.zeros((len(preds), len(present), len(INSTANCE_SUMS)))
    for i, row in zip(where, rows, strict=True):
        sums[:, i] += row
    return (present, sums), len(labels) - len(pieces)


def add_sums(
    images: Sequence[Sums], num_groups: int, num_preds: int, num_columns: int
) -> np.ndarray:
    """Add up the sums of all images.

    Returns:
        float64 (P, num_groups, columns).
    """
    total = np.zeros((num_preds, num_groups, num_columns))
    for groups, sums in images:
        total[:, groups] += sums
    return total


def pixel_summary(total: np.ndarray, names: Sequence[str], preds: Sequence[str]) -> dict[str, dict]:
    """Errors of the groups of a family.

    Args:
        total: float64 (P, G, 4), from ``add_sums``.
        names: Names of the G groups.
        preds: Names of the P predictions.

    Returns:
        By group ``n_pixels`` and, by prediction, ``rmse`` and ``mae`` in mm and ``absrel``; None
        for a group without pixels.
    """
    summary: dict[str, dict] = {}
    for g, name in enumerate(names):
        summary[name] = dict(n_pixels=int(total[0, g, 0]))
        for p, pred in enumerate(preds):
            n, absolute, squared, relative = total[p, g].tolist()
            summary[name][pred] = dict(
                rmse=1e3 * (squared / n) ** 0.5 if n else None,
                mae=1e3 * absolute / n if n else None,
                absrel=relative / n if n else None,
            )
    return summary


def instance_summary(
    total: np.ndarray, classes: Sequence[str], preds: Sequence[str]
) -> dict[str, dict]:
    """Errors of the things by class, and within a class by range.

    Args:
        total: float64 (P, len(classes) * 5, 3), from ``add_sums``.
        classes: Names of the classes by label.
        preds: Names of the P predictions.

    Returns:
        By class ``n_instances`` and, by prediction, ``median_error``, the mean over the instances
        of the median |error|, in mm, and ``median_absrel``, the mean of that divided by the median
        ground-truth depth; the same again under ``ranges`` by range. Classes and ranges without an
        instance are left out.
    """
    total = total.reshape(len(preds), len(classes), len(RANGE_NAMES), -1)
    summary: dict[str, dict] = {}
    for c, name in enumerate(classes):
        whole = _instance_entry(total[:, c].sum(axis=1), preds)
        if whole is None:
            continue
        entries = {r: _instance_entry(total[:, c, i], preds) for i, r in enumerate(RANGE_NAMES)}
        whole['ranges'] = {r: e for r, e in entries.items() if e}
        summary[name] = whole
    return summary


def _instance_entry(sums: np.ndarray, preds: list[str]) -> dict | None:
    """Means of one group of instances, from (P, 3); None if it is empty."""
    if not sums[0, 0]:
        return None
    entry: dict = dict(n_instances=int(sums[0, 0]))
    for pred, (n, median, relative) in zip(preds, sums.tolist(), strict=True):
        entry[pred] = dict(median_error=1e3 * median / n, median_absrel=relative / n)
    return entry
