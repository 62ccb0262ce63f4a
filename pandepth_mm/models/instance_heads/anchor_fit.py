"""Which instances the anchors of a region proposal head can find."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pandepth_mm.registry import TASK_UTILS, type_name
from pandepth_mm.structures.dataset_check.frame import FrameFacts

_ASSIGNERS = ('MaxIoUAssigner', 'IgnoringAssigner')


def best_anchor_iou(boxes: np.ndarray, size: tuple[int, int], anchor_generator: dict) -> np.ndarray:
    """Largest IoU of each box with any anchor.

    Anchors of one shape stand on a grid, and their overlap with a box falls with the distance in x
    and in y. So the nearest one of each shape is enough.

    Args:
        boxes: float (N, 4), x1 y1 x2 y2, pixels of the network's input.
        size: (height, width) of that input.
        anchor_generator: Config of mmdet's generator.

    Returns:
        float64 (N,), 0 to 1.
    """
    generator = TASK_UTILS.build(anchor_generator)
    boxes = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
    best = np.zeros(len(boxes))
    for base, stride in zip(generator.base_anchors, generator.strides, strict=True):
        for anchor in base.numpy().astype(np.float64):
            overlap = np.ones(len(boxes))
            for axis in (0, 1):
                low, high = boxes[:, axis], boxes[:, axis + 2]
                cells = -(-size[1 - axis] // stride[axis])  # of the feature map
                middle = (anchor[axis] + anchor[axis + 2]) / 2
                cell = np.rint(((low + high) / 2 - middle) / stride[axis])
                shift = cell.clip(0, cells - 1) * stride[axis]
                side = np.minimum(high, anchor[axis + 2] + shift)
                overlap *= (side - np.maximum(low, anchor[axis] + shift)).clip(0)
            area = (anchor[2] - anchor[0]) * (anchor[3] - anchor[1])
            union = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) + area - overlap
            best = np.maximum(best, overlap / union.clip(1e-9))
    return best


def needed_iou(assigner: dict) -> float | None:
    """IoU from which an anchor is a positive of a box, if it is the box's best one.

    Args:
        assigner: Config of the assigner, ``model.train_cfg.rpn.assigner``.

    Returns:
        The IoU; None for another kind of assigner.
    """
    if type_name(assigner) not in _ASSIGNERS:
        return None
    threshold = assigner['pos_iou_thr']
    if assigner.get('match_low_quality', True):
        threshold = min(threshold, assigner.get('min_pos_iou', 0.0))
    return float(threshold)


def count_unmatched(
    model: dict, dataset: Any, frames: Sequence[FrameFacts], sizes: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """Count the instances of a training that no anchor can find.

    Crowds do not count, nor instances that `IgnoreTinyInstances` of the pipeline leaves out; their
    area at the network's size is taken to scale with the image's. That size is the one that the
    pipeline's steps give one after the other, random factors taken as the middle of their range.

    Args:
        model: Config of the model.
        dataset: The data set, with its pipeline and ``img_scale``.
        frames: What its frames hold.
        sizes: (width, height) of the frames, pixels.

    Returns:
        tuple: that count, and the number of instances that are trained. None where the model has no
        anchors, its assigner is of another kind, or the data set states no ``img_scale``.
    """
    head, scale = model.get('rpn_head'), dataset.img_scale
    threshold = needed_iou(model['train_cfg']['rpn']['assigner']) if head else None
    if threshold is None or scale is None:
        return None
    steps = getattr(dataset.pipeline, 'transforms', ())
    tiny = next((step for step in steps if hasattr(step, 'min_side')), None)
    unmatched = trained = 0
    for frame, (width, height) in zip(frames, sizes, strict=True):
        size = _network_size((width, height), scale, steps)
        factor = np.divide(size, (width, height))
        boxes = np.array([t.box for t in frame.things if not t.iscrowd], float).reshape(-1, 4)
        areas = np.array([t.area for t in frame.things if not t.iscrowd]) * factor.prod()
        boxes *= np.tile(factor, 2)
        if tiny is not None:
            kept = (boxes[:, 2:] >= tiny.min_side).all(axis=1) & (areas >= tiny.min_area)
            boxes = boxes[kept]
        boxes[:, 2:] += boxes[:, :2]
        best = best_anchor_iou(boxes, size[::-1], head['anchor_generator'])
        unmatched += int((best < threshold).sum())
        trained += len(boxes)
    return unmatched, trained


def _network_size(
    size: tuple[int, int], scale: tuple[int, int], steps: Sequence[Any]
) -> tuple[int, int]:
    """(width, height) that the steps of a pipeline give an image of a size."""
    for step in steps:
        if hasattr(step, 'ratio_range'):
            middle = math.sqrt(math.prod(step.ratio_range))  # their logarithm is sampled evenly
            size = tuple(max(round(side * middle), 1) for side in size)
        elif hasattr(step, 'output_size'):  # ResizePanopticDepth
            size = step.output_size(size, scale)
    return size
