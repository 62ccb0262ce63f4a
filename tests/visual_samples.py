"""Data samples with all that can be drawn."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.vkitti2_meta import CLASSES

META = dict(classes=CLASSES, palette=default_palette(CLASSES))
CAR, SKY, ROAD, VOID = 1, 4, 8, 14
PREDICTIONS = ('pred_sem_seg', 'pred_instances', 'pred_panoptic_seg', 'pred_depth_map')


def make_image(height=128, width=416, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_sample(height=128, width=416, keep=None, gt=True, **meta):
    """Sky over road with two cars; the prediction lacks the second.

    Args:
        height, width: Size, pixels.
        keep: Prediction fields to keep, all by default.
        gt: With ground truth.
        meta: Metainfo.
    """
    labels = np.full((height, width), SKY)
    labels[height // 2 :] = ROAD
    masks = np.zeros((2, height, width), dtype=bool)
    top, bottom = height // 2, height // 2 + height // 5
    masks[0, top:bottom, width // 8 : width // 4] = True
    masks[1, top:bottom, width // 2 : width * 3 // 4] = True
    boxes = torch.tensor(
        [[width // 8, top, width // 4, bottom], [width // 2, top, width * 3 // 4, bottom]]
    ).float()
    depth = np.where(labels == ROAD, 12.0, 0).astype(np.float32)
    rng = np.random.default_rng(1)
    sparse = np.where(rng.random((height // 2, width // 2)) < 0.05, 12.0, 0)

    sample = DetDataSample(metainfo=dict(img_path='a/b.png', img_id=7) | meta)
    sample.sparse_depth = PixelData(data=torch.from_numpy(sparse).float()[None])
    pred_labels = labels.copy()
    pred_labels[masks[0]] = CAR
    panoptic = labels.copy()
    panoptic[masks[0]] = CAR + 1000
    panoptic[:4, :4] = VOID
    sample.pred_sem_seg = PixelData(sem_seg=torch.from_numpy(pred_labels)[None])
    sample.pred_panoptic_seg = PixelData(sem_seg=torch.from_numpy(panoptic)[None])
    sample.pred_instances = InstanceData(
        bboxes=boxes[:1],
        labels=torch.tensor([CAR]),
        scores=torch.tensor([0.9]),
        masks=torch.from_numpy(masks[:1]),
    )
    sample.pred_depth_map = PixelData(data=torch.full((1, height, width), 30.0))
    for field in PREDICTIONS:
        if keep is not None and field not in keep:
            delattr(sample, field)
    if gt:
        labels = labels.copy()
        labels[masks.any(0)] = CAR
        labels[-4:, -4:] = 255
        panoptic = np.where(labels == 255, VOID, labels)
        for k, mask in enumerate(masks, 1):
            panoptic[mask] = CAR + 1000 * k
        sample.gt_panoptic_seg = PixelData(sem_seg=torch.from_numpy(panoptic)[None])
        sample.gt_sem_seg = PixelData(sem_seg=torch.from_numpy(labels)[None])
        sample.gt_instances = InstanceData(
            bboxes=boxes,
            labels=torch.tensor([CAR, CAR]),
            masks=BitmapMasks(masks.astype(np.uint8), height, width),
        )
        sample.gt_depth_map = PixelData(data=torch.from_numpy(depth)[None])
    return sample
