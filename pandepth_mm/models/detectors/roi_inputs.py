"""What the branch of proposals gets of features and samples."""

import contextlib
from collections.abc import Iterator

import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor


@contextlib.contextmanager
def full_precision(feats: tuple[Tensor, ...]) -> Iterator[tuple[Tensor, ...]]:
    """Switch autocast off and give the maps in float32, contiguous, for the instance branch.

    mmcv's RoIAlign has no bfloat16, and its 8 bits could not place a corner. It reads the memory as
    NCHW, whatever the strides.
    """
    with torch.autocast(feats[0].device.type, enabled=False):
        yield tuple(x.float().contiguous() for x in feats)


def class_agnostic(sample: DetDataSample) -> DetDataSample:
    """A light copy for the RPN: boxes of one class, no pixel maps."""
    light = DetDataSample(metainfo=sample.metainfo)
    light.gt_instances = InstanceData(
        bboxes=sample.gt_instances.bboxes, labels=torch.zeros_like(sample.gt_instances.labels)
    )
    if 'ignored_instances' in sample:
        light.ignored_instances = sample.ignored_instances
    return light
