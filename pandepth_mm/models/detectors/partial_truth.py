"""Batches whose samples do not have all ground truth: one from here, one from there.

A loss is that of the samples that have its ground truth, as if they were the batch.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor

from pandepth_mm.structures.panoptic_ids import VOID_LABEL

_HAS: dict[str, Callable[[DetDataSample], bool]] = dict(
    labels=lambda sample: 'gt_sem_seg' in sample,
    instances=lambda sample: 'gt_instances' in sample and 'bboxes' in sample.gt_instances,
    depth=lambda sample: 'gt_depth_map' in sample,
)


class WithTruth(NamedTuple):
    """The part of a batch that has a ground truth.

    Attributes:
        outputs: Of the network, for the ``samples``.
        samples: With the ground truth; never none.
        weight: 1; 0 where no sample of the batch has it, and ``samples`` is one without anything.
    """

    outputs: Any
    samples: SampleList
    weight: int

    def weighted(self, losses: dict[str, Tensor | list[Tensor]]) -> dict[str, Tensor | list]:
        """Losses of the ``samples``, which are 0 where they stand for nothing."""
        if self.weight:
            return losses
        return {
            key: [v * 0 for v in value] if isinstance(value, list) else value * 0
            for key, value in losses.items()
        }


def with_truth(kind: str, outputs: Any, samples: SampleList) -> WithTruth:
    """Pick the samples that have a ground truth.

    Where none has it, the first one stands in with an empty ground truth and a weight of 0. So each
    parameter gets a gradient in every step, and the processes of a distributed run pass the same
    synchronized norms, whatever their batches hold.

    Args:
        kind: 'labels' (``gt_sem_seg``), 'instances' (boxes in ``gt_instances``) or 'depth'
            (``gt_depth_map``).
        outputs: Nested tuples of tensors (B, ...) and None.
        samples: The B samples of the batch.
    """
    indices = [i for i, sample in enumerate(samples) if _HAS[kind](sample)]
    if len(indices) == len(samples):
        return WithTruth(outputs, samples, 1)
    if indices:
        return WithTruth(_pick(outputs, indices), [samples[i] for i in indices], 1)
    first = _pick(outputs, [0])
    return WithTruth(first, [_without_anything(samples[0], _a_tensor(first))], 0)


def _pick(outputs: Any, indices: Sequence[int]) -> Any:
    """The outputs of some images of the batch."""
    if outputs is None:
        return None
    if isinstance(outputs, Tensor):
        return outputs[list(indices)]
    parts = [_pick(part, indices) for part in outputs]
    return type(outputs)(*parts) if hasattr(outputs, '_fields') else type(outputs)(parts)


def _a_tensor(outputs: Any) -> Tensor:
    """Any tensor of the outputs, for its device."""
    if isinstance(outputs, Tensor):
        return outputs
    return next(_a_tensor(part) for part in outputs if part is not None)


def _without_anything(sample: DetDataSample, like: Tensor) -> DetDataSample:
    """A sample of the same image: void, no instance, no depth."""
    size = tuple(sample.batch_input_shape)
    labels = torch.full((1, *size), VOID_LABEL, dtype=torch.long, device=like.device)
    empty = DetDataSample(metainfo=sample.metainfo)
    empty.gt_sem_seg = PixelData(sem_seg=labels)
    empty.gt_depth_map = PixelData(data=torch.zeros((1, *size), device=like.device))
    empty.gt_instances = InstanceData(
        bboxes=torch.zeros((0, 4), device=like.device),
        labels=labels.new_zeros(0),
        masks=BitmapMasks([], *size),
    )
    return empty
