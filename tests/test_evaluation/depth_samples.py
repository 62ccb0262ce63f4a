"""Small data samples with everything that DepthMetric reads."""

import cv2
import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

from pandepth_mm.fileio import write_panoptic_png

SHAPE, NETWORK = (18, 31), (10, 20)
THINGS = ('Truck', 'Car')
CLASSES = (*THINGS, 'Road', 'Sky')
VOID = 255
META = dict(classes=CLASSES, thing_classes=THINGS, stuff_classes=CLASSES[2:])


def make_sample(folder, img_id, dense=True):
    """A frame: road that rises to the horizon, sky, and up to four things.

    The arrays that it is made of are kept as lists, for plain loops, under
    ``raw``.
    """
    rng = np.random.default_rng(img_id)
    height, width = SHAPE
    labels = np.full(SHAPE, 2)
    depth = np.repeat(100 / (np.arange(height) + 1.0)[:, None], width, axis=1)
    labels[:3], depth[:3] = 3, 0
    ids = labels + 1
    segments = [
        dict(id=3, category=2, isthing=0, iscrowd=0),
        dict(id=4, category=3, isthing=0, iscrowd=0),
    ]
    for k in range(img_id % 5):
        top, left = rng.integers(0, 10), 7 * k + rng.integers(0, 3)
        box = np.s_[top : top + rng.integers(2, 7), left : left + 5]
        category = int(rng.integers(0, 2))
        labels[box], ids[box] = category, 300 + k
        depth[box] = rng.uniform(2, 100)
        segments.append(dict(id=300 + k, category=category, isthing=1, iscrowd=int(k == 3)))
    labels[-1, :4], ids[-1, :4] = VOID, 0
    segments = [s for s in segments if (ids == s['id']).any()]
    raw = np.rint(100 * depth).astype(np.uint16)
    depth = raw.astype(np.float32) / np.float32(100)
    gt = np.where(rng.random(SHAPE) < 0.4, depth, 0).astype(np.float32)
    pred = np.where(depth > 0, depth, 9) * rng.uniform(0.7, 1.3, SHAPE)
    pred = pred.astype(np.float32)
    pred[rng.random(SHAPE) < 0.05] = np.nan
    sparse = np.zeros((12, 24), np.float32)  # padded
    sparse[: NETWORK[0], : NETWORK[1]] = rng.uniform(2, 80, NETWORK)
    sparse[rng.random(sparse.shape) < 0.95] = 0
    raw[raw == 0] = 65535

    panoptic_path = folder / f'panoptic{img_id}.png'
    write_panoptic_png(panoptic_path, ids)
    meta = dict(
        img_id=img_id,
        img_path=f'{img_id}.jpg',
        ori_shape=SHAPE,
        img_shape=NETWORK,
        seg_map_path=str(panoptic_path),
        segments_info=segments,
    )
    if dense:
        meta['dense_depth_path'] = str(folder / f'dense{img_id}.png')
        meta['dense_depth_scale'] = 100.0
        cv2.imwrite(meta['dense_depth_path'], raw)
    sample = DetDataSample(metainfo=meta)
    for name, array, key in (
        ('gt_depth_map', gt, 'data'),
        ('pred_depth_map', pred, 'data'),
        ('sparse_depth', sparse, 'data'),
        ('gt_sem_seg', labels, 'sem_seg'),
    ):
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
