"""mmdet's heuristic fusion, as a baseline on the same heads' output."""

import torch
from mmdet.models.seg_heads.panoptic_fusion_heads import HeuristicFusionHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from pandepth_mm.errors import require_fraction
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class HeuristicFusion(HeuristicFusionHead):
    """Fusion of Panoptic FPN, by mmdet, without parameters.

    Instances are laid down by falling score, each on what is still free; the rest is the semantic
    prediction, void where it is a thing. Nothing weighs masks against semantic logits, which is
    what PanopticFusion adds.

    Args:
        num_things: Number of thing classes, the first labels.
        num_stuff: Number of stuff classes.
        score_thr: Lowest score of an instance.
        overlap_thr: Largest part of an instance's mask that may lie under the masks of instances of
            higher score.
        stuff_area_limit: Smallest area of a stuff class, as a share of the image.

    Raises:
        InputError: ``stuff_area_limit`` is no share.
    """

    def __init__(
        self,
        num_things: int,
        num_stuff: int,
        score_thr: float = 0.5,
        overlap_thr: float = 0.5,
        stuff_area_limit: float = 1 / 1024,
    ):
        super().__init__(
            num_things_classes=num_things,
            num_stuff_classes=num_stuff,
            test_cfg=ConfigDict(mask_overlap=overlap_thr),
        )
        require_fraction(stuff_area_limit, 'panoptic_baseline', 'stuff_area_limit', zero=True)
        self.score_thr = score_thr
        self.stuff_area_limit = stuff_area_limit

    @torch.no_grad()
    def predict(self, sem_logits: Tensor, instances: InstanceData) -> Tensor:
        """Fuse one image.

        Args:
            sem_logits: Semantic logits, (num_classes, H, W).
            instances: ``bboxes`` (N, 4), ``scores`` (N,), ``labels`` (N,), ``masks`` bool (N, H,
                W).

        Returns:
            Panoptic ids, long (H, W): label + 1000 * k for instances, the label for stuff,
            ``num_classes`` for void.
        """
        things, stuff = sem_logits.split([self.num_things_classes, self.num_stuff_classes])
        # mmdet's semantic head has one class for all things, the last one
        if len(things):
            stuff = torch.cat([stuff, things.amax(dim=0, keepdim=True)])
        instances = instances[instances.scores >= self.score_thr]
        # mmdet counts pixels
        self.test_cfg.stuff_area_limit = self.stuff_area_limit * sem_logits[0].numel()
        return self._predict_single(instances, stuff).sem_seg[0].long()
