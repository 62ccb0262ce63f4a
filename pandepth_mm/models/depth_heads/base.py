"""What every depth head has in common."""

from abc import ABCMeta, abstractmethod
from typing import Any, NamedTuple

import torch
from mmdet.utils import ConfigType, OptMultiConfig
from mmengine.model import BaseModule
from torch import Tensor

from pandepth_mm.errors import require_count, require_positive
from pandepth_mm.registry import MODELS


class DepthPrediction(NamedTuple):
    """What a depth head that knows how sure it is returns.

    Attributes:
        depth: (B, 1, H, W), meters, > 0.
        uncertainty: Expected absolute error, the scale of a Laplace distribution, (B, 1, H, W),
            meters, > 0.
    """

    depth: Tensor
    uncertainty: Tensor


class BaseDepthHead(BaseModule, metaclass=ABCMeta):
    """Completes sparse depth: read this before you write a depth head.

    The detector builds the head from ``model.depth_head`` and hands down ``max_depth`` and
    ``num_classes``. For each batch it calls

    1. :meth:`prepare`, for what depends on the data and not on the weights, such as neighbors or a
       fill. An export calls it outside of the model, so it needs no fixed shapes;
    2. :meth:`forward`, the network;
    3. :meth:`loss_by_feat`, in training.

    A subclass needs a :meth:`forward`. Register it (``@MODELS.register_module()``), name it in
    ``model.depth_head.type``, and name its module in ``custom_imports`` of the config.

    Rules: depth is in meters along the camera's z axis, 0 = no measurement. An image may hold no
    measurement at all. Every parameter gets a gradient in every step, since DDP waits for them all.
    A head that squares meters runs in float32, since float16 ends at 65504: under autocast it turns
    that off (see ``FuseBlockDepthHead.forward``).

    Args:
        max_depth: Depth range, meters.
        num_classes: Channels of the semantic logits; 0 where the model has no semantic head.
        loss: Config of the loss, called with two depth maps (B, 1, H, W) in meters, the second 0
            where it does not count; its weight is its own ``loss_weight``.
        init_cfg: Initialization config of mmengine.

    Raises:
        InputError: ``max_depth`` or ``num_classes`` is out of range.
    """

    trains_semantics: bool = False
    """Whether the depth loss reaches the logits that :meth:`forward` gets.

    The detector refuses a semantic head that no loss trains. Set it to True
    in a head that reads the logits without detaching them.
    """

    def __init__(
        self,
        max_depth: float,
        num_classes: int = 0,
        loss: ConfigType = dict(type='pandepth_mm.MaskedMSELoss'),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(init_cfg)
        require_positive(max_depth, 'depth_head', 'max_depth', 'meters')
        require_count(num_classes, 'depth_head', 'num_classes', least=0)
        self.max_depth = float(max_depth)
        self.num_classes = num_classes
        self.loss_depth = MODELS.build(loss)

    def prepare(self, sparse_depth: Tensor, cam2img: Tensor) -> Any:
        """Make what :meth:`forward` reads of the measurements.

        Args:
            sparse_depth: (B, 1, H, W), meters, 0 = no measurement.
            cam2img: Intrinsics of this grid, (B, 3, 3), pixels.

        Returns:
            Anything; here the sparse depth as float32 (B, 1, H, W), without gradient, what is not
            in (0, ``max_depth``] set to 0.
        """
        return self.in_range(sparse_depth.detach().float())

    def measured(self, prepared: Any) -> Tensor:
        """Whether an image has a measurement, bool (B, 1, 1, 1).

        Where it has none, the detector shows its depth to no other head: what the depth head reads
        off a picture alone adds nothing to the picture, and is far off in one unlike those of the
        training.

        Args:
            prepared: From :meth:`prepare`; override this method together with it.
        """
        return (prepared > 0).flatten(1).any(1)[:, None, None, None]

    @abstractmethod
    def forward(
        self, img: Tensor, feats: tuple[Tensor, ...] | None, prepared: Any, logits: Tensor | None
    ) -> Tensor | DepthPrediction:
        """Complete the depth.

        Args:
            img: Normalized image, (B, 3, H, W), padded at the right and bottom.
            feats: Maps of the neck (or the backbone), finest first; the paper's have 256 channels
                and strides 4, 8, 16, 32. None without a backbone.
            prepared: From :meth:`prepare`.
            logits: Preliminary semantic logits, (B, num_classes, H, W); None without a semantic
                head.

        Returns:
            Dense depth, (B, 1, H, W), meters, > 0; or a :class:`DepthPrediction`.
        """

    def finish(
        self, depth: Tensor, uncertainty: Tensor | None, sparse_depth: Tensor
    ) -> tuple[Tensor, Tensor | None]:
        """Correct a prediction that was brought to the image's size; here it stays as it is.

        Called where the test pipeline keeps the measurements of that size
        (``keep_measurements`` of ``ResizePanopticDepth``).

        Args:
            depth: (1, H, W), meters, > 0.
            uncertainty: (1, H, W), meters, where the head predicts it.
            sparse_depth: (1, H, W), meters, 0 = no measurement.

        Returns:
            Depth and uncertainty.
        """
        return depth, uncertainty

    def loss_by_feat(self, pred_depth: Tensor, gt_depth_map: Tensor) -> dict[str, Tensor]:
        """Depth loss (PanDepth eq. 4), in float32.

        Args:
            pred_depth: Result of :meth:`forward`, (B, 1, H, W), meters.
            gt_depth_map: Ground truth, (B, 1, H, W), meters. Pixels outside (0, ``max_depth``] do
                not count.

        Returns:
            ``loss_depth``. mmengine adds up whatever has 'loss' in its name.
        """
        with torch.autocast(pred_depth.device.type, enabled=False):
            target = self.in_range(gt_depth_map.float())
            return dict(loss_depth=self.loss_depth(pred_depth.float(), target))

    def in_range(self, depth: Tensor) -> Tensor:
        """Set what is not a depth in (0, max_depth] to 0 (none)."""
        valid = (depth > 0) & (depth <= self.max_depth)
        return torch.where(valid, depth, torch.zeros_like(depth))
