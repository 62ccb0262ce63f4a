"""Semantics that read another depth than the predicted one."""

from typing import Any

import torch
from mmdet.structures import SampleList
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.errors import require_choice
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.detectors.pandepth import DenseOutputs
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class OtherDepth(PanDepth):
    """Semantics and depth, where the semantic head reads another depth than the predicted one.

    The depth head is trained as ever. What has no true depth, sky and what is beyond the range,
    counts as ``max_depth``.

    Args:
        shown_depth: 'sparse', the smooth fill of the measurements; or 'true', the ground truth: in
            training that of the depth loss, in prediction ``dense_depth`` of the samples.
        **kwargs: Of `PanDepth`; a semantic head that reads depth, a depth head of candidates, no
            other head.

    Raises:
        InputError: Another ``shown_depth``.
    """

    def __init__(self, shown_depth: str, **kwargs: Any) -> None:
        require_choice(shown_depth, ('sparse', 'true'), 'model', 'shown_depth')
        super().__init__(**kwargs)
        self.shown_depth = shown_depth

    def loss(self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList) -> dict:
        """Losses, see `PanDepth.loss`."""
        truth = torch.stack([s.gt_depth_map.data for s in batch_data_samples])
        return super().loss(dict(batch_inputs, true_depth=truth), batch_data_samples)

    def _predict_alike(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList, rescale: bool
    ) -> None:
        """Predict images of one size, see `PanDepth.predict`."""
        height, width = batch_inputs['img'].shape[-2:]
        maps = []
        for sample in batch_data_samples:
            size = tuple(sample.img_shape[:2])
            depth = F.interpolate(sample.dense_depth.data[None].float(), size, mode='nearest')
            maps.append(F.pad(depth[0], (0, width - size[1], 0, height - size[0])))
        inputs = dict(batch_inputs, true_depth=torch.stack(maps).to(batch_inputs['img'].device))
        super()._predict_alike(inputs, batch_data_samples, rescale)

    def forward_dense(
        self, batch_inputs: dict[str, Tensor], prepared: Any | None = None
    ) -> DenseOutputs:
        """Run the branches, see `PanDepth.forward_dense`.

        Args:
            batch_inputs: Also ``true_depth``, (B, 1, H, W), meters, 0 = none.
            prepared: What the depth head's ``prepare`` gave.
        """
        img, cam2img = batch_inputs['img'], batch_inputs['cam2img']
        feats = self.extract_feat(img)
        if prepared is None:
            prepared = self.depth_head.prepare(batch_inputs['sparse_depth'], cam2img)
        depth, uncertainty = self.depth_head(img, feats, prepared, None)
        if self.shown_depth == 'sparse':
            shown = prepared.candidates.log_depth[:, :1].exp()
        else:
            shown = self.depth_head.in_range(batch_inputs['true_depth'])
            shown = torch.where(shown > 0, shown, self.max_depth)
        logits = self.semantic_head(feats, shown, cam2img)
        return DenseOutputs(feats, logits, depth, None, uncertainty)
