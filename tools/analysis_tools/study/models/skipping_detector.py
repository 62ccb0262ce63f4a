"""Mask R-CNN on a neck with a map of stride 2."""

from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.detectors.checks import check_feats
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class SkippingDetector(PanDepth):
    """A PanDepth whose proposals and RoIs skip the neck's map of stride 2.

    The heads of the light model read it; those of Mask R-CNN take strides 4 to 32.
    """

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        """Features of strides 2, 4, 8, 16 and 32."""
        feats = self.neck(self.backbone(batch_inputs))
        check_feats(self, feats[1:], batch_inputs.shape[-2:])
        return tuple(x.contiguous() for x in feats)  # for RoIAlign

    def _instance_loss(
        self, feats: tuple[Tensor, ...], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The losses of Mask R-CNN."""
        return super()._instance_loss(feats[1:], batch_data_samples)

    def _predict_instances(
        self, feats: tuple[Tensor, ...], batch_data_samples: SampleList, rescale: bool
    ) -> list[InstanceData] | None:
        """Instances of each image."""
        return super()._predict_instances(feats[1:], batch_data_samples, rescale)
