"""Panoptic fusion as a head of a detector."""

from mmdet.models.seg_heads.panoptic_fusion_heads import BasePanopticFusionHead
from mmengine.structures import InstanceData
from torch import Tensor

from pandepth_mm.errors import InputError, require_fraction
from pandepth_mm.models.fusion_heads.functional import fuse_panoptic
from pandepth_mm.registry import MODELS
from pandepth_mm.structures.panoptic_ids import INSTANCE_OFFSET


@MODELS.register_module()
class PanopticFusion(BasePanopticFusionHead):
    """Fusion of EfficientPS, without parameters; see :func:`fuse_panoptic`.

    Args:
        num_things: Number of thing classes, the first labels.
        num_stuff: Number of stuff classes.
        score_thr: Lowest score of an instance.
        overlap_thr: Largest part of an instance's mask that may lie under the masks of instances of
            higher score.
        stuff_area_limit: Smallest area of a stuff class, as a share of the image. The default is
            EfficientPS's 2048 pixels of 1024 x 2048.

    Raises:
        InputError: The class counts do not fit the panoptic ids, or ``stuff_area_limit`` is no
            share.
    """

    def __init__(
        self,
        num_things: int,
        num_stuff: int,
        score_thr: float = 0.5,
        overlap_thr: float = 0.5,
        stuff_area_limit: float = 1 / 1024,
    ):
        super().__init__(num_things_classes=num_things, num_stuff_classes=num_stuff)
        if num_things < 0 or num_stuff < 0 or not (0 < self.num_classes < INSTANCE_OFFSET):
            raise InputError(
                'panoptic_fusion',
                f'{num_things} things and {num_stuff} stuff classes',
                f'1 to {INSTANCE_OFFSET - 1} classes in all',
                'num_things, num_stuff',
            )
        require_fraction(stuff_area_limit, 'panoptic_fusion', 'stuff_area_limit', zero=True)
        self.score_thr = score_thr
        self.overlap_thr = overlap_thr
        self.stuff_area_limit = stuff_area_limit

    def loss(self) -> dict[str, Tensor]:
        """There is nothing to train."""
        return dict()

    def predict(
        self, sem_logits: Tensor, instances: InstanceData, sem_labels: Tensor | None = None
    ) -> Tensor:
        """Fuse one image.

        Args:
            sem_logits: Semantic logits, (num_classes, H, W).
            instances: ``bboxes`` (N, 4) in pixels of the same grid, ``scores`` (N,), ``labels``
                (N,), ``mask_logits`` (N, h, w) within ``mask_boxes`` (N, 4), or the former where
                there are none.
            sem_labels: See :func:`fuse_panoptic`.

        Returns:
            Panoptic ids, long (H, W): label + 1000 * k for instances, the label for stuff,
            ``num_classes`` for void.
        """
        if len(sem_logits) != self.num_classes:
            raise ValueError(f'expected {self.num_classes} semantic classes, got {len(sem_logits)}')
        return fuse_panoptic(
            sem_logits,
            instances.get('mask_boxes', instances.bboxes),
            instances.scores,
            instances.labels,
            instances.mask_logits,
            num_things=self.num_things_classes,
            score_thr=self.score_thr,
            overlap_thr=self.overlap_thr,
            stuff_area_limit=self.stuff_area_limit * sem_logits[0].numel(),
            sem_labels=sem_labels,
        )
