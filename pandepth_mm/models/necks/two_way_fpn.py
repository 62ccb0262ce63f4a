"""The neck of EfficientPS."""

from collections.abc import Sequence

from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule, ModuleList
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class TwoWayFPN(BaseModule):
    """Two-way feature pyramid of EfficientPS.

    Two paths run side by side, each over its own 1x1 lateral convolutions: one adds the resized
    coarser map to each finer one, the other the resized finer map to each coarser one. Each level's
    two results are summed and go through a separable 3x3 convolution.

    Maps are resized by nearest neighbor to the exact size of their target, so any input size works.
    Nearest neighbor also makes the smaller maps, without a low-pass filter: EfficientPS does so
    too.

    Args:
        in_channels: Channels of the backbone's maps, finest first.
        out_channels: Channels of every output map.
        num_skips: Number of finer maps, before those of ``in_channels``, that pass as they are.
        norm_cfg: Config of the norm after every convolution.
        act_cfg: Config of the activation after every norm.
        init_cfg: Initialization config.

    Source: PanDepth (VISAPP 2023), section 3.2; EfficientPS (IJCV 2021).
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        out_channels: int = 256,
        num_skips: int = 0,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='LeakyReLU', negative_slope=0.01),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.in_channels = tuple(in_channels)
        self.out_channels = out_channels
        self.num_skips = num_skips
        layer_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)

        def laterals() -> ModuleList:
            return ModuleList(
                ConvModule(channels, out_channels, 1, **layer_cfg) for channels in self.in_channels
            )

        self.top_down_laterals = laterals()
        self.bottom_up_laterals = laterals()
        self.output_convs = ModuleList(
            separable_conv(out_channels, out_channels, **layer_cfg) for _ in self.in_channels
        )

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Fuse the backbone's maps.

        Args:
            feats: Maps (B, in_channels[i], Hi, Wi), finest first, after the skipped ones.

        Returns:
            As many maps (B, out_channels, Hi, Wi), finest first.

        Raises:
            ValueError: There are more or fewer maps than ``in_channels``.
        """
        skips, feats = feats[: self.num_skips], feats[self.num_skips :]
        down = _apply(self.top_down_laterals, feats)
        for i in range(len(down) - 2, -1, -1):
            down[i] = down[i] + F.interpolate(down[i + 1], size=down[i].shape[-2:], mode='nearest')
        up = _apply(self.bottom_up_laterals, feats)
        for i in range(1, len(up)):
            up[i] = up[i] + F.interpolate(up[i - 1], size=up[i].shape[-2:], mode='nearest')
        fused = (conv(d + u) for conv, d, u in zip(self.output_convs, down, up, strict=True))
        return (*skips, *fused)


def _apply(convs: ModuleList, feats: Sequence[Tensor]) -> list[Tensor]:
    return [conv(x) for conv, x in zip(convs, feats, strict=True)]
