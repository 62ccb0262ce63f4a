"""The joint head of the paper."""

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule, Sequential
from torch import Tensor, nn

from pandepth_mm.errors import require_count, require_positive
from pandepth_mm.models.layers.checkpointing import checkpointed
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class JointHead(BaseModule):
    """Joint branch: refines the semantic logits with the dense depth.

    Preliminary logits and depth / max_depth are concatenated and go through stacked convolutions,
    padded so that nothing shifts. The last one is plain: with a norm and a leaky ReLU on the
    logits, as in the authors' code, negative evidence would be lost.

    Args:
        num_classes: Number of classes, void not counted.
        max_depth: Depth range in meters, by which the depth is divided.
        channels: Channels between the convolutions.
        num_convs: Number of 3x3 convolutions, the last one included.
        with_cp: Whether to compute the maps between the convolutions again in the backward pass
            instead of keeping them: less memory, more time.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        loss: Config of the loss, called with logits (B, C, H, W) and labels (B, H, W); its weight
            is its own ``loss_weight``.
        init_cfg: Initialization config.

    Raises:
        InputError: ``num_convs`` or ``max_depth`` is not above 0.

    Source: PanDepth (VISAPP 2023), section 3.6.
    """

    def __init__(
        self,
        num_classes: int,
        max_depth: float,
        channels: int = 256,
        num_convs: int = 4,
        with_cp: bool = False,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='LeakyReLU', negative_slope=0.01),
        loss: ConfigType = dict(type='pandepth_mm.HardPixelCrossEntropyLoss'),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        require_count(num_convs, 'joint_head', 'num_convs')
        require_positive(max_depth, 'joint_head', 'max_depth', 'meters')
        self.num_classes = num_classes
        self.max_depth = max_depth
        self.with_cp = with_cp
        layers = [
            ConvModule(
                channels if i else num_classes + 1,
                channels,
                3,
                padding=1,
                norm_cfg=norm_cfg,
                act_cfg=act_cfg,
            )
            for i in range(num_convs - 1)
        ]
        last = channels if layers else num_classes + 1
        layers.append(nn.Conv2d(last, num_classes, 3, padding=1))
        self.convs = Sequential(*layers)
        self.loss = MODELS.build(loss)

    def forward(self, logits: Tensor, depth: Tensor) -> Tensor:
        """Refine the logits.

        Args:
            logits: Preliminary logits (B, num_classes, H, W).
            depth: Dense depth (B, 1, H, W) in meters.

        Returns:
            Refined logits (B, num_classes, H, W).
        """
        x = torch.cat([logits, depth / self.max_depth], dim=1)
        if not self.with_cp:
            return self.convs(x)
        for layer in self.convs:
            x = checkpointed([layer], x)
        return x

    def loss_by_feat(self, logits: Tensor, gt_sem_seg: Tensor) -> dict[str, Tensor]:
        """Loss of the refined logits (B, C, H, W).

        Args:
            logits: Output of :meth:`forward`.
            gt_sem_seg: Labels (B, H, W), int64, 255 does not count.
        """
        return dict(loss_joint=self.loss(logits, gt_sem_seg))
