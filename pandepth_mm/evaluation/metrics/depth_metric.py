"""Depth errors of the model and of fills that need no network."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.functional import depth_breakdown as parts
from pandepth_mm.evaluation.functional.depth import (
    clamp,
    depth_means,
    depth_pooled,
    depth_row,
    depth_summary,
    seen_pixels,
    truth_mask,
)
from pandepth_mm.evaluation.functional.depth_fill import (
    classical_fill,
    nearest_fill,
    resize_bilinear,
)
from pandepth_mm.evaluation.functional.depth_legacy import legacy_row, legacy_summary
from pandepth_mm.evaluation.metrics.dense_depth import dense_truth
from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric
from pandepth_mm.fileio import read_panoptic_png
from pandepth_mm.geometry.camera import resize_nearest
from pandepth_mm.registry import METRICS

FILLS = dict(nearest_fill=nearest_fill, classical_fill=classical_fill)
BREAKDOWN = ('range', 'input_distance', 'edge', 'class', 'instance')


@METRICS.register_module()
class DepthMetric(PerImageMetric):
    """KITTI's depth errors, where they are, and those of plain fills.

    By the formulas of ``functional.depth``: per image over the pixels with
    ground truth, then the mean over the images. Compares
    ``pred_depth_map.data`` with ``gt_depth_map.data``, both (1, H, W) in
    metres. Beside the model stand fills of the same input: ``sparse_depth``
    at the network's input size, padding cropped, filled there and resized
    to the ground truth's size bilinearly, as the model's output is. An image
    leaves a few kB of sums, no pixels.

    Metrics: ``rmse``, ``mae`` (mm), ``irmse``, ``imae`` (1/km), ``absrel``,
    ``sqrel_kitti`` (fractions), ``sqrel_eigen`` (m), ``silog`` (KITTI's,
    times 100), ``delta1``, ``delta2``, ``delta3`` (fractions);
    ``unseen_rmse``, ``unseen_mae``, over the pixels that were not given as
    input (``functional.depth.seen_pixels``); ``rmse_pooled`` (over the
    pixels of all images); ``n_clamped`` (predictions below 1/256 m or not
    finite, which are set to that), ``n_images_without_gt`` (left out of the
    means). The same under ``nearest_fill/`` and ``classical_fill/``. With
    ``legacy``, ``legacy/rmse_units`` and, of the model alone,
    ``legacy/rmse_valid`` (mm) and ``legacy/density``, see
    ``functional.depth_legacy``: not comparable with the rest. The model's
    map is brought back to the network's grid for it by the nearest pixels;
    the fills are compared as they are there.

    ``details``: ``model`` and each fill, with ``per_image_mean``,
    ``pooled``, ``unseen_per_image_mean`` and ``unseen_pooled`` of every
    error; ``breakdown``, for what is asked for, see
    ``functional.depth_breakdown`` (pooled over pixels);
    ``n_images_without_dense_depth`` (not in 'edge') and
    ``n_instances_without_gt`` (not in 'instance').

    Args:
        fills: Which fills to compare with, of 'nearest_fill' and
            'classical_fill'; () for none.
        max_depth: Ground truth beyond this distance in metres is left out;
            None keeps all.
        breakdown: What to break the errors down by: 'range' of the true
            depth, 'input_distance' to the nearest input point, 'edge' (of
            the dense depth, for images that have one), 'class' (needs
            ``gt_sem_seg``), 'instance' (needs ``seg_map_path`` and
            ``segments_info``); () for nothing.
        legacy: Whether to report the RMSE by the authors' recipe too.
        collect_device: Where the ranks' results meet, 'cpu' or 'gpu'.
        prefix: Prefix of the metric names.
        collect_dir: Folder for the exchange between ranks ('cpu' only).

    Raises:
        InputError: An unknown fill or part of the breakdown, or a
            ``max_depth`` that is not positive.
    """

    default_prefix = 'depth'

    def __init__(
        self,
        fills: Sequence[str] = ('nearest_fill', 'classical_fill'),
        max_depth: float | None = None,
        breakdown: Sequence[str] = ('range', 'input_distance', 'edge'),
        legacy: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        for field, given, known in (
            ('fills', fills, sorted(FILLS)),
            ('breakdown', breakdown, BREAKDOWN),
        ):
            unknown = sorted(set(given) - set(known))
            if unknown:
                raise InputError('DepthMetric', str(unknown), f'names out of {known}', field)
        if max_depth is not None and not max_depth > 0:
            raise InputError('DepthMetric', str(max_depth), 'None or a distance > 0 m', 'max_depth')
        self.fills = tuple(fills)
        self.max_depth = max_depth
        self.breakdown = tuple(name for name in BREAKDOWN if name in breakdown)
        self.legacy = legacy

    def image_result(self, sample: dict) -> dict[str, Any]:
        """Reduce one image to sums.

        Returns:
            ``rows``, float64 (1 + number of fills, 2, 14): errors over all
            pixels, and over those that were not given; the sums of each part
            of the breakdown under its name; ``legacy``, float64
            (1 + number of fills, 3).
        """
        gt = self.get_map(sample, 'gt_depth_map', 'data')
        pred = self.get_map(sample, 'pred_depth_map', 'data')
        self.check_shapes(sample, gt, pred)
        height, width = self.get(sample, 'img_shape')[:2]
        sparse = self.get_map(sample, 'sparse_depth', 'data')
        sparse = sparse[:height, :width]

        filled = [FILLS[name](sparse) for name in self.fills]
        maps = [pred] + [resize_bilinear(dense, gt.shape) for dense in filled]
        unseen = np.where(seen_pixels(sparse, gt.shape), 0, gt)
        result: dict[str, Any] = dict(
            rows=np.array(
                [
                    [depth_row(truth, dense, self.max_depth) for truth in (gt, unseen)]
                    for dense in maps
                ]
            )
        )
        if self.legacy:
            on_grid = [resize_nearest(pred, sparse.shape), *filled]
            result['legacy'] = np.array([legacy_row(gt, dense) for dense in on_grid])
        if self.breakdown:
            self._break_down(result, sample, gt, sparse, maps)
        return result

    def _break_down(
        self, result: dict, sample: dict, gt: np.ndarray, sparse: np.ndarray, maps: list[np.ndarray]
    ) -> None:
        """Add the sums of each part of the breakdown to an image's result."""
        valid = truth_mask(gt, self.max_depth)
        truth = gt[valid]
        preds = [clamp(dense[valid])[0] for dense in maps]
        for name in self.breakdown:
            if name == 'instance':
                ids = read_panoptic_png(
                    self.get(sample, 'seg_map_path'), self.get(sample, 'ori_shape')[:2]
                )
                ids = resize_nearest(ids, gt.shape)[valid]
                segments = self.get(sample, 'segments_info')
                sums, hidden = parts.instance_sums(ids, segments, truth, preds)
                result[name], result['n_instances_without_gt'] = sums, hidden
                continue
            groups = self._groups(name, sample, gt, sparse)
            if groups is not None:
                result[name] = parts.pixel_sums(groups[valid], truth, preds)

    def _groups(
        self, name: str, sample: dict, gt: np.ndarray, sparse: np.ndarray
    ) -> np.ndarray | None:
        """Group of each pixel, int (H, W); None if there is no truth."""
        if name == 'range':
            return parts.range_groups(gt)
        if name == 'input_distance':
            return parts.input_distance_groups(sparse, gt.shape)
        if name == 'class':
            labels = self.get_map(sample, 'gt_sem_seg', 'sem_seg')
            self.check_shapes(sample, labels, gt)
            return parts.class_groups(labels, len(self.meta('classes')))
        dense = dense_truth(self, sample, self.max_depth)
        if dense is None:
            return None
        return resize_nearest(parts.depth_edges(dense), gt.shape).astype(int)

    def summarize(self, results: dict[int, dict]) -> dict[str, float]:
        """Mean errors of the whole set; fills ``details``."""
        images = list(results.values())
        names = ('model', *self.fills)
        metrics: dict[str, float] = {}
        for i, name in enumerate(names):
            prefix = '' if name == 'model' else f'{name}/'
            rows, unseen = (np.array([image['rows'][i, k] for image in images]) for k in (0, 1))
            means = depth_means(unseen)
            summary = depth_summary(rows)
            summary.update({f'unseen_{key}': means[key] for key in ('rmse', 'mae')})
            if self.legacy:
                legacy = legacy_summary(np.array([image['legacy'][i] for image in images]))
                keys = legacy if i == 0 else ('rmse_units',)
                summary.update({f'legacy/{key}': legacy[key] for key in keys})
            metrics.update({prefix + k: v for k, v in summary.items()})
            self.details[name] = {
                f'{start}{kind}': function(array)
                for start, array in (('', rows), ('unseen_', unseen))
                for kind, function in (('per_image_mean', depth_means), ('pooled', depth_pooled))
            }
        if self.breakdown:
            self.details['breakdown'] = {
                name: self._summarize_part(name, images, names) for name in self.breakdown
            }
        if 'edge' in self.breakdown:
            self.details['n_images_without_dense_depth'] = sum(
                'edge' not in image for image in images
            )
        if 'instance' in self.breakdown:
            self.details['n_instances_without_gt'] = sum(
                image['n_instances_without_gt'] for image in images
            )
        return metrics

    def _summarize_part(
        self, part: str, images: list[dict], names: Sequence[str]
    ) -> dict[str, Any]:
        """Add up one part of the breakdown over all images."""
        sums = [image[part] for image in images if part in image]
        if part == 'instance':
            classes = self.meta('classes')
            total = parts.add_sums(
                sums, len(classes) * len(parts.RANGE_NAMES), len(names), len(parts.INSTANCE_SUMS)
            )
            return parts.instance_summary(total, classes, names)
        groups = dict(
            range=parts.RANGE_NAMES,
            input_distance=parts.INPUT_DISTANCE_NAMES,
            edge=parts.EDGE_NAMES,
        )
        if part == 'class':
            groups['class'] = (*self.meta('classes'), parts.VOID_NAME)
        total = parts.add_sums(sums, len(groups[part]), len(names), len(parts.PIXEL_SUMS))
        return parts.pixel_summary(total, groups[part], names)
