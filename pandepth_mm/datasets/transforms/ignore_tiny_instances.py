"""Marking of instances that are too small to be learned."""

import numpy as np
from mmcv.transforms import BaseTransform

from pandepth_mm.errors import require_count
from pandepth_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class IgnoreTinyInstances(BaseTransform):
    """Mark tiny instances as ignored, as crowds are.

    An instance that is dropped becomes background, and the network learns not to see it. An ignored
    one is neither object nor background to the instance branch, see `IgnoringAssigner`. Its pixels
    keep their class in the label maps.

    Required keys: ``gt_bboxes``, ``gt_masks``. Modified key: ``gt_ignore_flags``.

    Args:
        min_side: Smallest width and height of a box, pixels.
        min_area: Smallest number of pixels of a mask.

    Raises:
        InputError: One of them is no whole number from 0.
    """

    def __init__(self, min_side: int = 2, min_area: int = 8) -> None:
        require_count(min_side, 'IgnoreTinyInstances', 'min_side', least=0)
        require_count(min_area, 'IgnoreTinyInstances', 'min_area', least=0)
        self.min_side = min_side
        self.min_area = min_area

    def transform(self, results: dict) -> dict:
        """Mark them."""
        boxes = results['gt_bboxes'].numpy()
        tiny = (boxes[:, 2:] - boxes[:, :2] < self.min_side).any(axis=1)
        tiny |= results['gt_masks'].areas < self.min_area
        flags = results.get('gt_ignore_flags', np.zeros(len(boxes), dtype=bool))
        results['gt_ignore_flags'] = flags | tiny
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(min_side={self.min_side}, min_area={self.min_area})'
