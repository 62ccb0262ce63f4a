"""The backbone of EfficientPS."""

import logging
import math
from collections.abc import Sequence

from mmdet.models.backbones import EfficientNet
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pandepth_mm.errors import InputError
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class EfficientNetPS(EfficientNet):
    """EfficientNet as EfficientPS changed it, B0 to B7.

    No squeeze-excite; a leaky ReLU after each norm, but none after the projection of a linear
    bottleneck (mmdet's blocks have none there); no classifier. 'Same' padding follows the input, so
    any image size works.

    ``init_cfg=dict(type='Pretrained', checkpoint=FILE_OR_URL, prefix='backbone')`` loads an
    EfficientNet of mmpretrain's or mmdet's, running statistics of the norms included. Its
    squeeze-excite, its classifier and the layers that ``out_indices`` does without are skipped and
    named in the log; anything else that is missing, misshapen or unknown is an error.

    Args:
        arch: 'b0' to 'b7'.
        out_indices: Stages to return. (2, 3, 4, 6) are strides 4, 8, 16, 32 with the 1x1 layer on
            top (40, 64, 176, 2048 channels in B5); (2, 3, 4, 5) leaves that layer out (512 channels
            at stride 32).
        drop_path_rate: Stochastic depth rate of the last block.
        frozen_stages: Number of stages, from the input, that do not learn.
        norm_cfg: Config of the norms. EfficientNet's published weights were trained with an epsilon
            of 1e-3.
        act_cfg: Config of the activations.
        norm_eval: Keep the running statistics of batch norms as they are.
        init_cfg: Initialization config. Without 'Pretrained' the backbone starts from scratch, and
            the log says so.

    Raises:
        InputError: From ``init_weights``, for a checkpoint that cannot be read or does not fit.

    Source: PanDepth (VISAPP 2023), section 3.2; EfficientPS (IJCV 2021).
    """

    # the third number of a block is its squeeze-excite ratio
    layer_settings = {
        'b': [
            [[*block[:2], 0, *block[3:]] for block in stage]
            for stage in EfficientNet.layer_settings['b']
        ]
    }
    arch_settings = {
        name: setting
        for name, setting in EfficientNet.arch_settings.items()
        if name in ('b0', 'b1', 'b2', 'b3', 'b4', 'b5', 'b6', 'b7')
    }

    def __init__(
        self,
        arch: str = 'b5',
        out_indices: Sequence[int] = (2, 3, 4, 6),
        drop_path_rate: float = 0.0,
        frozen_stages: int = 0,
        norm_cfg: ConfigType = dict(type='BN', eps=1e-3),
        act_cfg: ConfigType = dict(type='LeakyReLU', negative_slope=0.01),
        norm_eval: bool = False,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        if isinstance(init_cfg, dict):
            init_cfg = [init_cfg]
        pretrained = [c for c in init_cfg or [] if c['type'] in ('Pretrained', PretrainedInit)]
        super().__init__(
            arch=arch,
            drop_path_rate=drop_path_rate,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_cfg=norm_cfg,
            act_cfg=act_cfg,
            norm_eval=norm_eval,
            init_cfg=[c for c in init_cfg or [] if c not in pretrained],
        )
        # kept apart from init_cfg, since mmengine's own loading only logs what does not fit
        self.pretrained = dict(pretrained[-1]) if pretrained else None

    def init_weights(self) -> None:
        """Load the pretrained weights, or start from scratch and say so."""
        again = self.is_init
        super().init_weights()
        if again:
            return
        if self.pretrained is not None:
            cfg = {k: v for k, v in self.pretrained.items() if k != 'type'}
            self.load_pretrained(**cfg)
            return
        print_log(
            'The backbone starts from scratch: its init_cfg names no pretrained checkpoint.',
            logger='current',
            level=logging.WARNING,
        )
        if not self.init_cfg:
            self._init_from_scratch()

    def _init_from_scratch(self) -> None:
        """Initialize the convolutions as EfficientNet's authors do.

        Each output then has the variance of its input. PyTorch's own fan-out counts all channels
        for a depthwise convolution, which leaves its output too small for the norms' epsilon of
        1e-3.
        """
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                fan_out = math.prod(m.kernel_size) * m.out_channels // m.groups
                nn.init.normal_(m.weight, std=math.sqrt(2 / fan_out))

    def load_pretrained(self, checkpoint: str, prefix: str = '') -> None:
        """Load the weights of an EfficientNet of mmpretrain's or mmdet's.

        Args:
            checkpoint: File or URL, loaded by mmengine's rules (the command line tools make them
                weights-only).
            prefix: What the backbone's keys start with in the file: 'backbone' in the checkpoints
                of both packages, nothing in a backbone's own state dict.

        Raises:
            InputError: The file cannot be read, or a weight is missing, misshapen or unknown.
        """
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        own = self.state_dict()
        found, skipped, unknown = {}, {}, []
        for key, value in _load_state_dict(checkpoint).items():
            name = key.removeprefix(prefix)
            if not key.startswith(prefix):
                # other parts of the model: the classifier, or a neck
                skipped['.'.join(key.split('.')[:2])] = None
            elif name in own:
                found[name] = value
            elif self._does_without(name):
                skipped[_part(name)] = None
            else:
                unknown.append(key)

        # files older than PyTorch 1.0 do not count batches
        missing = [
            name for name in own if name not in found and not name.endswith('num_batches_tracked')
        ]
        misshapen = [
            f'{name} {tuple(value.shape)} instead of {tuple(own[name].shape)}'
            for name, value in found.items()
            if value.shape != own[name].shape
        ]
        for problem, names in (
            ('without', [prefix + n for n in missing]),
            ('with other shapes:', misshapen),
            ('with unknown keys', unknown),
        ):
            if names:
                raise InputError(
                    checkpoint,
                    f'a state dict {problem} {", ".join(names[:3])} ({len(names)} in all)',
                    "an EfficientNet of mmpretrain's or mmdet's, of the same "
                    'arch, with its keys under prefix '
                    f"'{prefix.rstrip('.')}'",
                    'state_dict',
                )
        self.load_state_dict({**own, **found})
        print_log(
            f'The backbone starts from {checkpoint}: {len(found)} tensors '
            f'loaded; skipped: {", ".join(skipped) or "nothing"}.',
            logger='current',
        )

    def _does_without(self, name: str) -> bool:
        """Whether a key of the source has no counterpart here by design."""
        parts = name.split('.')
        if parts[0] in ('head', 'fc', 'classifier'):
            return True
        if parts[0] != 'layers' or not parts[1].isdecimal():
            return False
        return 'se' in parts or int(parts[1]) >= len(self.layers)

    def train(self, mode: bool = True) -> 'EfficientNetPS':
        """Set the mode; frozen stages (and norms) stay in eval mode.

        Unlike mmdet's, this returns the module, as ``nn.Module.train`` does, and ``norm_eval``
        includes synchronized norms.
        """
        super().train(mode)
        if mode and self.norm_eval:
            for m in self.modules():
                if isinstance(m, _BatchNorm):
                    m.eval()
        return self


def _part(name: str) -> str:
    """Name of the module that a skipped key belongs to, for the log."""
    parts = name.split('.')
    end = parts.index('se') + 1 if 'se' in parts else 2
    return '.'.join(parts[:end])


def _load_state_dict(checkpoint: str) -> dict[str, Tensor]:
    """Read a state dict, or the one under the key 'state_dict'."""
    try:
        content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
    except FileNotFoundError as e:
        raise InputError(checkpoint, 'no such file', 'a checkpoint file or URL') from e
    if isinstance(content, dict):
        content = content.get('state_dict', content)
    if not isinstance(content, dict) or not all(
        isinstance(value, Tensor) for value in content.values()
    ):
        raise InputError(
            checkpoint,
            'no state dict',
            "tensors by name, or such a dict under the key 'state_dict'",
        )
    return content
