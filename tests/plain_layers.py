"""Layers written out from their parameters: oracles for the model's tests."""
import torch
from torch.nn import functional as F


def conv_norm_act(module, x, slope=0.01):
    """A ConvModule with a batch norm in eval mode, leaky ReLU of ``slope``."""
    conv, norm = module.conv, module.bn
    reach = [d * (k // 2) for d, k in zip(
        conv.dilation, conv.kernel_size, strict=True)]
    x = F.conv2d(
        x,
        conv.weight,
        conv.bias,
        stride=conv.stride,
        padding=reach,
        dilation=conv.dilation,
        groups=conv.groups)
    x = (x - norm.running_mean[:, None, None]) / torch.sqrt(
        norm.running_var[:, None, None] + norm.eps)
    x = x * norm.weight[:, None, None] + norm.bias[:, None, None]
    return torch.where(x > 0, x, slope * x)


def separable(module, x):
    """A DepthwiseSeparableConvModule in eval mode."""
    return conv_norm_act(module.pointwise_conv,
                         conv_norm_act(module.depthwise_conv, x))


def nearest(x, size):
    """Nearest neighbour resize: source pixel floor(i * old / new)."""
    rows = torch.arange(size[0]) * x.shape[-2] // size[0]
    cols = torch.arange(size[1]) * x.shape[-1] // size[1]
    return x[..., rows, :][..., cols]


def bilinear(x, size):
    """Bilinear resize, pixel centres at integer + 0.5, edges repeated."""
    for dim, new in ((-2, size[0]), (-1, size[1])):
        old = x.shape[dim]
        at = (torch.arange(new, dtype=x.dtype) + 0.5) * old / new - 0.5
        at = at.clamp(min=0)
        low = at.long()
        high = (low + 1).clamp(max=old - 1)
        shape = [1] * x.ndim
        shape[dim] = new
        part = (at - low).reshape(shape)
        x = (x.index_select(dim, low) * (1 - part) +
             x.index_select(dim, high) * part)
    return x


def randomise_norms(module):
    """Give batch norms statistics and weights that are not the default."""
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(m.weight, 0.5, 2)
            torch.nn.init.normal_(m.bias)
            torch.nn.init.normal_(m.running_mean)
            torch.nn.init.uniform_(m.running_var, 0.5, 2)
