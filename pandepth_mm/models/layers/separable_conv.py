"""Depthwise separable convolution."""

from mmcv.cnn import DepthwiseSeparableConvModule


def separable_conv(
    in_channels: int,
    out_channels: int,
    dilation: int | tuple[int, int] = 1,
    norm_cfg: dict | None = None,
    act_cfg: dict | None = None,
) -> DepthwiseSeparableConvModule:
    """A 3x3 depthwise separable convolution that keeps the map's size.

    Depthwise 3x3, norm, activation, pointwise 1x1, norm, activation, as EfficientPS has it.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        dilation: Dilation of the 3x3 convolution, one number or (rows, columns).
        norm_cfg: Config of both norms, None for no norm.
        act_cfg: Config of both activations, None for no activation.
    """
    return DepthwiseSeparableConvModule(
        in_channels,
        out_channels,
        kernel_size=3,
        padding=dilation,
        dilation=dilation,
        norm_cfg=norm_cfg,
        act_cfg=act_cfg,
    )
