"""The semantic head of EfficientPS."""

from collections.abc import Sequence

import torch
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule, ModuleList
from torch import Tensor, nn

from pandepth_mm.errors import InputError
from pandepth_mm.models.semantic_heads.modules import DPC, LSFE, MC, upsample
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class EfficientPSSemanticHead(BaseModule):
    """Semantic head of EfficientPS: preliminary logits of every class.

    LSFE on the maps of strides 4 and 8, DPC on those of 16 and 32. The sum of the two DPCs corrects
    stride 8 through an MC, and that sum stride 4. Concatenated at stride 4 are these two sums and
    the two DPCs, each as it is; a 1x1 convolution turns them into logits, which are upsampled
    bilinearly.

    Args:
        num_classes: Number of classes, void not counted.
        in_channels: Channels of the four input maps.
        channels: Channels of each of the four results.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        loss: Config of the loss, called with logits (B, C, H, W) and labels (B, H, W); its weight
            is its own ``loss_weight``.
        init_cfg: Initialization config.

    Source: PanDepth (VISAPP 2023), section 3.3; EfficientPS (IJCV 2021).
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 256,
        channels: int = 128,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='LeakyReLU', negative_slope=0.01),
        loss: ConfigType = dict(type='pandepth_mm.HardPixelCrossEntropyLoss'),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_classes = num_classes
        layer_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        # finest first: strides 4, 8, 16, 32
        self.extractors = ModuleList(
            module(in_channels, channels, layer_cfg) for module in (LSFE, LSFE, DPC, DPC)
        )
        # to strides 4 and 8; stride 32 is added to 16 without one
        self.corrections = ModuleList(MC(channels, layer_cfg) for _ in range(2))
        self.classifier = nn.Conv2d(4 * channels, num_classes, 1)
        self.loss = MODELS.build(loss)

    def forward(self, feats: Sequence[Tensor], out_size: tuple[int, int]) -> Tensor:
        """Predict the logits.

        Args:
            feats: Maps (B, in_channels, Hi, Wi) of strides 4, 8, 16, 32.
            out_size: Height and width of the output, pixels.

        Returns:
            Logits (B, num_classes, *out_size).

        Raises:
            InputError: There are more or fewer than four maps.
        """
        if len(feats) != len(self.extractors):
            raise InputError('config', f'{len(feats)} feature maps', 'four', 'model.neck')
        x4, x8, x16, x32 = (extract(x) for extract, x in zip(self.extractors, feats, strict=True))
        coarse = x16 + upsample(x32, x16.shape[-2:])
        x8 = x8 + self.corrections[1](coarse, x8.shape[-2:])
        x4 = x4 + self.corrections[0](x8, x4.shape[-2:])
        size = x4.shape[-2:]
        x = torch.cat([x4, *(upsample(x, size) for x in (x8, x16, x32))], 1)
        return upsample(self.classifier(x), out_size)

    def loss_by_feat(self, logits: Tensor, gt_sem_seg: Tensor) -> dict[str, Tensor]:
        """Loss of the logits (B, C, H, W).

        Args:
            logits: Output of :meth:`forward`.
            gt_sem_seg: Labels (B, H, W), int64, 255 does not count.
        """
        return dict(loss_semantic=self.loss(logits, gt_sem_seg))
