"""Loading of the panoptic ground truth."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from scipy.ndimage import find_objects

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_panoptic_png
from pandepth_mm.registry import TRANSFORMS
from pandepth_mm.structures.panoptic_ids import VOID_LABEL, encode_panoptic, number_segments


@TRANSFORMS.register_module()
class LoadPanopticMap(BaseTransform):
    """Load a COCO panoptic PNG as panoptic and semantic map, boxes and masks.

    Later steps do not need the file. mmdet's LoadPanopticAnnotations cannot be built without
    panopticapi.

    Required keys: ``seg_map_path``, ``segments_info``, ``num_classes``; ``ori_shape``, the shape of
    the loaded image, where there is one, else ``height`` and ``width``.

    Modified key: ``segments_info``, whose ids become those of the map.

    Added keys, n = number of thing segments:

    - gt_panoptic_seg: int32 (H, W), ids of ``structures.panoptic_ids``.
    - gt_seg_map: label of the class, uint8 (H, W), 255 = void.
    - gt_bboxes: HorizontalBoxes (n, 4), x1 y1 x2 y2, exact from the masks, x2 and y2 one past the
      last pixel.
    - gt_bboxes_labels: int64 (n,).
    - gt_ignore_flags: bool (n,), True for crowds.
    - gt_masks: BitmapMasks (n, H, W).
    """

    def transform(self, results: dict) -> dict:
        """Add the ground truth.

        Raises:
            InputError: The record names no PNG, the PNG is bad, or its ids are not those of
                ``segments_info``.
        """
        if 'seg_map_path' not in results:
            raise InputError(
                'annotations',
                f'no panoptic ground truth for image {results.get("img_path")}',
                'one, since the pipeline has LoadPanopticMap',
            )
        path, segments = results['seg_map_path'], results['segments_info']
        shape = results.get('ori_shape') or (results['height'], results['width'])
        ids = read_panoptic_png(path, shape)
        try:
            numbers = number_segments(ids, [segment['id'] for segment in segments])
        except ValueError as e:
            raise InputError(path, str(e), 'pixels of exactly the segments_info') from None

        results['gt_panoptic_seg'], results['segments_info'] = encode_panoptic(
            numbers, segments, results['num_classes']
        )
        labels = np.array([VOID_LABEL] + [s['category'] for s in segments], dtype=np.uint8)
        results['gt_seg_map'] = labels[numbers]
        things = [number for number, segment in enumerate(segments, 1) if segment['isthing']]
        slices = find_objects(numbers, max_label=len(segments))
        boxes = np.zeros((len(things), 4), dtype=np.float32)
        masks = np.zeros((len(things), *shape), dtype=np.uint8)
        for box, mask, number in zip(boxes, masks, things, strict=True):
            rows, cols = slices[number - 1]
            box[:] = cols.start, rows.start, cols.stop, rows.stop
            mask[rows, cols] = numbers[rows, cols] == number
        results['gt_bboxes'] = HorizontalBoxes(boxes)
        results['gt_bboxes_labels'] = labels[things].astype(np.int64)
        results['gt_ignore_flags'] = np.array(
            [segments[number - 1]['iscrowd'] for number in things], dtype=bool
        )
        results['gt_masks'] = BitmapMasks(masks, *shape)
        return results
