"""Horizontal flip of an image with everything that belongs to it."""

import numpy as np
from mmdet.datasets.transforms import RandomFlip

from pandepth_mm.datasets.transforms.load_depth_map import DEPTH_KEYS
from pandepth_mm.geometry.camera import flip_intrinsics
from pandepth_mm.registry import TRANSFORMS


@TRANSFORMS.register_module()
class FlipPanopticDepth(RandomFlip):
    """Flip image, boxes, masks, labels, panoptic and depth maps, points, intrinsics.

    mmdet's RandomFlip leaves the last three as they are. Horizontal only: a camera does not see the
    world upside down.

    Modified keys, where present: those of mmdet's RandomFlip, ``gt_panoptic_seg``,
    ``sparse_depth``, ``gt_depth_map``, ``dense_depth``, ``points`` and ``cam2img``. Added:
    ``flip``, ``flip_direction``.

    Args:
        prob: Probability of a flip, 0 to 1.
    """

    def __init__(self, prob: float = 0.5) -> None:
        super().__init__(prob=float(prob), direction='horizontal')

    def _flip(self, results: dict) -> None:
        """Flip what the parent flips, then what it does not know."""
        super()._flip(results)
        for key in (*DEPTH_KEYS, 'gt_panoptic_seg'):
            if key in results:
                results[key] = np.ascontiguousarray(results[key][:, ::-1])
        if 'points' in results:
            results['points'] = results['points'] * np.float32([-1, 1, 1])
        if 'cam2img' in results:
            results['cam2img'] = flip_intrinsics(results['cam2img'], results['img'].shape[1])
