from . import transforms
from .panoptic_depth_dataset import PanopticDepthDataset
from .vkitti2_dataset import VKITTI2Dataset

__all__ = ['PanopticDepthDataset', 'VKITTI2Dataset', 'transforms']
