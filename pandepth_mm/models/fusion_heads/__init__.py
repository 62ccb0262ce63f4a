from .functional import fuse_panoptic, paste_mask
from .panoptic_fusion import PanopticFusion

__all__ = ['PanopticFusion', 'fuse_panoptic', 'paste_mask']
