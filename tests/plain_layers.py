"""Layers written out from their parameters: oracles for the model's tests."""

import torch
from torch.nn import functional as F


def conv_norm_act(module, x, slope=0.01):
    """A ConvModule with a batch norm in eval mode, leaky ReLU of ``slope``."""
    conv, norm = module.conv, module.bn
    reach = [d * (k // 2) for d, k in zip(conv.dilation, conv.kernel_size, strict=True)]
    x = F.conv2d(
        x,
        conv.weight,
        conv.bias,
        stride=conv.stride,
        padding=reach,
        dilation=conv.dilation,
        groups=conv.groups,
    )
    x = (x - norm.running_mean[:, None, None]) / torch.sqrt(
        norm.running_var[:, None, None] + norm.eps
    )
    x = x * norm.weight[:, None, None] + norm.bias[:, None, None]
    return torch.where(x > 0, x, slope * x)


def separable(module, x):
    """A DepthwiseSeparableConvModule in eval mode."""
    return conv_norm_act(module.pointwise_conv, conv_norm_act(module.depthwise_conv, x))


def nearest(x, size):
    """Nearest neighbor resize: source pixel floor(i * old / new)."""
    rows = torch.arange(size[0]) * x.shape[-2] // size[0]
    cols = torch.arange(size[1]) * x.shape[-1] // size[1]
    return x[..., rows, :][..., cols]


def bilinear(x, size):
    """Bilinear resize, pixel centers at integer + 0.5, edges repeated."""
    for dim, new in ((-2, size[0]), (-1, size[1])):
        old = x.shape[dim]
        at = (torch.arange(new, dtype=x.dtype) + 0.5) * old / new - 0.5
        at = at.clamp(min=0)
        low = at.long()
        high = (low + 1).clamp(max=old - 1)
        shape = [1] * x.ndim
        shape[dim] = new
        part = (at - low).reshape(shape)
        x = x.index_select(dim, low) * (1 - part) + x.index_select(dim, high) * part
    return x


def continuous_conv(conv, feats, points, neighbors):
    """A ContinuousConv, one number at a time: float64 (N, out_channels).

    -1 stands for a missing neighbor, which adds nothing.
    """
    hidden, _, last = conv.mlp
    channels = feats.shape[1]
    rows = []
    for i, row in enumerate(neighbors.tolist()):
        offsets = [
            [(points[i, a] - points[n, a]).item() if n >= 0 else 0.0 for a in range(3)] for n in row
        ]
        weights = [mlp(hidden, last, offset) for offset in offsets]
        total = [
            sum(weights[j][c] * feats[n, c].item() for j, n in enumerate(row) if n >= 0)
            for c in range(channels)
        ]
        rows.append(affine(conv.linear, total))
    out = torch.tensor(rows, dtype=torch.float64)
    norm = conv.norm
    if isinstance(norm, torch.nn.BatchNorm1d):
        mean, var = norm.running_mean, norm.running_var
        if norm.training:
            mean, var = out.mean(0), out.var(0, unbiased=False)
        out = (out - mean) / (var + norm.eps).sqrt()
        out = out * norm.weight + norm.bias
    return torch.where(out > 0, out, 0.01 * out)


def affine(linear, values):
    """A Linear on a list of numbers."""
    return [
        bias + sum(w * x for w, x in zip(weights, values, strict=True))
        for weights, bias in zip(linear.weight.tolist(), linear.bias.tolist(), strict=True)
    ]


def mlp(hidden, last, values):
    """Linear, leaky ReLU, Linear on a list of numbers."""
    middle = [x if x > 0 else 0.01 * x for x in affine(hidden, values)]
    return affine(last, middle)


def fuse_block(block, x, pixels, points, neighbors):
    """A FuseBlock in eval mode with the paper's nearest upsampling.

    ``pixels`` holds (image, row, column) of each point, in their order.
    """
    coarse = separable(block.coarse[1], separable(block.coarse[0], x))
    feats = torch.stack([x[b, :, v, u] for b, v, u in pixels])
    for conv in block.point_convs:
        feats = continuous_conv(conv, feats, points, neighbors)
    grid = torch.zeros_like(x)
    for (b, v, u), feat in zip(pixels, feats, strict=True):
        grid[b, :, v, u] = feat
    out = conv_norm_act(block.fuse, separable(block.fine, x) + nearest(coarse, x.shape[-2:]) + grid)
    return out + x if out.shape[1] == x.shape[1] else out


def randomize_norms(module):
    """Give batch norms statistics and weights that are not the default."""
    for m in module.modules():
        if isinstance(m, (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)):
            torch.nn.init.uniform_(m.weight, 0.5, 2)
            torch.nn.init.normal_(m.bias)
            torch.nn.init.normal_(m.running_mean)
            torch.nn.init.uniform_(m.running_var, 0.5, 2)
