"""The semantic loss of the paper."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.errors import require_fraction
from pandepth_mm.registry import MODELS
from pandepth_mm.structures.panoptic_ids import VOID_LABEL


def hard_pixel_cross_entropy(logits: Tensor, target: Tensor, fraction: float = 0.25) -> Tensor:
    """Mean cross entropy of the worst pixels of each image.

    Of the v valid pixels of an image the worst k = ceil(v * fraction) weigh 1 / k each, the others
    nothing. With all pixels valid and a fraction of 1/4 this is the weight 4 / (W H) of equation 1.

    Args:
        logits: Class logits (B, C, H, W).
        target: Labels (B, H, W), int64, 255 does not count.
        fraction: Share of the valid pixels that count, in (0, 1].

    Returns:
        One loss per image (B,). Zero, with a gradient of zero, for an image without a valid pixel.

    Source: PanDepth (VISAPP 2023), section 3.7, equation 1.
    """
    pixel_loss = F.cross_entropy(logits, target, ignore_index=VOID_LABEL, reduction='none')
    losses = []
    for image_loss, valid in zip(pixel_loss, target != VOID_LABEL, strict=True):
        image_loss = image_loss[valid]
        # rounded, since 30 * 0.1 must not count as a little more than 3
        k = math.ceil(round(image_loss.numel() * fraction, 6))
        # the sum over nothing is a zero that stays attached to the graph
        losses.append(image_loss.topk(k).values.sum() / max(k, 1))
    return torch.stack(losses)


@MODELS.register_module()
class HardPixelCrossEntropyLoss(nn.Module):
    """Semantic loss: cross entropy of the worst pixels of each image.

    The mean over the images of :func:`hard_pixel_cross_entropy`; an image without a valid pixel
    counts as one with loss 0.

    Args:
        fraction: Share of an image's valid pixels that count, in (0, 1]; 1 is the plain cross
            entropy.
        loss_weight: Factor of the loss.

    Raises:
        InputError: ``fraction`` is not in (0, 1].

    Source: PanDepth (VISAPP 2023), section 3.7, equation 1.
    """

    def __init__(self, fraction: float = 0.25, loss_weight: float = 1.0) -> None:
        super().__init__()
        require_fraction(fraction, 'HardPixelCrossEntropyLoss', 'fraction')
        self.fraction = fraction
        self.loss_weight = loss_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """Loss of logits (B, C, H, W) and int64 labels (B, H, W)."""
        losses = hard_pixel_cross_entropy(logits, target, self.fraction)
        return self.loss_weight * losses.mean()
