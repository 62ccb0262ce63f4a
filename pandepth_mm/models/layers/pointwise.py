"""1x1 convolutions at the end of a branch."""

from torch import Tensor, nn


def predict_maps(layer: nn.Conv2d, x: Tensor) -> Tensor:
    """Apply a 1x1 convolution; each channel of the result is one block of memory.

    What reads a branch's predictions takes them channel by channel. Of maps that lie channels last
    the convolution itself makes such ones, and to arrange them anew takes several times as long as
    to compute them.

    Args:
        layer: With a bias.
        x: (B, C, H, W), of any layout.
    """
    maps = (layer.weight.flatten(1) @ x.flatten(2)).add_(layer.bias[:, None])
    return maps.unflatten(2, x.shape[-2:])
