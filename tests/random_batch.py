"""Random inputs for the model, without files."""

import numpy as np

# the processes that tests spawn need mmcv's ops before mmdet asks for them
import pandepth_mm.registry  # noqa: F401

# isort: split
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData


def random_sample(seed=0, size=(64, 96), num_instances=2, num_things=3, num_stuff=11, density=0.05):
    """One packed item as the data set gives it: ``inputs``, sample."""
    rng = np.random.default_rng(seed)
    height, width = size
    depth = 5 + 40 * rng.random((height, width), dtype=np.float32)
    sparse = np.where(rng.random(size) < density, depth, 0)
    sparse = sparse.astype(np.float32)
    gt_depth = np.where(rng.random(size) < 0.2, depth, 0).astype(np.float32)
    sem_seg = rng.integers(num_things, num_things + num_stuff, size)
    boxes, labels, masks = [], [], []
    for _ in range(num_instances):
        label = rng.integers(num_things)
        w, h = rng.integers(16, width // 2), rng.integers(16, height // 2)
        x, y = rng.integers(width - w), rng.integers(height - h)
        mask = np.zeros(size, np.uint8)
        mask[y : y + h, x : x + w] = 1
        sem_seg[mask == 1] = label
        boxes.append([x, y, x + w, y + h])
        labels.append(label)
        masks.append(mask)
    sem_seg[:2] = 255
    sample = DetDataSample(
        metainfo=dict(
            img_id=seed,
            img_path=f'frame_{seed}.jpg',
            ori_shape=size,
            img_shape=size,
            scale_factor=(1.0, 1.0),
        )
    )
    sample.gt_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor(labels, dtype=torch.long),
        masks=BitmapMasks(masks, height, width),
    )
    sample.ignored_instances = InstanceData(
        bboxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.long),
        masks=BitmapMasks([], height, width),
    )
    sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(sem_seg.astype(np.int64))[None])
    sample.gt_depth_map = PixelData(data=torch.from_numpy(gt_depth)[None])
    sample.sparse_depth = PixelData(data=torch.from_numpy(sparse)[None])
    focal = width * 0.6
    cam2img = torch.tensor([[focal, 0, (width - 1) / 2], [0, focal, (height - 1) / 2], [0, 0, 1]])
    image = rng.integers(0, 256, (3, height, width), dtype=np.uint8)
    inputs = dict(
        img=torch.from_numpy(image), sparse_depth=torch.from_numpy(sparse)[None], cam2img=cam2img
    )
    return dict(inputs=inputs, data_samples=sample)


def random_batch(seeds=(0, 1), **kwargs):
    """A collated batch of :func:`random_sample`, one per seed."""
    items = [random_sample(seed, **kwargs) for seed in seeds]
    inputs = {key: [item['inputs'][key] for item in items] for key in items[0]['inputs']}
    return dict(inputs=inputs, data_samples=[item['data_samples'] for item in items])
