"""Fusion of instances and semantics."""

from pandepth_mm.models.fusion_heads.functional import fuse_panoptic, paste_mask
from pandepth_mm.models.fusion_heads.heuristic_fusion import HeuristicFusion
from pandepth_mm.models.fusion_heads.panoptic_fusion import PanopticFusion

__all__ = ['HeuristicFusion', 'PanopticFusion', 'fuse_panoptic', 'paste_mask']
