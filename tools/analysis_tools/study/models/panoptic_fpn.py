"""mmdet's Panoptic FPN on the samples of this package."""

from typing import Any

from mmdet.models import PanopticFPN
from mmdet.structures import SampleList
from mmengine.structures import PixelData
from torch import Tensor

from pandepth_mm.registry import MODELS
from pandepth_mm.structures.panoptic_ids import INSTANCE_OFFSET


@MODELS.register_module()
class PlainPanopticFPN(PanopticFPN):
    """mmdet's PanopticFPN, unchanged; takes the image of our batches and fills our samples.

    mmdet drops the instances that it fuses. Here they stay, for the box and mask AP; the fusion
    gets those of at least ``test_cfg.panoptic.score_thr``. There are no semantic logits of single
    thing classes, so the semantic map is that of the panoptic one.

    Args:
        **kwargs: Of mmdet's PanopticFPN.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        # CheckClassCountHook reads these
        self.num_things, self.num_stuff = self.num_things_classes, self.num_stuff_classes

    def loss(self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList) -> dict:
        """Losses of mmdet's model.

        Args:
            batch_inputs: ``img`` (B, 3, H, W).
            batch_data_samples: With ``gt_instances`` and ``gt_sem_seg``.
        """
        return super().loss(batch_inputs['img'], batch_data_samples)

    def predict(
        self, batch_inputs: dict[str, Tensor], batch_data_samples: SampleList, rescale: bool = True
    ) -> SampleList:
        """Predict ``pred_instances``, ``pred_panoptic_seg`` and ``pred_sem_seg``.

        Args:
            batch_inputs: ``img`` (B, 3, H, W).
            batch_data_samples: Get the predictions.
            rescale: Whether to bring them to the images' original size.
        """
        feats = self.extract_feat(batch_inputs['img'])
        proposals = self.rpn_head.predict(feats, batch_data_samples, rescale=False)
        instances = self.roi_head.predict(feats, proposals, batch_data_samples, rescale=rescale)
        metas = [sample.metainfo for sample in batch_data_samples]
        logits = self.semantic_head.predict(feats, metas, rescale)
        score_thr = self.test_cfg.panoptic.score_thr
        fused = self.panoptic_fusion_head.predict(
            [found[found.scores >= score_thr] for found in instances], logits
        )
        for sample, found, panoptic in zip(batch_data_samples, instances, fused, strict=True):
            sample.pred_instances = found
            sample.pred_panoptic_seg = panoptic
            sample.pred_sem_seg = PixelData(sem_seg=panoptic.sem_seg % INSTANCE_OFFSET)
        return batch_data_samples
