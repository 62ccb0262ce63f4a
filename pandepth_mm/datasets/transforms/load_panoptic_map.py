"""Loading of the panoptic truth."""

import numpy as np
from mmcv.transforms import BaseTransform
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from scipy.ndimage import find_objects

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_panoptic_png
from pandepth_mm.registry import TRANSFORMS
from pandepth_mm.structures.panoptic_ids import VOID_LABEL


@TRANSFORMS.register_module()
class LoadPanopticMap(BaseTransform):
    """Load a COCO panoptic PNG as semantic map, boxes and masks.

    mmdet's LoadPanopticAnnotations does the same but cannot be built without
    panopticapi.

    Required keys: ``seg_map_path``, ``segments_info``; ``ori_shape``, the
    shape of the loaded image, where there is one, else ``height`` and
    ``width``.

    Added keys:

    - gt_seg_map: label of the class, uint8 (H, W), 255 = void.
    - gt_bboxes: HorizontalBoxes (n, 4), x1 y1 x2 y2, exact from the masks,
      x2 and y2 one past the last pixel; n = number of thing segments.
    - gt_bboxes_labels: int64 (n,).
    - gt_ignore_flags: bool (n,), True for crowds.
    - gt_masks: BitmapMasks (n, H, W), if ``with_mask``.

    Args:
        with_mask: Whether to make masks.
    """

    def __init__(self, with_mask: bool = True) -> None:
        self.with_mask = with_mask

    def transform(self, results: dict) -> dict:
        """Add the truth.

        Raises:
            InputError: The record names no PNG, the PNG is bad, or its ids
                are not those of ``segments_info``.
        """
        if 'seg_map_path' not in results:
            raise InputError(
                'annotations',
                f'no panoptic truth for image {results.get("img_path")}',
                'one, since the pipeline has LoadPanopticMap',
            )
        shape = results.get('ori_shape') or (results['height'], results['width'])
        segments = results['segments_info']
        index = self._read_index(results['seg_map_path'], shape, segments)

        labels = np.array([VOID_LABEL] + [s['category'] for s in segments], dtype=np.uint8)
        results['gt_seg_map'] = labels[index]
        things = [i for i, segment in enumerate(segments, 1) if segment['isthing']]
        slices = find_objects(index, max_label=len(segments))
        boxes = np.zeros((len(things), 4), dtype=np.float32)
        for box, i in zip(boxes, things, strict=True):
            rows, cols = slices[i - 1]
            box[:] = cols.start, rows.start, cols.stop, rows.stop
        results['gt_bboxes'] = HorizontalBoxes(boxes)
        results['gt_bboxes_labels'] = labels[things].astype(np.int64)
        results['gt_ignore_flags'] = np.array(
            [bool(segments[i - 1]['iscrowd']) for i in things], dtype=bool
        )
        if self.with_mask:
            masks = np.zeros((len(things), *shape), dtype=np.uint8)
            for mask, i in zip(masks, things, strict=True):
                box = slices[i - 1]
                mask[box] = index[box] == i
            results['gt_masks'] = BitmapMasks(masks, *shape)
        return results

    @staticmethod
    def _read_index(path: str, shape: tuple, segments: list) -> np.ndarray:
        """Position of each pixel's segment, counted from 1; 0 = void."""
        ids = read_panoptic_png(path, shape)
        known = [segment['id'] for segment in segments]
        # One look-up a pixel. At most 2^24 entries, of which zeros() really
        # allocates only the pages that are used.
        table = np.zeros(max([int(ids.max()), *known]) + 1, dtype=np.int32)
        table[known] = np.arange(1, len(known) + 1)
        index = table[ids]
        unlisted = np.unique(ids[(index == 0) & (ids != 0)])
        if len(unlisted):
            raise InputError(
                path, f'segment ids {unlisted.tolist()}', f'only ids of its segments_info, {known}'
            )
        counts = np.bincount(index.ravel(), minlength=len(known) + 1)[1:]
        absent = [known[i] for i in np.flatnonzero(counts == 0)]
        if absent:
            raise InputError(
                path,
                f'no pixel of the segment ids {absent}',
                'pixels of every segment in its segments_info',
            )
        return index

    def __repr__(self) -> str:
        return f'{type(self).__name__}(with_mask={self.with_mask})'
