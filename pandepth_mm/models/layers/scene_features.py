"""Features of image and geometry at stride 4."""

from collections.abc import Sequence

import torch
from mmdet.utils import ConfigType, OptConfigType
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.models.layers.geometry_features import GeometryFeatures
from pandepth_mm.models.layers.separable_conv import separable_conv


class SceneFeatures(BaseModule):
    """Merge the levels of a neck and what a depth map says, at stride 4.

    Each level goes through a separable convolution and is upsampled; their sum, beside
    :class:`GeometryFeatures`, goes through two more.

    Args:
        in_channels: Channels of the levels.
        channels: Channels of the result.
        geometry_channels: Channels of the features of the geometry; 0 for none.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        geometry_channels: int,
        norm_cfg: ConfigType,
        act_cfg: OptConfigType,
    ) -> None:
        super().__init__()
        cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.levels = ModuleList(separable_conv(in_channels, channels, **cfg) for _ in range(4))
        self.geometry = None
        if geometry_channels:
            self.geometry = GeometryFeatures(geometry_channels, geometry_channels, **cfg)
        self.merge = nn.Sequential(
            separable_conv(channels + geometry_channels, channels, **cfg),
            separable_conv(channels, channels, **cfg),
        )

    def forward(
        self, feats: Sequence[Tensor], depth: Tensor | None, cam2img: Tensor | None
    ) -> Tensor:
        """Merge.

        Args:
            feats: Maps of strides 4, 8, 16, 32.
            depth: Dense depth, (B, 1, H, W), meters; not read without ``geometry_channels``. With
                it, H and W are multiples of 4.
            cam2img: Intrinsics, (B, 3, 3), pixels; not read without ``geometry_channels``.

        Returns:
            (B, channels, H / 4, W / 4).
        """
        size = feats[0].shape[-2:]
        total = 0
        for level, x in zip(self.levels, feats, strict=True):
            x = level(x)
            if x.shape[-2:] != size:
                x = F.interpolate(x, size, mode='bilinear', align_corners=False)
            total = total + x
        if self.geometry is not None:
            geometry = self.geometry(depth, cam2img, total.dtype)
            total = torch.cat([total, geometry], dim=1)
        return self.merge(total)
