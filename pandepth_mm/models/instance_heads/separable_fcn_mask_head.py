"""The mask head of EfficientPS."""

from itertools import pairwise

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.utils import ConfigType, InstanceList, OptConfigType
from mmengine.config import ConfigDict
from mmengine.model import ModuleList
from mmengine.structures import InstanceData
from torch import Tensor, nn

from pandepth_mm.models.instance_heads.mask_pasting import paste_masks
from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS


@MODELS.register_module()
class SeparableFCNMaskHead(FCNMaskHead):
    """Mask head with separable convolutions, norms and leaky ReLU.

    Besides mmdet's masks, its predictions keep the mask logits, which the panoptic fusion needs.
    Without any RoI, in training, the output is empty but stays attached to the graph, and the
    norms' statistics stay as they are (PyTorch's batch norms see to both).

    Args:
        num_convs: Number of separable 3x3 convolutions.
        in_channels: Channels of the RoI features.
        conv_out_channels: Channels of the convolutions and the upsampling.
        num_classes: Number of thing classes.
        norm_cfg: Config of the norms.
        act_cfg: Config of the activations.
        **kwargs: Further arguments of mmdet's ``FCNMaskHead``.

    Source: PanDepth (VISAPP 2023), section 3.4; EfficientPS (IJCV 2021).
    """

    def __init__(
        self,
        num_convs: int = 4,
        in_channels: int = 256,
        conv_out_channels: int = 256,
        num_classes: int = 80,
        norm_cfg: OptConfigType = dict(type='BN'),
        act_cfg: ConfigType = dict(type='LeakyReLU', negative_slope=0.01),
        **kwargs,
    ) -> None:
        super().__init__(
            num_convs=num_convs,
            in_channels=in_channels,
            conv_out_channels=conv_out_channels,
            num_classes=num_classes,
            norm_cfg=norm_cfg,
            **kwargs,
        )
        # in place of the parent's full convolutions
        channels = [in_channels] + [conv_out_channels] * num_convs
        self.convs = ModuleList(
            separable_conv(c_in, c_out, norm_cfg=norm_cfg, act_cfg=act_cfg)
            for c_in, c_out in pairwise(channels)
        )
        # in place of the parent's ReLU after the deconvolution
        layers = [build_activation_layer(act_cfg)]
        if self.upsample_method == 'deconv' and norm_cfg is not None:
            layers.insert(0, build_norm_layer(norm_cfg, conv_out_channels)[1])
        self.relu = nn.Sequential(*layers)

    def predict_by_feat(
        self,
        mask_preds: tuple[Tensor, ...],
        results_list: list[InstanceData],
        batch_img_metas: list[dict],
        rcnn_test_cfg: ConfigDict,
        rescale: bool = False,
        activate_map: bool = False,
    ) -> InstanceList:
        """Turn mask logits into masks, and keep the logits.

        Args:
            mask_preds: Mask logits (n, num_classes, h, w) of each image.
            results_list: ``bboxes`` and ``labels`` of each image.
            batch_img_metas: ``ori_shape`` and ``scale_factor`` of each.
            rcnn_test_cfg: Has ``mask_thr_binary``.
            rescale: Whether boxes and masks are brought to the original image size; else they are
                at the network's.
            activate_map: Whether ``mask_preds`` are probabilities already, see mmdet. There are no
                logits to keep then.

        Returns:
            The results with ``masks`` (n, H, W) and ``mask_logits`` (n, h, w), the raw logits of
            the predicted class, 0 instances included.
        """
        if not activate_map:
            logits = [
                self._of_class(preds, results.labels)
                for preds, results in zip(mask_preds, results_list, strict=True)
            ]
        results_list = super().predict_by_feat(
            mask_preds, results_list, batch_img_metas, rcnn_test_cfg, rescale, activate_map
        )
        if not activate_map:
            for results, image_logits in zip(results_list, logits, strict=True):
                results.mask_logits = image_logits
        return results_list

    def _predict_by_feat_single(
        self,
        mask_preds: Tensor,
        bboxes: Tensor,
        labels: Tensor,
        img_meta: dict,
        rcnn_test_cfg: ConfigDict,
        rescale: bool = False,
        activate_map: bool = False,
    ) -> Tensor:
        """Masks of an image, see mmdet; on a CPU it would paste them one by one."""
        if activate_map or rcnn_test_cfg.mask_thr_binary <= 0:
            return super()._predict_by_feat_single(
                mask_preds, bboxes, labels, img_meta, rcnn_test_cfg, rescale, activate_map
            )
        (height, width), (scale_x, scale_y) = img_meta['ori_shape'][:2], img_meta['scale_factor']
        if rescale:
            # in place, as there: they are those of the result
            bboxes /= bboxes.new_tensor([scale_x, scale_y, scale_x, scale_y])
        else:
            height, width = round(height * scale_y), round(width * scale_x)
        probabilities = self._of_class(mask_preds, labels).sigmoid()
        return paste_masks(probabilities, bboxes, (height, width), rcnn_test_cfg.mask_thr_binary)

    def _of_class(self, mask_preds: Tensor, labels: Tensor) -> Tensor:
        """The masks (n, h, w) of the labels (n, ) in (n, C, h, w)."""
        if self.class_agnostic:
            return mask_preds[:, 0]
        n = torch.arange(len(labels), device=labels.device)
        return mask_preds[n, labels]
