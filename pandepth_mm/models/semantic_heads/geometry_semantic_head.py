"""Semantic head that reads the dense depth."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.models.layers.cells import join_cells
from pandepth_mm.models.layers.geometry_maps import NUM_GEOMETRY, geometry_maps
from pandepth_mm.models.layers.pointwise import predict_maps
from pandepth_mm.models.layers.scene_features import SceneFeatures
from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class GeometrySemanticHead(BaseModule):
    """Semantic logits from the image's features and the points of the dense depth.

    At stride 4, then upsampled to stride 2 beside the backbone's map and the details of the depth
    there; the last step to full size is learned (each cell of stride 2 predicts its four pixels).

    Args:
        num_classes: Number of classes, void not counted.
        in_channels: Channels of the neck's maps of strides 4 to 32.
        skip_channels: Channels of the map of stride 2.
        channels: Channels at stride 4.
        fine_channels: Channels at stride 2.
        geometry_channels: Channels of the geometry's features at stride 4; 0: no depth is read.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        loss: Config of the loss, called with logits (B, C, H, W) and labels (B, H, W).
        init_cfg: Initialization config.
    """

    reads_depth = True

    def __init__(
        self,
        num_classes: int,
        in_channels: int = 64,
        skip_channels: int = 16,
        channels: int = 64,
        fine_channels: int = 32,
        geometry_channels: int = 32,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='ReLU6'),
        loss: ConfigType = dict(type='HardPixelCrossEntropyLoss'),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg=init_cfg)
        self.num_classes = num_classes
        cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.reads_depth = geometry_channels > 0
        self.scene = SceneFeatures(in_channels, channels, geometry_channels, **cfg)
        details = NUM_GEOMETRY + 4 if self.reads_depth else 0
        self.reduce = ConvModule(channels, fine_channels, 1, **cfg)
        self.fine = nn.Sequential(
            ConvModule(fine_channels + skip_channels + details, fine_channels, 1, **cfg),
            separable_conv(fine_channels, fine_channels, **cfg),
            separable_conv(fine_channels, fine_channels, **cfg),
        )
        self.classifier = nn.Conv2d(fine_channels, 4 * num_classes, 1)
        self.loss = MODELS.build(loss)

    def forward(
        self, feats: Sequence[Tensor], depth: Tensor | None, cam2img: Tensor | None
    ) -> Tensor:
        """Predict the logits.

        Args:
            feats: Maps of strides 2, 4, 8, 16, 32 of an image whose sides are multiples of 4, as
                ``pad_size_divisor`` makes them.
            depth: Dense depth, (B, 1, H, W), meters; not read without ``geometry_channels``.
            cam2img: Intrinsics, (B, 3, 3), pixels; not read without ``geometry_channels``.

        Returns:
            Logits (B, num_classes, H, W).
        """
        x = self.reduce(self.scene(feats[1:], depth, cam2img))
        parts = [F.interpolate(x, scale_factor=2, mode='bilinear', align_corners=False), feats[0]]
        if self.reads_depth:
            maps = geometry_maps(depth, cam2img, 2).to(x.dtype)
            if x.is_contiguous(memory_format=torch.channels_last):
                # of different layouts, cat copies all of them into a plain one
                maps = maps.contiguous(memory_format=torch.channels_last)
            parts.append(maps)
        return join_cells(predict_maps(self.classifier, self.fine(torch.cat(parts, dim=1))))

    def loss_by_feat(self, logits: Tensor, gt_sem_seg: Tensor) -> dict[str, Tensor]:
        """Loss of the logits (B, C, H, W).

        Args:
            logits: Output of :meth:`forward`.
            gt_sem_seg: Labels (B, H, W), int64, 255 does not count.
        """
        return dict(loss_semantic=self.loss(logits.float(), gt_sem_seg))
