"""Batch norm and leaky ReLU as one layer, which keeps one map for the backward pass."""

from collections.abc import Iterator

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.nn import functional as F

# A norm's input is found again from its output by a division by its weight. Below this, which
# trained norms hardly have, both maps are kept.
_MIN_WEIGHT = 1e-2
# values of a map that the backward pass looks at at once: they stay in the cache of a CPU
_BAND = 2**18


class InPlaceABN(nn.BatchNorm2d):
    """Batch norm followed by a leaky ReLU.

    For the backward pass, batch norm keeps its input and the next convolution its output, the
    activated map. Both functions can be inverted, so one of the maps is enough: the gradient is
    computed from the output. The values are those of the two layers; the gradients agree up to
    rounding.

    It does so in training and in float32 (or float64). It is the two layers under autocast, where a
    weight is nearly 0, for a map without values (of no RoI), and for one value per channel, which
    torch refuses.

    Args:
        num_features: Channels.
        negative_slope: Of the leaky ReLU, above 0.
        eps: Added to the variance.
        momentum: Share of a batch in the running statistics.

    Source: Rota Bulo et al., In-Place Activated BatchNorm (CVPR 2018).
    """

    def __init__(
        self, num_features: int, negative_slope: float, eps: float = 1e-5, momentum: float = 0.1
    ) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.negative_slope = negative_slope

    def forward(self, x: Tensor) -> Tensor:
        """Normalize and activate.

        Args:
            x: (B, C, H, W).
        """
        if (
            self.training
            and torch.is_grad_enabled()
            and x.dtype == self.weight.dtype
            and x.dtype.itemsize >= 4
            and x.numel() > x.shape[1]
            and not torch.is_autocast_enabled(x.device.type)
            and self.weight.abs().amin() > _MIN_WEIGHT
        ):
            self.num_batches_tracked.add_(1)
            return _NormLeakyReLU.apply(
                x,
                self.weight,
                self.bias,
                self.running_mean,
                self.running_var,
                self.momentum,
                self.eps,
                self.negative_slope,
            )
        return F.leaky_relu(super().forward(x), self.negative_slope, inplace=True)


def activate_in_place(model: nn.Module) -> int:
    """Let norm and leaky ReLU of a model's ``ConvModule`` be one layer each.

    Parameters, buffers and their names stay. Left as they are: synchronized norms, frozen ones,
    other activations.

    Args:
        model: In training mode, on its device; changed in place.

    Returns:
        The number of such layers.
    """
    count = 0
    for module in model.modules():
        if not isinstance(module, ConvModule) or module.order != ('conv', 'norm', 'act'):
            continue
        norm, act = getattr(module, 'norm', None), getattr(module, 'activate', None)
        if (
            type(norm) is nn.BatchNorm2d
            and norm.training
            and norm.affine
            and norm.track_running_stats
            and norm.momentum is not None
            and type(act) is nn.LeakyReLU
            and act.negative_slope > 0
        ):
            merged = InPlaceABN(norm.num_features, act.negative_slope, norm.eps, norm.momentum)
            merged._parameters.update(norm._parameters)
            merged._buffers.update(norm._buffers)
            setattr(module, module.norm_name, merged)
            module.with_activation = False
            count += 1
    return count


class _NormLeakyReLU(torch.autograd.Function):
    """Leaky ReLU of a batch norm in training, which keeps its output only."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
        negative_slope: float,
    ) -> Tensor:
        """Normalize and activate, and update the running statistics."""
        out, _, inverse_std = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, True, momentum, eps
        )
        out = F.leaky_relu_(out, negative_slope)
        ctx.save_for_backward(out, weight, bias, inverse_std)
        ctx.negative_slope = negative_slope
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of map, weight and bias.

        With the normalized map n, the mean over batch and pixels E and the gradient g of the norm's
        output: dx = weight / std * (g - E[g] - n E[g n]).
        """
        out, weight, bias, inverse_std = ctx.saved_tensors
        total = out.numel() // out.shape[1]
        sums = out.new_zeros(2, out.shape[1], dtype=torch.float64)
        for _, g, before in _bands(out, grad, ctx.negative_slope):
            sums[0] += g.sum(dim=(1, 2))
            sums[1] += (g * before).sum(dim=(1, 2))
        # before = weight * n + bias
        grad_bias = sums[0].to(weight)
        grad_weight = ((sums[1] - bias * sums[0]) / weight).to(weight)
        by_gradient = weight * inverse_std
        by_before = -inverse_std * grad_weight / total
        constant = -by_gradient * grad_bias / total - by_before * bias
        by_gradient, by_before, constant = (
            x[:, None, None] for x in (by_gradient, by_before, constant)
        )
        grad_x = torch.empty_like(out)
        for index, g, before in _bands(out, grad, ctx.negative_slope):
            torch.addcmul(constant, g, by_gradient, out=grad_x[index])
            grad_x[index].addcmul_(before, by_before)
        return grad_x, grad_weight, grad_bias, None, None, None, None, None


def _bands(
    out: Tensor, grad: Tensor, negative_slope: float
) -> Iterator[tuple[tuple[int, slice, slice], Tensor, Tensor]]:
    """Bands of rows: where they are, gradient of the norm's output, and that output."""
    batch_size, channels, height, width = out.shape
    rows = max(_BAND // (channels * width), 1)
    for image in range(batch_size):
        for top in range(0, height, rows):
            index = image, slice(None), slice(top, top + rows)
            own = out[index]
            g = torch.ops.aten.leaky_relu_backward(grad[index], own, negative_slope, True)
            yield index, g, F.leaky_relu(own, 1 / negative_slope)
