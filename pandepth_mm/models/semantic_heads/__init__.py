from .efficientps_semantic_head import EfficientPSSemanticHead
from .joint_head import JointHead

__all__ = ['EfficientPSSemanticHead', 'JointHead']
