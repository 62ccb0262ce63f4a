"""The three encodings of a panoptic map, and the only place that converts between them.

- COCO, in files: any id per segment (R + 256 G + 65536 B), 0 = void.
- Internal, everywhere in the program: ``label + 1000 * k``, void = number of classes. k = 0 for the
  first segment of a stuff class; things and further segments of a stuff class have k = 1, 2, ...,
  unique in the frame.
- Numbers, for counting pixels by segment: 1 to n, 0 = void.
"""

from collections.abc import Sequence

import numpy as np

INSTANCE_OFFSET = 1000  # mmdet's, which this floor does without
VOID_LABEL = 255  # of semantic maps
MAX_ID = 256**3  # the number of ids that a COCO PNG can tell apart


def number_segments(ids: np.ndarray, listed: Sequence[int]) -> np.ndarray:
    """Turn COCO ids into numbers.

    Args:
        ids: int (H, W), below 256**3; 0 = void.
        listed: The distinct ids of the n segments, without 0.

    Returns:
        int32 (H, W), position in ``listed`` counted from 1; 0 = void.

    Raises:
        ValueError: Pixels of an id that is not listed, or a listed id without a pixel.
    """
    # One look-up per pixel. At most 2^24 entries, of which zeros() really allocates only the pages
    # that are used.
    table = np.zeros(max([int(ids.max()), *listed]) + 1, dtype=np.int32)
    table[list(listed)] = np.arange(1, len(listed) + 1)
    numbers = table[ids]
    unlisted = np.unique(ids[(numbers == 0) & (ids != 0)])
    if len(unlisted):
        raise ValueError(f'segment ids {unlisted.tolist()} that are not among {list(listed)}')
    counts = np.bincount(numbers.ravel(), minlength=len(listed) + 1)[1:]
    if not counts.all():
        raise ValueError(
            f'no pixel of the segment ids {[listed[i] for i in np.where(counts == 0)[0]]}'
        )
    return numbers


def encode_panoptic(
    numbers: np.ndarray, segments: Sequence[dict], num_classes: int
) -> tuple[np.ndarray, list[dict]]:
    """Turn numbers into internal ids.

    Args:
        numbers: int (H, W), position in ``segments`` counted from 1; 0 = void.
        segments: Dicts with ``category`` (the label), ``isthing`` and, if it is one, ``iscrowd``.
        num_classes: Number of classes, also the id of void.

    Returns:
        Internal ids, int32 (H, W), and the segments as dicts of ``id`` (the internal one),
        ``category``, ``isthing`` (bool) and ``iscrowd`` (bool).
    """
    encoded: list[dict] = []
    taken, k = set(), 0
    for segment in segments:
        label, isthing = segment['category'], bool(segment['isthing'])
        first_stuff = not isthing and label not in taken
        taken.add(label)
        k += not first_stuff
        encoded.append(
            dict(
                id=label if first_stuff else label + INSTANCE_OFFSET * k,
                category=label,
                isthing=isthing,
                iscrowd=bool(segment.get('iscrowd', False)),
            )
        )
    ids = np.array([num_classes, *(segment['id'] for segment in encoded)], dtype=np.int32)
    return ids[numbers], encoded


def decode_panoptic(sem_seg: np.ndarray, num_classes: int) -> tuple[np.ndarray, list[dict]]:
    """Turn internal ids into numbers.

    Args:
        sem_seg: int (H, W), ``label + 1000 * k``; a label >= ``num_classes`` is void.
        num_classes: Number of classes.

    Returns:
        Numbers, int32 (H, W), 1 to n in the order of the internal ids, 0 = void; and the n segments
        as dicts of ``id`` (the number), ``category`` (the label), ``instance`` (k) and ``area``
        (pixels).

    Raises:
        ValueError: Negative or absurdly large ids.
    """
    if sem_seg.max(initial=0) >= MAX_ID or sem_seg.min(initial=0) < 0:
        raise ValueError(f'panoptic ids from {sem_seg.min()} to {sem_seg.max()}, not in [0, 2^24)')
    counts = np.bincount(sem_seg.ravel())
    present = np.flatnonzero(counts)
    present = present[present % INSTANCE_OFFSET < num_classes]
    lookup = np.zeros(len(counts), dtype=np.int32)
    lookup[present] = np.arange(1, len(present) + 1)
    areas = counts[present].tolist()
    return lookup[sem_seg], [
        dict(id=i, category=k % INSTANCE_OFFSET, instance=k // INSTANCE_OFFSET, area=areas[i - 1])
        for i, k in enumerate(present.tolist(), 1)
    ]
