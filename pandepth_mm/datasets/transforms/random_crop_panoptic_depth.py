"""Random crop of an image with everything that belongs to it."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.mask import BitmapMasks

from pandepth_mm.datasets.transforms.load_depth_map import DEPTH_KEYS
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.geometry.camera import crop_intrinsics, project
from pandepth_mm.registry import TRANSFORMS
from pandepth_mm.structures.panoptic_ids import VOID_LABEL

_NAME = 'RandomCropPanopticDepth'


@TRANSFORMS.register_module()
class RandomCropPanopticDepth(BaseTransform):
    """Crop a window at a random place; pad at the right and at the bottom what is missing.

    mmdet's RandomCrop knows neither panoptic and depth maps nor intrinsics, and leaves smaller
    images as they are. Here the result always has ``crop_size``. Padding has the mean color of the
    crop, is void, and has no depth.

    Required keys: ``img``; ``num_classes`` beside ``gt_panoptic_seg``. Modified, where present:
    ``img``, ``img_shape``, ``gt_seg_map``, ``gt_panoptic_seg``, ``sparse_depth``, ``gt_depth_map``,
    ``dense_depth``, ``cam2img``; ``points``, those outside drop out; ``gt_masks``, ``gt_bboxes``
    (taken from the masks), ``gt_bboxes_labels``, ``gt_ignore_flags``, without the instances that
    have no pixel left; ``homography_matrix``. Added: ``ori_cam2img``, the intrinsics before the
    first change of size.

    Args:
        crop_size: (height, width), pixels.

    Raises:
        InputError: ``crop_size`` is no pair of whole numbers above 0.
    """

    def __init__(self, crop_size: Sequence[int]) -> None:
        if not isinstance(crop_size, Sequence) or len(crop_size) != 2:
            raise InputError(_NAME, repr(crop_size), '(height, width) in pixels', 'crop_size')
        for pixels in crop_size:
            require_count(pixels, _NAME, 'crop_size')
        self.crop_size = tuple(crop_size)

    def transform(self, results: dict) -> dict:
        """Crop all of it."""
        shape = results['img'].shape[:2]
        top, left = (
            int(np.random.randint(max(size - crop, 0) + 1))
            for size, crop in zip(shape, self.crop_size, strict=True)
        )
        seen = results['img'][top : top + self.crop_size[0], left : left + self.crop_size[1]]
        results['img'] = self._crop(results['img'], top, left, cv2.mean(seen)[:3])
        results['img_shape'] = self.crop_size
        fills = dict.fromkeys(DEPTH_KEYS, 0)
        fills.update(gt_seg_map=VOID_LABEL, gt_panoptic_seg=results.get('num_classes'))
        for key, fill in fills.items():
            if key in results:
                results[key] = self._crop(results[key], top, left, fill)
        if 'gt_masks' in results:
            self._crop_instances(results, top, left)
        if 'cam2img' in results:
            results.setdefault('ori_cam2img', results['cam2img'])
            results['cam2img'] = crop_intrinsics(results['cam2img'], left, top)
        if 'points' in results:
            results['points'] = _points_within(
                results['points'], results['cam2img'], seen.shape[:2]
            )
        shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]], dtype=np.float32)
        results['homography_matrix'] = shift @ results.get(
            'homography_matrix', np.eye(3, dtype='f4')
        )
        return results

    def _crop(self, maps: np.ndarray, top: int, left: int, fill) -> np.ndarray:
        """Cut a map (H, W) or (H, W, C) to (height, width), padded with ``fill``; a copy."""
        height, width = self.crop_size
        seen = maps[top : top + height, left : left + width]
        if seen.shape[:2] == self.crop_size:
            return np.ascontiguousarray(seen)
        cropped = np.empty((*self.crop_size, *maps.shape[2:]), maps.dtype)
        cropped[:] = fill
        cropped[: seen.shape[0], : seen.shape[1]] = seen
        return cropped

    def _crop_instances(self, results: dict, top: int, left: int) -> None:
        """Crop the masks, drop the empty ones, take the boxes from them."""
        height, width = self.crop_size
        seen = results['gt_masks'].masks[:, top : top + height, left : left + width]
        kept = np.flatnonzero(seen.any(axis=(1, 2)))
        masks = np.zeros((len(kept), height, width), dtype=seen.dtype)
        masks[:, : seen.shape[1], : seen.shape[2]] = seen[kept]
        results['gt_masks'] = BitmapMasks(masks, height, width)
        if 'gt_bboxes' in results:
            results['gt_bboxes'] = results['gt_masks'].get_bboxes(type(results['gt_bboxes']))
        for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
            if key in results:
                results[key] = results[key][kept]

    def __repr__(self) -> str:
        return f'{type(self).__name__}(crop_size={self.crop_size})'


def _points_within(points: np.ndarray, cam2img: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Those of the points (N, 3) that lie in a pixel of an image of this (height, width)."""
    with np.errstate(invalid='ignore'):  # NaN behind the camera
        col, row = np.floor(project(points[:, :3], cam2img)[0] + 0.5).T
        inside = (col >= 0) & (col < size[1]) & (row >= 0) & (row < size[0])
    return points[inside]
