"""A depth head as another package would bring it along."""

import torch
from torch import nn

from pandepth_mm.models.depth_heads import BaseDepthHead
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class ToyDepthHead(BaseDepthHead):
    """One convolution on sparse depth, image and upsampled features.

    Args:
        feat_channels: Channels of the neck's maps.
        kwargs: Arguments of ``BaseDepthHead``.
    """

    def __init__(self, feat_channels, **kwargs):
        super().__init__(**kwargs)
        self.conv = nn.Conv2d(1 + 3 + feat_channels, 1, kernel_size=3, padding=1)

    def forward(self, img, feats, prepared, logits):
        """Complete the depth; ``prepared`` is the sparse depth in range."""
        finest = nn.functional.interpolate(feats[0], size=img.shape[-2:])
        x = self.conv(torch.cat([prepared / self.max_depth, img, finest], dim=1))
        return x.float().sigmoid() * self.max_depth
