"""The faithful semantic head on a neck with a map of stride 2."""

from collections.abc import Sequence

from torch import Tensor

from pandepth_mm.models.semantic_heads.efficientps_semantic_head import EfficientPSSemanticHead
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class SkippingSemanticHead(EfficientPSSemanticHead):
    """EfficientPS's semantic head; it skips the map of stride 2."""

    def forward(self, feats: Sequence[Tensor], out_size: tuple[int, int]) -> Tensor:
        """Predict the logits, see the parent.

        Args:
            feats: Maps of strides 2, 4, 8, 16 and 32.
            out_size: Height and width of the output, pixels.
        """
        return super().forward(feats[1:], out_size)
