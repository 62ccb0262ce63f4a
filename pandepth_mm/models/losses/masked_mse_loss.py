"""The depth loss of the paper."""

import torch
from torch import Tensor, nn

from pandepth_mm.errors import require_choice
from pandepth_mm.registry import MODELS


def masked_mse(pred: Tensor, target: Tensor, reduction: str = 'batch') -> Tensor:
    """Mean squared error over the pixels that have a ground truth.

    Args:
        pred: Depth in meters, (B, 1, H, W) or (B, H, W).
        target: Ground truth in meters, 0 where there is none; as many pixels as ``pred``, either of
            the two shapes.
        reduction: 'batch' divides the sum of all squared errors by the number of measured pixels of
            the batch, so that each pixel weighs the same. 'image' takes that mean for each image,
            then the mean over the images, so that each image weighs the same.

    Returns:
        A scalar in square meters. Zero, with a gradient of zero, where no pixel has a ground truth;
        with 'image' such an image counts as 0.

    Raises:
        ValueError: The two maps differ in size.

    Source: PanDepth (VISAPP 2023), section 3.7, equation 4.
    """
    pred_size = (pred.shape[0], *pred.shape[-2:])
    if pred_size != (target.shape[0], *target.shape[-2:]):
        raise ValueError(
            f'depth {tuple(pred.shape)} and ground truth {tuple(target.shape)} differ in size'
        )
    # squared meters overflow in half precision
    if pred.dtype in (torch.float16, torch.bfloat16):
        pred = pred.float()
    pred = pred.reshape(pred_size).flatten(1)
    target = target.reshape(pred_size).flatten(1)
    valid = target > 0
    # masked before the square, so that no pixel without a ground truth reaches the gradient,
    # whatever its value is
    error = torch.where(valid, pred - target, 0).square()
    if reduction == 'batch':
        return error.sum() / valid.sum().clamp(min=1)
    return (error.sum(1) / valid.sum(1).clamp(min=1)).mean()


@MODELS.register_module()
class MaskedMSELoss(nn.Module):
    """Depth loss: squared error averaged over the measured pixels.

    Args:
        loss_weight: Factor of the loss.
        reduction: 'batch' or 'image', see :func:`masked_mse`.

    Raises:
        InputError: Another ``reduction``.

    Source: PanDepth (VISAPP 2023), section 3.7, equation 4.
    """

    def __init__(self, loss_weight: float = 1.0, reduction: str = 'batch') -> None:
        super().__init__()
        require_choice(reduction, ('batch', 'image'), 'MaskedMSELoss', 'reduction')
        self.loss_weight = loss_weight
        self.reduction = reduction

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Loss of two depth maps in meters, target 0 = no measurement."""
        return self.loss_weight * masked_mse(pred, target, self.reduction)
