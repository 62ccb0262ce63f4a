"""Which anchors and RoIs are objects, which are background, which are neither."""

import torch
from mmdet.models.task_modules import AssignResult, MaxIoUAssigner
from mmdet.structures.bbox import bbox_overlaps
from mmengine.structures import InstanceData
from torch import Tensor

from pandepth_mm.errors import require_fraction
from pandepth_mm.registry import TASK_UTILS


@TASK_UTILS.register_module()
class IgnoringAssigner(MaxIoUAssigner):
    """mmdet's assigner, with regions that are not background.

    A box that belongs to no object is ignored, not background, where more than ``ignore_iof_thr``
    of it lies in an ignored region: a crowd, or an instance too small to be learned. mmdet's
    `MaxIoUAssigner` has that option too, with three differences: there it does not hold in images
    without any object, it takes boxes from an object beside a region, and it does nothing for a
    region smaller than the anchors, which here counts as ``min_ignored_side`` wide and high.

    Args:
        ignore_iof_thr: The share of a box, 0 to 1.
        min_ignored_side: Smallest width and height of a region, pixels: the smallest anchor's.
        **kwargs: Arguments of mmdet's `MaxIoUAssigner`.

    Raises:
        InputError: ``ignore_iof_thr`` is no share.
    """

    def __init__(self, ignore_iof_thr: float = 0.5, min_ignored_side: float = 0, **kwargs) -> None:
        require_fraction(ignore_iof_thr, 'assigner', 'ignore_iof_thr')
        super().__init__(**kwargs)
        self.share = ignore_iof_thr
        self.min_ignored_side = min_ignored_side

    def assign(
        self,
        pred_instances: InstanceData,
        gt_instances: InstanceData,
        gt_instances_ignore: InstanceData | None = None,
        **kwargs,
    ) -> AssignResult:
        """Assign boxes to objects.

        Args:
            pred_instances: ``priors`` (n, 4), x0, y0, x1, y1.
            gt_instances: ``bboxes`` (k, 4) and ``labels`` (k,) of the objects.
            gt_instances_ignore: ``bboxes`` (m, 4) of the ignored regions.
            **kwargs: Not used.

        Returns:
            mmdet's result; its ``gt_inds`` (n,) are 1 to k, 0 for background, -1 for neither.
        """
        result = super().assign(pred_instances, gt_instances)
        if gt_instances_ignore is not None and len(gt_instances_ignore):
            regions = _at_least(gt_instances_ignore.bboxes, self.min_ignored_side)
            shares = bbox_overlaps(pred_instances.priors, regions, mode='iof')
            inside = shares.amax(dim=1) > self.share
            result.gt_inds[(result.gt_inds == 0) & inside] = -1
        return result


def _at_least(boxes: Tensor, side: float) -> Tensor:
    """Enlarge boxes (m, 4) about their centers to a least width and height."""
    center = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]).clamp(min=side) / 2
    return torch.cat([center - half, center + half], dim=1)
