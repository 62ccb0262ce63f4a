"""Batching of image, sparse depth and intrinsics."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData
from torch import Tensor

from pandepth_mm.registry import MODELS
from pandepth_mm.structures.panoptic_ids import VOID_LABEL


def _pad(depth: Tensor, size: tuple[int, int]) -> Tensor:
    """Pad a map (1, h, w) with 0 at the right and bottom to ``size``."""
    height, width = depth.shape[-2:]
    return F.pad(depth, (0, size[1] - width, 0, size[0] - height))


@MODELS.register_module()
class PanDepthDataPreprocessor(DetDataPreprocessor):
    """Normalize and pad images; pad and stack depth and intrinsics.

    mmdet's preprocessor takes images alone and leaves depth maps unpadded. Padding goes to the
    right and bottom, so the intrinsics stay. In training the ground truth is padded too (labels
    255, masks and depth 0); in testing it stays as it is, at the original size. Each sample may
    have or lack any ground truth.

    Args:
        mean: Of R, G, B, in 0..255.
        std: Of R, G, B.
        pad_size_divisor: Height and width become multiples of this.
        bgr_to_rgb: Whether to swap the channels; mmcv loads BGR.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        pad_size_divisor: int = 1,
        bgr_to_rgb: bool = False,
    ) -> None:
        super().__init__(
            mean=mean,
            std=std,
            pad_size_divisor=pad_size_divisor,
            pad_mask=True,
            pad_seg=True,
            seg_pad_value=VOID_LABEL,
            bgr_to_rgb=bgr_to_rgb,
        )

    def forward(self, data: dict, training: bool = False) -> dict:
        """Make a batch.

        Args:
            data: ``inputs``: dict of lists (or stacked tensors) ``img`` (3, h, w), ``sparse_depth``
                (1, h, w) in meters, ``cam2img`` (3, 3) in pixels; ``data_samples``: list of
                DetDataSample, None or absent.
            training: Whether to pad the ground truth.

        Returns:
            dict: ``inputs``: dict of ``img`` float (B, 3, H, W), ``sparse_depth`` float32 (B, 1, H,
            W), ``cam2img`` float32 (B, 3, 3); ``data_samples`` with ``batch_input_shape`` and
            ``pad_shape``, or None.

        Raises:
            ValueError: An image and its sparse depth differ in size.
        """
        data = self.cast_data(data)
        inputs = data['inputs']
        images, depths = list(inputs['img']), list(inputs['sparse_depth'])
        for image, depth in zip(images, depths, strict=True):
            if image.shape[-2:] != depth.shape[-2:]:
                raise ValueError(
                    f'sparse_depth has size {tuple(depth.shape[-2:])}, its '
                    f'image {tuple(image.shape[-2:])}'
                )
        batch = super().forward(
            dict(inputs=images, data_samples=data.get('data_samples')), training
        )
        size = tuple(batch['inputs'].shape[-2:])
        if training and batch['data_samples'] is not None:
            for sample in batch['data_samples']:
                if 'gt_depth_map' in sample:
                    sample.gt_depth_map = PixelData(data=_pad(sample.gt_depth_map.data, size))
        batch['inputs'] = dict(
            img=batch['inputs'],
            sparse_depth=torch.stack([_pad(d.float(), size) for d in depths]),
            cam2img=torch.stack([k.float() for k in inputs['cam2img']]),
        )
        return batch

    def pad_gt_masks(self, batch_data_samples: Sequence[DetDataSample]) -> None:
        """Pad the masks of the samples that have some."""
        for sample in batch_data_samples:
            if 'gt_instances' in sample:
                super().pad_gt_masks([sample])

    def pad_gt_sem_seg(self, batch_data_samples: Sequence[DetDataSample]) -> None:
        """Pad the labels of the samples that have some."""
        for sample in batch_data_samples:
            super().pad_gt_sem_seg([sample])
