"""Resize of an image with everything that belongs to it."""

import math

from mmcv.image import rescale_size
from mmdet.datasets.transforms import Resize
from mmdet.structures.bbox import autocast_box_type
from mmdet.structures.mask import BitmapMasks

from pandepth_mm.datasets.transforms.load_depth_map import DEPTH_KEYS
from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.geometry.camera import (
    back_project,
    points_to_depth,
    resize_intrinsics,
    resize_nearest,
)
from pandepth_mm.registry import TRANSFORMS

DEPTH_RESIZES = ('nearest', 'rasterize')


@TRANSFORMS.register_module()
class ResizePanopticDepth(Resize):
    """Resize to ``results['img_scale']``, which the data set states.

    mmdet's Resize leaves panoptic and depth maps and intrinsics as they are, and aligns label maps
    by their corners. Here the image is interpolated bilinearly, everything else takes the nearest
    pixel, aligned by pixel centers as ``cam2img`` is (u' = (u + 0.5) s - 0.5), so that all maps
    show the same pixels. Depth values do not change. Boxes are taken from the resized masks; where
    a mask has lost its last pixel, the box is scaled.

    The measurements, ``sparse_depth``, can reach the new grid in two ways. 'nearest' treats them as
    any map: where the image shrinks, their density stays and most of them drop out. This is the
    paper's protocol. 'rasterize' treats them as points: each falls into the new pixel that it lies
    in, and only where several share a pixel all but the nearest to the camera drop out.

    Required keys: ``img``, ``img_scale``; to rasterize also ``cam2img``, and ``sparse_depth`` or
    ``points`` ((N, 3), meters, the camera frame of ``cam2img``), which has precedence. Modified,
    where present: ``img``, ``gt_bboxes``, ``gt_masks``, ``gt_seg_map``, ``gt_panoptic_seg``,
    ``sparse_depth``, ``gt_depth_map``, ``dense_depth``, ``cam2img``. Added: ``img_shape``,
    ``scale_factor``, ``ori_cam2img`` and mmdet's others; ``ori_sparse_depth``, the measurements at
    the image's size, for ``keep_measurements``.

    Args:
        keep_ratio: Whether to keep the aspect ratio, within ``img_scale``.
        shrink_only: Shrink an image of more pixels than ``img_scale`` to as many, at its own aspect
            ratio, and leave a smaller one as it is. For models of any image size.
        depth_resize: How the measurements reach the new grid, 'nearest' or 'rasterize'.
        keep_measurements: Whether to keep the ``sparse_depth`` of the image's size too, for
            predictions that are corrected at that size.

    Raises:
        InputError: ``depth_resize`` is neither.
    """

    def __init__(
        self,
        keep_ratio: bool = False,
        shrink_only: bool = False,
        depth_resize: str = 'nearest',
        keep_measurements: bool = False,
    ) -> None:
        require_choice(depth_resize, DEPTH_RESIZES, 'ResizePanopticDepth', 'depth_resize')
        self.depth_resize = depth_resize
        self.shrink_only = shrink_only
        self.keep_measurements = keep_measurements
        # the size is read from each record; the parent still requires one
        super().__init__(scale=(1, 1), keep_ratio=keep_ratio)

    def output_size(self, size: tuple[int, int], img_scale: tuple[int, int]) -> tuple[int, int]:
        """Size that an image gets.

        Args:
            size: Width and height of the image.
            img_scale: Width and height that the data set states.

        Returns:
            Width and height.
        """
        if self.shrink_only:
            factor = min(math.sqrt(math.prod(img_scale) / math.prod(size)), 1)
            return tuple(max(round(side * factor), 1) for side in size)
        return rescale_size(size, tuple(img_scale)) if self.keep_ratio else tuple(img_scale)

    @autocast_box_type()
    def transform(self, results: dict) -> dict:
        """Resize the image and what belongs to it.

        Raises:
            InputError: The data set states no ``img_scale``.
        """
        if results.get('img_scale') is None:
            raise InputError(
                'config',
                'no img_scale',
                'img_scale=(width, height) in the data set, read by ResizePanopticDepth',
            )
        if self.keep_measurements:
            results['ori_sparse_depth'] = results['sparse_depth']
        points = None
        if self.depth_resize == 'rasterize':
            points = results.get('points')
            if points is None:
                points = back_project(results['sparse_depth'], results['cam2img'])
        results['scale'] = self.output_size(results['img'].shape[1::-1], results['img_scale'])
        self._resize_img(results)
        self._resize_bboxes(results)
        size = results['img_shape']
        for key in (*DEPTH_KEYS, 'gt_seg_map', 'gt_panoptic_seg'):
            if key in results:
                results[key] = resize_nearest(results[key], size)
        if 'gt_masks' in results:
            masks = BitmapMasks(resize_nearest(results['gt_masks'].masks, size), *size)
            results['gt_masks'] = masks
            if 'gt_bboxes' in results:
                seen = masks.areas > 0
                results['gt_bboxes'].tensor[seen] = masks[seen].get_bboxes('hbox').tensor
        if 'cam2img' in results:
            results.setdefault('ori_cam2img', results['cam2img'])
            results['cam2img'] = resize_intrinsics(results['cam2img'], results['scale_factor'])
        if points is not None:
            results['sparse_depth'] = points_to_depth(
                points, results['cam2img'], results['img_shape']
            )
        self._record_homography_matrix(results)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(keep_ratio={self.keep_ratio}, shrink_only={self.shrink_only}, '
            f'depth_resize={self.depth_resize!r}, keep_measurements={self.keep_measurements})'
        )
