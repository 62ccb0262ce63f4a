"""Losses."""

from pandepth_mm.models.losses.hard_pixel_cross_entropy_loss import HardPixelCrossEntropyLoss
from pandepth_mm.models.losses.log_depth_loss import LogDepthLoss
from pandepth_mm.models.losses.masked_mse_loss import MaskedMSELoss

__all__ = ['HardPixelCrossEntropyLoss', 'LogDepthLoss', 'MaskedMSELoss']
