"""A pyramid of features that know the scene's geometry."""

from collections.abc import Sequence

from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.models.layers.geometry_features import GeometryFeatures
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class GeometryPyramid(BaseModule):
    """Add what a depth map says to the maps of strides 4, 8, 16 and 32, for proposals and RoIs.

    :class:`GeometryFeatures` are computed at stride 4; each coarser level gets their mean.
    Finer maps of the neck are left out.

    Args:
        in_channels: Channels of the maps, also of the result's.
        geometry_channels: Channels of the first convolution on the geometry; 0: no depth is read.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        init_cfg: Initialization config.

    Source: own.
    """

    def __init__(
        self,
        in_channels: int,
        geometry_channels: int = 32,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='ReLU6'),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.reads_depth = geometry_channels > 0
        if self.reads_depth:
            self.geometry = GeometryFeatures(geometry_channels, in_channels, norm_cfg, act_cfg)

    def forward(
        self, feats: Sequence[Tensor], depth: Tensor | None, cam2img: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Add the geometry.

        Args:
            feats: Maps (B, in_channels, h, w), the last four of strides 4, 8, 16 and 32.
            depth: Dense depth, (B, 1, H, W), meters, H and W multiples of 32; not read without
                ``geometry_channels``.
            cam2img: Intrinsics, (B, 3, 3), pixels; not read without ``geometry_channels``.

        Returns:
            Those four.
        """
        if not self.reads_depth:
            return tuple(feats[-4:])
        geometry = self.geometry(depth, cam2img, feats[-1].dtype)
        fine, *coarse = feats[-4:]
        levels = [fine + geometry]
        for x in coarse:
            geometry = F.avg_pool2d(geometry, 2)
            levels.append(x + geometry)
        return tuple(levels)
