"""Semantics of one network and instances of another, fused."""

from typing import Any

from mmdet.utils import ConfigType
from torch import Tensor

from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.detectors.pandepth import DenseOutputs
from pandepth_mm.registry import MODELS

# what the network of the instances has, and how it is called here
INSTANCE_PARTS = dict(
    backbone='second_backbone',
    neck='second_neck',
    instance_neck='instance_neck',
    rpn_head='rpn_head',
    roi_head='roi_head',
)


@MODELS.register_module()
class SeparateBackbones(PanDepth):
    """Two networks that share nothing: what a user has who trains one for each task.

    For prediction only: the weights come from two trainings, see :func:`merge_weights`.

    Args:
        backbone: Config of both backbones.
        neck: Config of both necks.
        **kwargs: Of `PanDepth`; heads for semantics and instances that read no depth.
    """

    def __init__(self, backbone: ConfigType, neck: ConfigType, **kwargs: Any) -> None:
        super().__init__(backbone=backbone, neck=neck, **kwargs)
        self.second_backbone = MODELS.build(backbone)
        self.second_neck = MODELS.build(neck)

    def forward_dense(
        self, batch_inputs: dict[str, Tensor], prepared: Any | None = None
    ) -> DenseOutputs:
        """Run both networks, see `PanDepth.forward_dense`."""
        img, cam2img = batch_inputs['img'], batch_inputs['cam2img']
        feats = self.extract_feat(img)
        logits = self.semantic_head(feats, None, cam2img)
        roi_feats = self.instance_neck(self.second_neck(self.second_backbone(img)), None, cam2img)
        return DenseOutputs(feats, logits, None, None, roi_feats=roi_feats)


def merge_weights(semantics: dict[str, Tensor], instances: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a :class:`SeparateBackbones`.

    Args:
        semantics: State of a `PanDepth` with a semantic head only.
        instances: State of one with Mask R-CNN only.
    """
    merged = dict(semantics)
    for name, value in instances.items():
        part, _, rest = name.partition('.')
        merged[f'{INSTANCE_PARTS[part]}.{rest}'] = value
    return merged
