"""What the branch of proposals gets: its config, features and samples."""

import contextlib
import copy
from collections.abc import Iterator

import torch
from mmdet.structures import DetDataSample
from mmdet.utils import ConfigType, OptConfigType
from mmengine.structures import InstanceData
from torch import Tensor

from pandepth_mm.errors import InputError
from pandepth_mm.mmcv_ops import ops_in_use
from pandepth_mm.models.hand_down import hand_down


def complete_roi_head(
    roi_head: ConfigType, num_things: int, train_cfg: OptConfigType, test_cfg: OptConfigType
) -> dict:
    """Write class counts and train / test configs into a copy of ``roi_head``.

    Raises:
        InputError: ``test_cfg`` lacks a part, or a head states another count.
    """
    if test_cfg is None or not {'rpn', 'rcnn'} <= set(test_cfg):
        raise InputError('config', str(test_cfg), "a dict with 'rpn' and 'rcnn'", 'model.test_cfg')
    roi_head = copy.deepcopy(roi_head)
    for name in ('bbox_head', 'mask_head'):
        if roi_head.get(name) is not None:
            roi_head[name] = hand_down(
                roi_head[name], f'model.roi_head.{name}', dict(num_classes=num_things)
            )
    roi_head.update(
        train_cfg=train_cfg.get('rcnn') if train_cfg else None, test_cfg=test_cfg['rcnn']
    )
    return roi_head


@contextlib.contextmanager
def full_precision(feats: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Switch autocast off and give the maps in float32 for the instance branch.

    mmcv's RoIAlign has no bfloat16, and its 8 bits could not place a corner. Compiled, it reads the
    memory as NCHW, whatever the strides, so the maps are contiguous then.
    """
    as_they_are = ops_in_use() == 'plain torch'
    with torch.autocast(feats[0].device.type, enabled=False):
        yield tuple(x.float() if as_they_are else x.float().contiguous() for x in feats)


def class_agnostic(sample: DetDataSample) -> DetDataSample:
    """A light copy for the RPN: boxes of one class, no pixel maps."""
    light = DetDataSample(metainfo=sample.metainfo)
    light.gt_instances = InstanceData(
        bboxes=sample.gt_instances.bboxes, labels=torch.zeros_like(sample.gt_instances.labels)
    )
    if 'ignored_instances' in sample:
        light.ignored_instances = sample.ignored_instances
    return light
