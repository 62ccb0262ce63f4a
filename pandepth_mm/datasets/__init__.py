"""Data sets."""

import pandepth_mm.registry  # noqa: F401  (first: mmdet wants mmcv's ops)
from pandepth_mm.datasets import transforms
from pandepth_mm.datasets.panoptic_depth_dataset import PanopticDepthDataset
from pandepth_mm.datasets.vkitti2_dataset import VKITTI2Dataset

__all__ = ['PanopticDepthDataset', 'VKITTI2Dataset', 'transforms']
