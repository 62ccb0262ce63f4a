"""Semantic heads."""

from pandepth_mm.models.semantic_heads.efficientps_semantic_head import EfficientPSSemanticHead
from pandepth_mm.models.semantic_heads.joint_head import JointHead

__all__ = ['EfficientPSSemanticHead', 'JointHead']
