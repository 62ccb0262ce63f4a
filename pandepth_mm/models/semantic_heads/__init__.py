"""Semantic heads."""

from pandepth_mm.models.semantic_heads.efficientps_semantic_head import EfficientPSSemanticHead
from pandepth_mm.models.semantic_heads.geometry_semantic_head import GeometrySemanticHead
from pandepth_mm.models.semantic_heads.joint_head import JointHead
from pandepth_mm.models.semantic_heads.mmseg_head import MMSegHead

__all__ = ['EfficientPSSemanticHead', 'GeometrySemanticHead', 'JointHead', 'MMSegHead']
