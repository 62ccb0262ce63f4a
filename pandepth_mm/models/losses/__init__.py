from .hard_pixel_cross_entropy_loss import HardPixelCrossEntropyLoss
from .masked_mse_loss import MaskedMSELoss

__all__ = ['HardPixelCrossEntropyLoss', 'MaskedMSELoss']
