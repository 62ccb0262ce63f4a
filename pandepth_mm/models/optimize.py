"""A model's copy for inference: the same function, quicker."""

import copy
from itertools import pairwise
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmcv.cnn.bricks import Conv2dAdaptivePadding, wrappers
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from pandepth_mm.errors import InputError
from pandepth_mm.models.instance_heads.separable_fcn_mask_head import SeparableFCNMaskHead
from pandepth_mm.models.layers.bands import ConvBands, FuseBlockBands, is_plain_3x3
from pandepth_mm.models.layers.fuse_block import FuseBlock
from pandepth_mm.models.layers.inplace_abn import InPlaceABN
from pandepth_mm.models.layers.same_conv import pad_within

# Exactly these: a subclass may make its weights anew in each call (ConvWS2d does).
_CONVS = (nn.Conv2d, wrappers.Conv2d, Conv2dAdaptivePadding)
_DECONVS = (nn.ConvTranspose2d, wrappers.ConvTranspose2d)
_LINEARS = (nn.Linear, wrappers.Linear)
# packages whose modules register a norm right after the layer that it follows
_PACKAGES = ('torch', 'mmcv', 'mmdet', 'mmseg', 'pandepth_mm')


def optimize_for_inference(model: nn.Module) -> nn.Module:
    """Copy a model for inference, with the same function up to rounding.

    - Batch norms are folded into the convolution, transposed convolution or linear layer before
      them, see :func:`fold_norms`.
    - Convolutions that pad as TensorFlow does make no padded copies, see :func:`pad_within`.
    - On a CPU, the weights of this package's branches and mask heads are laid out channels last,
      and what is large there is computed in bands of rows, see
      :mod:`pandepth_mm.models.layers.bands`. Other branches get contiguous maps, as ever.

    Load weights before: the copy has no norms to load into. It cannot be trained; the model itself
    stays as it is.

    Args:
        model: In eval mode, on the device where it shall run.

    Returns:
        The copy, in eval mode.

    Raises:
        InputError: The model, or a batch norm in it, is in training mode.
    """
    training = [
        name
        for name, module in model.named_modules()
        if module.training and (not name or isinstance(module, _BatchNorm))
    ]
    if training:
        raise InputError(
            'optimize_for_inference',
            f'{training[0] or "the model"} in training mode',
            'a trained model in eval mode: model.eval()',
        )
    model = copy.deepcopy(model)
    model.requires_grad_(False)
    fold_norms(model)
    pad_within(model)
    if next(model.parameters(), torch.empty(0)).device.type == 'cpu':
        for branch in model.children():
            if _is_own(branch):
                branch.to(memory_format=torch.channels_last)
            else:
                branch.register_forward_pre_hook(_pass_contiguous)
        for module in model.modules():
            if isinstance(module, SeparableFCNMaskHead):
                module.to(memory_format=torch.channels_last)
        _compute_in_bands(model)
    return model


def fold_norms(model: nn.Module) -> None:
    """Fold the batch norms of a model in eval mode into the layer before, in place.

    mmcv's ``fuse_conv_bn`` does so for convolutions alone, of any type, in any order. Here a norm
    is folded where it is registered right after the layer, in a module of torch, mmcv, mmdet, mmseg
    or this package. What another package's module makes of its children is unknown: they are left
    alone, but for the mm packages' modules among them.
    """
    for parent in model.modules():
        if type(parent).__module__.split('.')[0] not in _PACKAGES or _norm_elsewhere(parent):
            continue
        for (name, layer), (norm_name, norm) in pairwise(list(parent.named_children())):
            folded = _fold(layer, norm)
            if folded is not None:
                # a layer that several norms share gets a copy for each
                setattr(parent, name, folded)
                setattr(parent, norm_name, _rest_of(norm))
        if isinstance(parent, SeparableFCNMaskHead):
            _fold_upsampling(parent)


def _fold_upsampling(head: SeparableFCNMaskHead) -> None:
    """Fold the norm after the upsampling, which mmdet's layout puts beside the activation."""
    norm, *activation = head.relu
    folded = _fold(head.upsample, norm)
    if folded is not None:
        head.upsample, head.relu = folded, nn.Sequential(_rest_of(norm), *activation)
        for layer in activation:  # nothing else reads what was upsampled
            if hasattr(layer, 'inplace'):
                layer.inplace = True


def _norm_elsewhere(module: nn.Module) -> bool:
    """Whether the norm of a ConvModule does not follow its convolution."""
    if not isinstance(module, ConvModule):
        return False
    order = module.order
    return module.with_spectral_norm or order.index('norm') != order.index('conv') + 1


def _fold(layer: nn.Module, norm: nn.Module) -> nn.Module | None:
    """A copy of a layer that does what the norm does too; None where that is not possible."""
    if not isinstance(norm, _BatchNorm) or norm.running_var is None:
        return None
    if type(layer) in _CONVS:
        return fuse_conv_bn_eval(layer, norm)
    if type(layer) in _DECONVS and layer.groups == 1:
        return fuse_conv_bn_eval(layer, norm, transpose=True)
    return fuse_linear_bn_eval(layer, norm) if type(layer) in _LINEARS else None


def _rest_of(norm: nn.Module) -> nn.Module:
    """What a norm does beside normalizing."""
    if isinstance(norm, InPlaceABN):
        return nn.LeakyReLU(norm.negative_slope, inplace=True)
    return nn.Identity()


def _is_own(branch: nn.Module) -> bool:
    """Whether a branch is of this package alone: others may take views of maps and weights."""
    return type(branch).__module__.split('.')[0] == 'pandepth_mm' and not any(
        type(module).__module__.split('.')[0] == 'mmseg' for module in branch.modules()
    )


def _pass_contiguous(module: nn.Module, args: Any) -> Any:
    """Make the maps contiguous that a module is called with; also those in lists and tuples."""
    if isinstance(args, Tensor):
        return args.contiguous()
    if type(args) in (list, tuple):
        return type(args)(_pass_contiguous(module, arg) for arg in args)
    return args


def _compute_in_bands(model: nn.Module) -> None:
    """Replace fuse blocks and stacks of 3x3 convolutions."""
    for parent in list(model.modules()):
        if isinstance(parent, FuseBlockBands):  # a model that is optimized already
            continue
        for name, child in list(parent.named_children()):
            if isinstance(child, FuseBlock):
                if is_plain_3x3(child.fuse) and is_plain_3x3(child.fine.depthwise_conv):
                    setattr(parent, name, FuseBlockBands(child))
            elif isinstance(child, nn.Sequential) and len(child) > 1:
                if all(is_plain_3x3(layer) for layer in child):
                    setattr(parent, name, ConvBands(child))
