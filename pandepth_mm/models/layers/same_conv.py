"""Convolutions that pad as TensorFlow does, without a padded copy of their input."""

from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import Tensor, nn
from torch.nn import functional as F


class HalvingConv(nn.Conv2d):
    """A convolution of stride 2, as mmcv's ``Conv2dAdaptivePadding``.

    That pads an even side by one pixel less at its start than at its end, which no convolution can
    do itself. Here the kernel begins with a row and a column of zeros instead.

    Args:
        layer: Of stride 2, with a kernel of odd sides from 3 on and no dilation.
    """

    def __init__(self, layer: Conv2dAdaptivePadding) -> None:
        kernel = tuple(side + 1 for side in layer.kernel_size)
        super().__init__(
            layer.in_channels, layer.out_channels, kernel, 2, groups=layer.groups, bias=False
        )
        self.weight = nn.Parameter(F.pad(layer.weight, (1, 0, 1, 0)), requires_grad=False)
        self.bias = layer.bias

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (B, C, H, W) to half the size, rounded up."""
        sides = zip(x.shape[-2:], self.kernel_size, strict=True)
        padding = [kernel // 2 - (side % 2 == 0) for side, kernel in sides]
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, groups=self.groups)


def pad_within(model: nn.Module) -> None:
    """Let adaptively padding convolutions pad within their own loops, in place.

    Those of stride 1, and depthwise ones of stride 2: where all channels go into each, the zeros of
    a larger kernel cost more than a copy.
    """
    for parent in model.modules():
        for name, child in list(parent.named_children()):
            if type(child) is not Conv2dAdaptivePadding:
                continue
            if child.stride == (1, 1):
                plain = nn.Conv2d(
                    child.in_channels,
                    child.out_channels,
                    child.kernel_size,
                    padding='same',
                    dilation=child.dilation,
                    groups=child.groups,
                    bias=False,
                )
                plain.weight, plain.bias = child.weight, child.bias
                setattr(parent, name, plain.eval())
            elif _halves(child) and child.groups == child.in_channels:
                setattr(parent, name, HalvingConv(child).eval())


def _halves(layer: nn.Conv2d) -> bool:
    """Whether :class:`HalvingConv` can stand for it."""
    odd = all(side % 2 and side > 1 for side in layer.kernel_size)
    return odd and layer.stride == (2, 2) and layer.dilation == (1, 1)
