"""Packing of a frame for the model."""

from collections.abc import Sequence

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmengine.structures import PixelData

from pandepth_mm.registry import TRANSFORMS

META_KEYS = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'flip',
    'flip_direction',
    'cam2img',
    'ori_cam2img',
    'seg_map_path',
    'segments_info',
    'dense_depth_path',
    'dense_depth_scale',
    'scene',
    'variation',
    'camera',
    'frame',
)


@TRANSFORMS.register_module()
class PackPanopticDepthInputs(PackDetInputs):
    """Pack the three inputs, and the truth into a DetDataSample.

    Required keys: ``img``, ``sparse_depth`` (H, W), ``cam2img`` (3, 3).

    Returns, with (h, w) the network's size:

    - inputs: dict of ``img`` (3, h, w), ``sparse_depth`` float32 (1, h, w)
      in metres and ``cam2img`` float32 (3, 3) in pixels.
    - data_samples: what mmdet's PackDetInputs packs; ``gt_sem_seg``
      (PixelData, sem_seg long (1, H, W), 255 = void), ``gt_depth_map``
      (PixelData, data float32 (1, H, W)), ``sparse_depth`` (PixelData, data
      float32 (1, h, w)). (H, W) is the original size if the truth was loaded
      after the resize.

    Args:
        meta_keys: Keys of the results to keep as metainfo. ``cam2img`` is
            that of the network's grid, ``ori_cam2img`` that before the
            resize.
    """

    def __init__(self, meta_keys: Sequence[str] = META_KEYS) -> None:
        super().__init__(meta_keys=tuple(meta_keys))

    def transform(self, results: dict) -> dict:
        """Pack the results."""
        packed = super().transform(results)
        sample = packed['data_samples']
        sparse_depth = self._depth_tensor(results['sparse_depth'])
        sample.sparse_depth = PixelData(data=sparse_depth.clone())
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg = PixelData(sem_seg=sample.gt_sem_seg.sem_seg.long())
        if 'gt_depth_map' in results:
            sample.gt_depth_map = PixelData(data=self._depth_tensor(results['gt_depth_map']))
        packed['inputs'] = dict(
            img=packed['inputs'],
            sparse_depth=sparse_depth,
            cam2img=torch.tensor(results['cam2img'], dtype=torch.float32),
        )
        return packed

    @staticmethod
    def _depth_tensor(depth: np.ndarray) -> torch.Tensor:
        """Depth map (H, W) as float32 tensor (1, H, W)."""
        return torch.from_numpy(np.ascontiguousarray(depth, dtype=np.float32))[None]
