from .separable_fcn_mask_head import SeparableFCNMaskHead
from .separable_rpn_head import SeparableRPNHead

__all__ = ['SeparableFCNMaskHead', 'SeparableRPNHead']
