from .functional import fuse_panoptic, paste_mask
from .heuristic_fusion import HeuristicFusion
from .panoptic_fusion import PanopticFusion

__all__ = ['HeuristicFusion', 'PanopticFusion', 'fuse_panoptic', 'paste_mask']
