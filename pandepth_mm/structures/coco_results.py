"""Detections in the format of COCO results."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as mask_utils


def encode_rle(mask: np.ndarray) -> dict:
    """Encode a mask, bool (H, W), as COCO RLE that JSON can hold."""
    rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(size=list(rle['size']), counts=rle['counts'].decode())


def coco_results(
    image_id: Any,
    category_ids: Sequence[int],
    labels: np.ndarray,
    scores: np.ndarray,
    bboxes: np.ndarray,
    masks: np.ndarray | None = None,
) -> tuple[list[dict], list[dict]]:
    """Turn the instances of an image into COCO results, unrounded.

    Args:
        image_id: Of the image.
        category_ids: Category id of each label.
        labels: int (n,).
        scores: float (n,).
        bboxes: float (n, 4), x1, y1, x2, y2, pixels.
        masks: bool (n, H, W).

    Returns:
        tuple: n results with ``bbox`` (x, y, width, height), and as many with ``segmentation``, in
        the same order; none of the latter without ``masks``.
    """
    heads = [
        dict(image_id=image_id, category_id=category_ids[label], score=float(score))
        for label, score in zip(labels, scores, strict=True)
    ]
    boxes = bboxes.reshape(-1, 4).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    with_box = [dict(head, bbox=box) for head, box in zip(heads, boxes.tolist(), strict=True)]
    with_mask = (
        [dict(head, segmentation=encode_rle(mask)) for head, mask in zip(heads, masks, strict=True)]
        if masks is not None
        else []
    )
    return with_box, with_mask
