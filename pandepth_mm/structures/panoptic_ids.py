"""The panoptic map inside the program: label + 1000 * instance, void = number of classes."""

from collections.abc import Sequence

import numpy as np

INSTANCE_OFFSET = 1000  # mmdet's, which this floor does without
VOID_LABEL = 255  # of semantic maps


def panoptic_from_parts(
    labels: np.ndarray, masks: np.ndarray, mask_labels: Sequence[int], num_classes: int
) -> np.ndarray:
    """Put semantic labels and instance masks into one panoptic map.

    For ground truth, which comes as these two.

    Args:
        labels: int (H, W), semantic; outside 0..num_classes-1 is void.
        masks: bool (n, H, W), one an instance.
        mask_labels: Their n classes.
        num_classes: Number of classes, also the id of void.

    Returns:
        int64 (H, W), ``label + 1000 * instance``, instances from 1.
    """
    labels = np.asarray(labels).astype(np.int64)
    ids = np.where((labels >= 0) & (labels < num_classes), labels, num_classes)
    for i, label in enumerate(mask_labels):
        mask = np.asarray(masks[i], dtype=bool)
        ids[mask] = int(label) + (i + 1) * INSTANCE_OFFSET
    return ids
