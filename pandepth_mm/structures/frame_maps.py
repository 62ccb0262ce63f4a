"""Take the maps of a frame out of a data sample, as numpy arrays, and check them.

``sample`` is an mmdet DetDataSample, or what has its ``get`` and ``in``.
"""

from typing import Any, NamedTuple

import numpy as np

from pandepth_mm.errors import InputError, require_size


class InstanceArrays(NamedTuple):
    """Instances of a frame.

    Attributes:
        bboxes: float (n, 4), x1 y1 x2 y2, pixels.
        labels: int (n,).
        scores: float (n,), None for ground truth.
        masks: bool (n, H, W), None where there are none.
    """

    bboxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray | None
    masks: np.ndarray | None


class FrameMaps(NamedTuple):
    """Predictions or ground truth of a frame; None where a branch has none.

    Attributes:
        semantic: int (H, W), labels; void outside 0..num_classes-1.
        instances: The instances.
        panoptic: int (H, W), ids of `panoptic_ids`.
        depth: float (H, W), meters; 0 = none.
        depth_uncertainty: float (H, W), meters, above 0: the expected absolute error of ``depth``.
            Only predictions have one.
    """

    semantic: np.ndarray | None = None
    instances: InstanceArrays | None = None
    panoptic: np.ndarray | None = None
    depth: np.ndarray | None = None
    depth_uncertainty: np.ndarray | None = None


def to_numpy(value: Any) -> np.ndarray:
    """Turn a tensor, mmdet's boxes or masks, or an array into an array."""
    if hasattr(value, 'to_ndarray'):  # BitmapMasks, PolygonMasks
        return value.to_ndarray()
    if hasattr(value, 'tensor'):  # HorizontalBoxes
        value = value.tensor
    if hasattr(value, 'detach'):
        value = value.detach().cpu()
        if value.is_floating_point():  # numpy has no bfloat16
            value = value.float()
        return value.numpy()
    return np.asarray(value)


def predicted_maps(sample: Any, size: tuple[int, int]) -> FrameMaps:
    """Collect the predictions of a sample.

    Args:
        sample: With any of pred_sem_seg, pred_instances, pred_panoptic_seg, pred_depth_map and
            pred_depth_uncertainty.
        size: (height, width) of the image that they must have.

    Raises:
        InputError: A map of another size than the image.
    """
    return _frame_maps(sample, 'pred', size)


def gt_maps(sample: Any, size: tuple[int, int]) -> FrameMaps:
    """Collect the ground truth of a sample: as `predicted_maps`, of gt_sem_seg and so on."""
    return _frame_maps(sample, 'gt', size)


def sparse_input(sample: Any) -> np.ndarray | None:
    """The sparse depth, float (h, w), meters, at the network's size."""
    return _pixel_map(sample, 'sparse_depth', 'data', None)


def _frame_maps(sample: Any, prefix: str, size: tuple[int, int]) -> FrameMaps:
    return FrameMaps(
        semantic=_pixel_map(sample, f'{prefix}_sem_seg', 'sem_seg', size),
        instances=_instances(sample, f'{prefix}_instances', size),
        panoptic=_pixel_map(sample, f'{prefix}_panoptic_seg', 'sem_seg', size),
        depth=_pixel_map(sample, f'{prefix}_depth_map', 'data', size),
        depth_uncertainty=_pixel_map(sample, f'{prefix}_depth_uncertainty', 'data', size),
    )


def _source(sample: Any) -> str:
    """Name of the frame for messages."""
    return sample.get('img_path') or 'data sample'


def _pixel_map(
    sample: Any, field: str, key: str, size: tuple[int, int] | None
) -> np.ndarray | None:
    """One PixelData as (H, W), or None."""
    if field not in sample:
        return None
    array = to_numpy(sample.get(field).get(key))
    if array.ndim == 3 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 2:
        raise InputError(_source(sample), f'shape {array.shape}', '(1, H, W)', field)
    if size is not None:
        require_size(array.shape, size, f'{_source(sample)}: {field}', 'the image')
    return array


def _instances(sample: Any, field: str, size: tuple[int, int]) -> InstanceArrays | None:
    """The InstanceData of one field, or None."""
    if field not in sample:
        return None
    data = sample.get(field)
    labels = to_numpy(data.labels).astype(np.int64)
    masks = to_numpy(data.masks) if 'masks' in data else None
    if masks is not None:
        if masks.shape != (len(labels), *size) and len(labels):
            raise InputError(
                _source(sample),
                f'masks of shape {masks.shape}',
                f'{(len(labels), *size)}, the size of the image',
                field,
            )
        masks = masks.astype(bool)
    return InstanceArrays(
        to_numpy(data.bboxes).reshape(-1, 4),
        labels,
        to_numpy(data.scores) if 'scores' in data else None,
        masks,
    )
