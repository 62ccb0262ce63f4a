"""Features of what a depth map says about the scene, at stride 4."""

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptConfigType
from torch import Tensor, nn

from pandepth_mm.models.layers.geometry_maps import NUM_GEOMETRY, geometry_maps
from pandepth_mm.models.layers.separable_conv import separable_conv

_STRIDE = 4


class GeometryFeatures(nn.Sequential):
    """Two convolutions on :func:`geometry_maps`.

    Args:
        channels: Channels of the first one.
        out_channels: Channels of the result.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
    """

    def __init__(
        self, channels: int, out_channels: int, norm_cfg: ConfigType, act_cfg: OptConfigType
    ) -> None:
        cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(
            ConvModule(_STRIDE**2 + NUM_GEOMETRY, channels, 3, padding=1, **cfg),
            separable_conv(channels, out_channels, **cfg),
        )

    def forward(self, depth: Tensor, cam2img: Tensor, dtype: torch.dtype) -> Tensor:
        """Compute them.

        Args:
            depth: Dense depth, (B, 1, H, W), meters, H and W multiples of 4.
            cam2img: Intrinsics, (B, 3, 3), pixels.
            dtype: Of the maps that these features join.

        Returns:
            (B, out_channels, H / 4, W / 4).
        """
        return super().forward(geometry_maps(depth, cam2img, _STRIDE).to(dtype))
