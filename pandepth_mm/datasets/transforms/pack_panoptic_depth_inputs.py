"""Packing of a frame for the model."""

import numpy as np
import torch
from mmdet.datasets.transforms import PackDetInputs
from mmengine.structures import PixelData

from pandepth_mm.datasets.transforms.load_depth_map import DEPTH_KEYS
from pandepth_mm.registry import TRANSFORMS

META_KEYS = (
    'img_id',
    'img_path',
    'ori_shape',
    'img_shape',
    'scale_factor',
    'scene',
    'variation',
    'camera',
    'frame',
)


@TRANSFORMS.register_module()
class PackPanopticDepthInputs(PackDetInputs):
    """Pack the three inputs, and the ground truth into a DetDataSample.

    Required keys: ``img``, ``sparse_depth`` (H, W), ``cam2img`` (3, 3).

    Returns, with (h, w) the network's size:

    - inputs: dict of ``img`` (3, h, w), ``sparse_depth`` float32 (1, h, w) in meters and
      ``cam2img`` float32 (3, 3) in pixels.
    - data_samples: DetDataSample with ``sparse_depth`` (PixelData, data float32 (1, h, w)) and
        those of the following that were loaded, each at its present size (H, W), the original one
        if it was loaded after the resize:

      - ``gt_instances`` and, for crowds, ``ignored_instances``, as mmdet has
        them;
      - ``gt_sem_seg``: sem_seg int64 (1, H, W), 255 = void;
      - ``gt_panoptic_seg``: sem_seg int32 (1, H, W), ids of
        ``structures.panoptic_ids``; the metainfo ``segments_info`` lists
        those with a pixel, as dicts of ``id``, ``category``,
        ``isthing`` and ``iscrowd``;
      - ``gt_depth_map``, ``dense_depth``, ``ori_sparse_depth``: data float32 (1, H, W), meters,
        0 = no measurement.
    """

    def __init__(self) -> None:
        super().__init__(meta_keys=META_KEYS)

    def transform(self, results: dict) -> dict:
        """Pack the results."""
        packed = super().transform(results)
        sample = packed['data_samples']
        if 'gt_sem_seg' in sample:
            sample.gt_sem_seg = PixelData(sem_seg=sample.gt_sem_seg.sem_seg.long())
        if 'gt_panoptic_seg' in results:
            panoptic = results['gt_panoptic_seg']
            present = set(np.flatnonzero(np.bincount(panoptic.ravel())).tolist())
            segments = [s for s in results['segments_info'] if s['id'] in present]
            sample.set_metainfo(dict(segments_info=segments))
            sample.gt_panoptic_seg = PixelData(sem_seg=_tensor(panoptic, np.int32))
        for key in (*DEPTH_KEYS, 'ori_sparse_depth'):
            if key in results:
                sample.set_field(PixelData(data=_tensor(results[key], np.float32)), key)
        packed['inputs'] = dict(
            img=packed['inputs'],
            sparse_depth=sample.sparse_depth.data.clone(),
            cam2img=torch.tensor(results['cam2img'], dtype=torch.float32),
        )
        return packed


def _tensor(array: np.ndarray, dtype: type) -> torch.Tensor:
    """A map (H, W) as tensor (1, H, W)."""
    return torch.from_numpy(np.ascontiguousarray(array, dtype=dtype))[None]
