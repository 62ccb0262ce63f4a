"""Small data samples with everything that the depth metrics read."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

SHAPE, NETWORK = (18, 31), (10, 20)
THINGS = ('Truck', 'Car')
CLASSES = (*THINGS, 'Road', 'Sky')
VOID = 255
META = dict(classes=CLASSES, thing_classes=THINGS, stuff_classes=CLASSES[2:])


def make_sample(img_id, dense=True):
    """A frame: road that rises to the horizon, sky, and up to four things.

    The arrays that it is made of are kept as lists, for plain loops, under ``raw``.
    """
    rng = np.random.default_rng(img_id)
    height, width = SHAPE
    labels = np.full(SHAPE, 2)
    depth = np.repeat(100 / (np.arange(height) + 1.0)[:, None], width, axis=1)
    labels[:3], depth[:3] = 3, 0
    ids = labels.copy()
    segments = [
        dict(id=2, category=2, isthing=False, iscrowd=False),
        dict(id=3, category=3, isthing=False, iscrowd=False),
    ]
    for k in range(img_id % 5):
        top, left = rng.integers(0, 10), 7 * k + rng.integers(0, 3)
        box = np.s_[top : top + rng.integers(2, 7), left : left + 5]
        category = int(rng.integers(0, 2))
        thing = category + 1000 * (k + 1)
        labels[box], ids[box] = category, thing
        depth[box] = rng.uniform(2, 100)
        segments.append(dict(id=thing, category=category, isthing=True, iscrowd=k == 3))
    labels[-1, :4], ids[-1, :4] = VOID, len(CLASSES)
    segments = [s for s in segments if (ids == s['id']).any()]
    depth = depth.astype(np.float32)
    gt = np.where(rng.random(SHAPE) < 0.4, depth, 0).astype(np.float32)
    pred = np.where(depth > 0, depth, 9) * rng.uniform(0.7, 1.3, SHAPE)
    pred = pred.astype(np.float32)
    pred[rng.random(SHAPE) < 0.05] = np.nan
    sparse = np.zeros((12, 24), np.float32)  # padded
    sparse[: NETWORK[0], : NETWORK[1]] = rng.uniform(2, 80, NETWORK)
    sparse[rng.random(sparse.shape) < 0.95] = 0

    meta = dict(
        img_id=img_id,
        img_path=f'{img_id}.jpg',
        ori_shape=SHAPE,
        img_shape=NETWORK,
        segments_info=segments,
    )
    sample = DetDataSample(metainfo=meta)
    maps = dict(
        gt_depth_map=gt,
        pred_depth_map=pred,
        sparse_depth=sparse,
        gt_sem_seg=labels,
        gt_panoptic_seg=ids,
        **(dict(dense_depth=depth) if dense else {}),
    )
    for name, array in maps.items():
        key = 'sem_seg' if name.endswith('seg') else 'data'
        setattr(sample, name, PixelData(**{key: torch.from_numpy(array.copy())[None]}))
    lists = dict(
        gt=gt.tolist(),
        pred=pred.tolist(),
        labels=labels.tolist(),
        ids=ids.tolist(),
        dense=depth.tolist(),
        segments=segments,
        sparse=sparse[: NETWORK[0], : NETWORK[1]].tolist(),
    )
    return sample, lists
