"""Models that only the study needs; a config names this package in ``custom_imports``."""

from study.models.other_depth import OtherDepth
from study.models.panoptic_fpn import PlainPanopticFPN
from study.models.separate_backbones import SeparateBackbones
from study.models.skipping_semantic_head import SkippingSemanticHead

__all__ = ['OtherDepth', 'PlainPanopticFPN', 'SeparateBackbones', 'SkippingSemanticHead']
