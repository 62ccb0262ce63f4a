"""The region proposal head of EfficientPS."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from mmdet.models.dense_heads import RPNHead
from mmdet.utils import ConfigType, MultiConfig, OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor, nn

from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class SeparableRPNHead(RPNHead):
    """Region proposal head with separable convolutions, norm, leaky ReLU.

    All levels share the convolutions and their norms, as they do in mmdet's head without norms.

    Args:
        in_channels: Channels of the input maps.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        num_convs: Number of separable 3x3 convolutions.
        init_cfg: Initialization config. The default is mmdet's for the two output layers and leaves
            the convolutions before a norm alone.
        **kwargs: Arguments of mmdet's ``RPNHead``: ``feat_channels``, ``anchor_generator``,
            ``bbox_coder``, losses, configs.

    Source: PanDepth (VISAPP 2023), section 3.4; EfficientPS (IJCV 2021).
    """

    def __init__(
        self,
        in_channels: int,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='LeakyReLU', negative_slope=0.01),
        num_convs: int = 1,
        init_cfg: MultiConfig = dict(
            type='Normal', std=0.01, override=[dict(name='rpn_cls'), dict(name='rpn_reg')]
        ),
        **kwargs,
    ) -> None:
        # the parent's constructor calls _init_layers
        self.layer_cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        super().__init__(in_channels, init_cfg=init_cfg, num_convs=num_convs, **kwargs)

    def _init_layers(self) -> None:
        """Build the parent's layers, with separable convolutions."""
        channels = [self.in_channels] + [self.feat_channels] * self.num_convs
        self.rpn_conv = nn.Sequential(
            *(separable_conv(c_in, c_out, **self.layer_cfg) for c_in, c_out in pairwise(channels))
        )
        self.rpn_cls = nn.Conv2d(channels[-1], self.num_base_priors * self.cls_out_channels, 1)
        self.rpn_reg = nn.Conv2d(
            channels[-1], self.num_base_priors * self.bbox_coder.encode_size, 1
        )

    def forward_single(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predict on one level.

        Args:
            x: Map (B, in_channels, H, W).

        Returns:
            Objectness logits (B, A, H, W) and box deltas (B, 4 A, H, W) of the A anchors at each
            position.
        """
        x = self.rpn_conv(x)
        return self.rpn_cls(x), self.rpn_reg(x)

    def _predict_by_feat_single(
        self,
        cls_score_list: Sequence[Tensor],
        bbox_pred_list: Sequence[Tensor],
        score_factor_list: Sequence[Any],
        mlvl_priors: Sequence[Tensor],
        img_meta: dict,
        cfg: OptConfigType,
        **kwargs: bool,
    ) -> InstanceData:
        """Proposals of an image; the parent would sort the scores of all anchors for the best."""
        levels = zip(cls_score_list, bbox_pred_list, mlvl_priors, strict=True)
        cfg = self.test_cfg if cfg is None else cfg
        count = cfg.get('nms_pre', -1)
        if count > 0 and self.use_sigmoid_cls:
            levels = (self._best(*level, count) for level in levels)
        scores, deltas, priors = zip(*levels, strict=True)
        return super()._predict_by_feat_single(
            scores, deltas, score_factor_list, priors, img_meta, cfg, **kwargs
        )

    def _best(
        self, scores: Tensor, deltas: Tensor, priors: Tensor, count: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The ``count`` anchors of a level with the greatest logits, as a map of one column.

        Args:
            scores: Logits (A, H, W).
            deltas: (4 A, H, W).
            priors: (H W A, 4).
            count: At most so many.
        """
        scores = scores.permute(1, 2, 0).flatten()
        best = scores.topk(min(count, len(scores))).indices
        deltas = deltas.permute(1, 2, 0).reshape(len(scores), -1)[best]
        return scores[None, best, None], deltas.T[..., None], priors[best]
