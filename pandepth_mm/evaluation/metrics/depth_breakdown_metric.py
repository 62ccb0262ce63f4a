"""Where depth is wrong: of the model, and of fills that need no network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pandepth_mm.errors import require_choice, require_positive
from pandepth_mm.evaluation.functional import depth_breakdown as groups_of
from pandepth_mm.evaluation.functional.depth import clamp, drop_beyond, gt_mask
from pandepth_mm.evaluation.metrics.depth_fill_metric import DepthFillMetric
from pandepth_mm.geometry.camera import resize_nearest
from pandepth_mm.registry import METRICS

PARTS = ('range', 'input_distance', 'edge', 'class', 'instance')


@METRICS.register_module()
class DepthBreakdownMetric(DepthFillMetric):
    """Depth errors by groups of pixels and by things; no summary numbers.

    By ``functional.depth_breakdown``, pooled over the pixels of all images. An image leaves a few
    kB of sums, no pixels.

    ``details``: ``breakdown`` with the parts asked for, each with the errors of the model and of
    each fill; ``n_images_without_dense_depth`` (not in 'edge') and ``n_instances_without_gt`` (not
    in 'instance').

    Args:
        parts: What to break the errors down by: 'range' of the ground truth's depth,
            'input_distance' to the nearest input point, 'edge' (of ``dense_depth``, for images that
            have it), 'class' (needs ``gt_sem_seg``), 'instance' (needs ``gt_panoptic_seg`` and
            ``segments_info``).
        max_depth: Ground truth beyond this distance in meters is left out. By default the range of
            the model that predicts.
        **kwargs: Of `DepthFillMetric`.

    Raises:
        InputError: An unknown part or fill, or a ``max_depth`` that is not positive.
    """

    def __init__(
        self, parts: Sequence[str] = PARTS, max_depth: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name in parts:
            require_choice(name, PARTS, 'DepthBreakdownMetric', 'parts')
        if max_depth is not None:
            require_positive(max_depth, 'DepthBreakdownMetric', 'max_depth', 'm')
        self.max_depth = max_depth
        self.parts = tuple(name for name in PARTS if name in parts)

    def image_result(self, sample: dict) -> dict[str, Any]:
        """Sums of each part under its name; no 'edge' without dense depth."""
        maps = self.load(sample)
        valid = gt_mask(maps.gt, self.depth_range(sample))
        gt = maps.gt[valid]
        preds = [clamp(dense[valid])[0] for dense in maps.dense()]
        result: dict[str, Any] = {}
        for name in self.parts:
            if name == 'instance':
                ids = self.get_map(sample, 'gt_panoptic_seg', 'sem_seg')
                ids = resize_nearest(ids, valid.shape)[valid]
                segments = self.get(sample, 'segments_info')
                result[name], result['n_instances_without_gt'] = groups_of.instance_sums(
                    ids, segments, gt, preds
                )
            elif name != 'edge' or 'dense_depth' in sample:
                groups = self._groups(name, sample, maps.gt, maps.sparse)
                result[name] = groups_of.pixel_sums(groups[valid], gt, preds)
        return result

    def _groups(self, name: str, sample: dict, gt: np.ndarray, sparse: np.ndarray) -> np.ndarray:
        """Group of each pixel, int (H, W)."""
        if name == 'range':
            return groups_of.range_groups(gt)
        if name == 'input_distance':
            return groups_of.input_distance_groups(sparse, gt.shape)
        if name == 'class':
            labels = self.get_map(sample, 'gt_sem_seg', 'sem_seg')
            self.check_shapes(sample, labels, gt)
            return groups_of.class_groups(labels, len(self.meta('classes')))
        dense = self.get_map(sample, 'dense_depth', 'data')
        dense = drop_beyond(dense, self.depth_range(sample))
        return resize_nearest(groups_of.depth_edges(dense), gt.shape).astype(int)

    def summarize(self, results: dict[int, dict]) -> dict[str, float]:
        """Add up the parts over all images; fills ``details``."""
        images = list(results.values())
        self.details['breakdown'] = {
            name: self._summarize_part(name, images) for name in self.parts
        }
        if 'edge' in self.parts:
            self.details['n_images_without_dense_depth'] = sum(
                'edge' not in image for image in images
            )
        if 'instance' in self.parts:
            self.details['n_instances_without_gt'] = sum(
                image['n_instances_without_gt'] for image in images
            )
        return {}

    def _summarize_part(self, part: str, images: list[dict]) -> dict[str, Any]:
        """Add up one part of the breakdown over all images."""
        sums = [image[part] for image in images if part in image]
        if part == 'instance':
            classes = self.meta('classes')
            total = groups_of.add_sums(
                sums,
                len(classes) * len(groups_of.RANGE_NAMES),
                len(self.methods),
                len(groups_of.INSTANCE_SUMS),
            )
            return groups_of.instance_summary(total, classes, self.methods)
        if part == 'class':
            names = (*self.meta('classes'), groups_of.VOID_NAME)
        else:
            names = dict(
                range=groups_of.RANGE_NAMES,
                input_distance=groups_of.INPUT_DISTANCE_NAMES,
                edge=groups_of.EDGE_NAMES,
            )[part]
        total = groups_of.add_sums(sums, len(names), len(self.methods), len(groups_of.PIXEL_SUMS))
        return groups_of.pixel_summary(total, names, self.methods)
