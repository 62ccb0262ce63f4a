"""Depth loss that sees near and far alike, and trains the uncertainty."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.errors import require_positive
from pandepth_mm.models.depth_heads.base import DepthPrediction
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class LogDepthLoss(nn.Module):
    """L1 of log depth, Huber of meters and L1 of inverse depth; Laplace of the uncertainty.

    Squared meters see little else than far pixels, inverse depth little else than near ones; the
    sum serves RMSE, MAE, iRMSE and iMAE together. Of each image's mean x the loss is d log(1 + x /
    d), so that an image without measurements, of which only a guess is possible, does not outweigh
    all others. The likelihood of the uncertainty does not reach the depth: no pixel is given up as
    uncertain.

    Args:
        meters: Weight of the Huber loss of meters.
        inverse: Weight of the L1 of inverse depth, 1/m.
        damping: d, about the mean of an image that is well measured.
        uncertainty: Weight of the likelihood.
        loss_weight: Factor of all.
    """

    def __init__(
        self,
        meters: float = 0.05,
        inverse: float = 5.0,
        damping: float = 0.1,
        uncertainty: float = 0.1,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        require_positive(damping, 'LogDepthLoss', 'damping')
        self.meters = meters
        self.inverse = inverse
        self.damping = damping
        self.uncertainty = uncertainty
        self.loss_weight = loss_weight

    def forward(self, pred: DepthPrediction, target: Tensor) -> dict[str, Tensor]:
        """Losses over the pixels that have a ground truth.

        Args:
            pred: Depth and uncertainty, (B, 1, H, W), meters.
            target: (B, 1, H, W), meters, 0 = none.

        Returns:
            ``loss_depth`` and ``loss_depth_uncertainty``, 0 where no pixel has one.
        """
        valid = target > 0
        count = valid.flatten(1).sum(1).clamp(min=1)
        target = torch.where(valid, target, 1.0)
        depth = torch.where(valid, pred.depth.float(), 1.0)
        relative = (depth.log() - target.log()).abs()
        meters = F.smooth_l1_loss(depth, target, beta=2.0, reduction='none')
        inverse = (1 / depth - 1 / target).abs()
        loss = (relative + self.meters * meters + self.inverse * inverse).flatten(1).sum(1) / count
        loss = self.damping * (loss / self.damping).log1p().mean()
        scale = torch.where(valid, pred.uncertainty.float() / pred.depth.detach().float(), 1.0)
        # the scale's own clamp bounds it away from 0
        likelihood = (relative.detach() / scale + scale.log()).flatten(1).sum(1) / count
        return dict(
            loss_depth=self.loss_weight * loss,
            loss_depth_uncertainty=self.loss_weight * self.uncertainty * likelihood.mean(),
        )
