"""Instance heads: light parts of Mask R-CNN, and one without proposals."""

from pandepth_mm.models.instance_heads.box_vote_head import BoxVoteHead
from pandepth_mm.models.instance_heads.ignoring_assigner import IgnoringAssigner
from pandepth_mm.models.instance_heads.separable_fcn_mask_head import SeparableFCNMaskHead
from pandepth_mm.models.instance_heads.separable_rpn_head import SeparableRPNHead

__all__ = ['BoxVoteHead', 'IgnoringAssigner', 'SeparableFCNMaskHead', 'SeparableRPNHead']
