"""The three building blocks of EfficientPS's semantic head."""

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList, Sequential
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.models.layers.separable_conv import separable_conv


class LSFE(Sequential):
    """Large scale feature extractor: two separable 3x3 convolutions.

    Args:
        in_channels: Channels of the input (B, in_channels, H, W).
        out_channels: Channels of the output (B, out_channels, H, W).
        layer_cfg: ``norm_cfg`` and ``act_cfg`` of the layers.

    Source: EfficientPS (IJCV 2021), semantic head.
    """

    def __init__(self, in_channels: int, out_channels: int, layer_cfg: dict) -> None:
        super().__init__(
            separable_conv(in_channels, out_channels, **layer_cfg),
            separable_conv(out_channels, out_channels, **layer_cfg),
        )


class DPC(BaseModule):
    """Dense prediction cell: separable 3x3 convolutions of five dilations.

    The first one feeds three others in parallel, the last of which feeds a fifth. All five outputs
    are concatenated and reduced by a 1x1 convolution.

    Args:
        in_channels: Channels of the input (B, in_channels, H, W), and of each of the five
            convolutions.
        out_channels: Channels of the output (B, out_channels, H, W).
        layer_cfg: ``norm_cfg`` and ``act_cfg`` of the layers.

    Source: EfficientPS (IJCV 2021), semantic head; Chen et al., Searching for efficient multi-scale
    architectures (NeurIPS 2018).
    """

    first_dilation = (1, 6)
    parallel_dilations = ((1, 1), (6, 21), (18, 15))
    last_dilation = (6, 3)

    def __init__(self, in_channels: int, out_channels: int, layer_cfg: dict) -> None:
        super().__init__()

        def conv(dilation: tuple[int, int]):
            return separable_conv(in_channels, in_channels, dilation=dilation, **layer_cfg)

        self.first = conv(self.first_dilation)
        self.parallel = ModuleList(conv(d) for d in self.parallel_dilations)
        self.last = conv(self.last_dilation)
        self.reduce = ConvModule(in_channels * 5, out_channels, 1, **layer_cfg)

    def forward(self, x: Tensor) -> Tensor:
        """Filter ``x`` (B, C, H, W) at five rates."""
        first = self.first(x)
        parallel = [conv(first) for conv in self.parallel]
        last = self.last(parallel[-1])
        return self.reduce(torch.cat([first, *parallel, last], dim=1))


class MC(BaseModule):
    """Mismatch correction: two separable convolutions, then upsampling.

    It is upsampled bilinearly to the size of the map that the result is added to, at once, so that
    odd sizes are not interpolated twice.

    Args:
        channels: Channels of input and output.
        layer_cfg: ``norm_cfg`` and ``act_cfg`` of the layers.

    Source: EfficientPS (IJCV 2021), semantic head.
    """

    def __init__(self, channels: int, layer_cfg: dict) -> None:
        super().__init__()
        self.convs = LSFE(channels, channels, layer_cfg)

    def forward(self, x: Tensor, size: tuple[int, int]) -> Tensor:
        """Map (B, channels, h, w) to (B, channels, *size)."""
        return upsample(self.convs(x), size)


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Interpolate maps (B, C, h, w) bilinearly to (B, C, *size)."""
    return F.interpolate(x, size=tuple(size), mode='bilinear', align_corners=False)
