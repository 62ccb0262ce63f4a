"""Random frames of the shape that a data loader gives, for timing without data."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from pandepth_mm.geometry.calibration import Calibration, guess_calibration

INSTANCES = 12
_FRAME_SIZE = (375, 1242)


def random_batch(
    images: int, size: tuple[int, int], points: int, num_classes: int, num_things: int
) -> dict:
    """Make a batch, always the same one.

    Args:
        images: Number of images.
        size: (height, width).
        points: Pixels with sparse depth in each.
        num_classes: Labels of the semantic ground truth.
        num_things: Labels of the instances, 12 in each image, at most 32 pixels wide: as small as
            those of the demo. None of them without thing classes.

    Returns:
        dict: ``inputs`` and ``data_samples`` as the data preprocessor takes them, with ground truth
        at the size of the image.
    """
    rng = np.random.default_rng(0)
    height, width = size
    inputs: dict[str, list] = dict(img=[], sparse_depth=[], cam2img=[])
    samples = []
    instances = INSTANCES if num_things else 0
    for number in range(images):
        depth = rng.uniform(2, 60, (1, height, width)).astype(np.float32)
        sparse = np.zeros_like(depth)
        measured = rng.choice(depth.size, points, replace=False)
        sparse.flat[measured] = depth.flat[measured]
        inputs['img'].append(
            torch.from_numpy(rng.integers(0, 256, (3, height, width)).astype(np.uint8))
        )
        inputs['sparse_depth'].append(torch.from_numpy(sparse))
        inputs['cam2img'].append(
            torch.tensor([[width * 0.6, 0, width / 2], [0, width * 0.6, height / 2], [0, 0, 1]])
        )
        corner = rng.uniform(0, (max(width - 40, 1), max(height - 32, 1)), (instances, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(4, 32, (instances, 2))], axis=1)
        masks = np.zeros((instances, height, width), np.uint8)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.astype(int), strict=True):
            mask[y1 : y2 + 1, x1 : x2 + 1] = 1
        sample = DetDataSample(
            metainfo=dict(
                img_id=number,
                img_path=f'random_{number}.png',
                img_shape=(height, width),
                ori_shape=(height, width),
                scale_factor=(1.0, 1.0),
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=HorizontalBoxes(boxes.astype(np.float32)),
            labels=torch.from_numpy(rng.integers(0, max(num_things, 1), instances)),
            masks=BitmapMasks(masks, height, width),
        )
        sample.ignored_instances = sample.gt_instances[:0]
        sample.gt_sem_seg = PixelData(
            sem_seg=torch.from_numpy(rng.integers(0, num_classes, (1, height, width)))
        )
        sample.gt_depth_map = PixelData(data=torch.from_numpy(depth))
        samples.append(sample)
    return dict(inputs=inputs, data_samples=samples)


def random_scan(points: int) -> tuple[np.ndarray, np.ndarray, Calibration]:
    """An image (H, W, 3), points (N, 3) that all lie in it, and their calibration."""
    rng = np.random.default_rng(0)
    height, width = _FRAME_SIZE
    calibration = guess_calibration(width, height)._replace(lidar2cam=np.eye(4))
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels = np.ones((points, 3))
    pixels[:, :2] = rng.uniform(0, (width - 1, height - 1), (points, 2))
    rays = pixels @ np.linalg.inv(calibration.cam2img).T
    cloud = rays * rng.uniform(3, 70, (points, 1))
    return image, cloud.astype(np.float32), calibration
