"""What the metrics of this package share."""

import logging
import sys
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics_file import plain
from pandepth_mm.evaluation.table import Column, Table
from pandepth_mm.structures.frame_maps import to_numpy
from pandepth_mm.structures.frame_names import id_order
from pandepth_mm.structures.panoptic_ids import decode_panoptic


class PerImageMetric(BaseMetric):
    """A metric that sums up small results of single images.

    A distributed sampler pads the data set so that every rank gets the same number of images. Here
    each image is counted once, found by its id, whatever the order in which the ranks deliver it;
    and the images are summed in the order of their ids, so that one rank and many give the same
    numbers to the last bit.

    ``summarize`` returns the few numbers that are logged. What is longer (per class, confusion
    matrices, histograms) goes to ``details``, a nested dict that exists on the main process after
    ``evaluate``, in JSON's types.

    A subclass says how its numbers are printed: ``table`` its rows and columns, ``class_columns``
    the columns of the table by class, both with names without prefix, and ``notes`` what they do
    not show.

    Args:
        classwise: Whether to report per-class values too, where the metric has them, under
            ``prefix/NAME/CLASS``.
        collect_device: Where the ranks' results meet, 'cpu' or 'gpu'.
        prefix: Prefix of the metric names; default: the class's.
        collect_dir: Folder for the exchange between ranks ('cpu' only).
    """

    table: Table | None = None
    class_columns: Sequence[Column] = ()
    max_depth: float | None = None

    def __init__(
        self,
        classwise: bool = False,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.classwise = classwise
        self.details: dict[str, Any] = {}

    @abstractmethod
    def image_result(self, sample: dict) -> Any:
        """Reduce one data sample (a dict) to what the summary needs."""

    @abstractmethod
    def summarize(self, results: dict[int | str, Any]) -> dict[str, float]:
        """Compute the metrics from {img_id: result}, sorted by :func:`id_order`."""

    def notes(self, values: Mapping[str, float | None]) -> list[str]:
        """Lines that go below the tables.

        Args:
            values: The metric's numbers, names without prefix.
        """
        return []

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Reduce each sample; mmengine calls this after every batch."""
        for sample in data_samples:
            img_id = self.get(sample, 'img_id')
            self.results.append((img_id, sample.get('img_path', ''), self.image_result(sample)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Drop repeated images and compute the metrics.

        Raises:
            InputError: Two images with the same id.
        """
        self.details = {}
        unique, paths = {}, {}
        for img_id, path, result in results:
            if paths.setdefault(img_id, path) != path:
                raise InputError(
                    type(self).__name__,
                    f'id {img_id} for both {paths[img_id]} and {path}',
                    'image ids that are unique in the data set',
                    'img_id',
                )
            unique[img_id] = result
        size = getattr(self, '_size', len(unique))
        if len(unique) != size:
            print_log(
                f'{type(self).__name__}: the data set has {size} images, '
                f'but {len(unique)} were evaluated; the numbers are for '
                'those.',
                logger='current',
                level=logging.WARNING,
            )
        metrics = self.summarize({i: unique[i] for i in sorted(unique, key=id_order)})
        self.details = plain(self.details)
        return metrics

    def evaluate(self, size: int) -> dict:
        """Collect the results of all ranks and compute the metrics.

        Args:
            size: Number of images in the data set. It is only checked: mmengine would keep the
                first ``size`` results, repeated ones included, and so lose others.
        """
        self._size = size
        return super().evaluate(sys.maxsize)

    def depth_range(self, sample: dict) -> float | None:
        """Metres up to which depth ground truth counts; None for no limit.

        ``max_depth`` of the metric where it has one, else the range of the model, which its
        predictions have in their meta information.
        """
        return sample.get('max_depth') if self.max_depth is None else self.max_depth

    def get(self, sample: dict, *keys: str) -> Any:
        """Look up ``sample[keys[0]][keys[1]]...`` or say what is missing.

        Raises:
            InputError: The sample has no such entry.
        """
        value: Any = sample
        for key in keys:
            if value is None or key not in value:
                raise InputError(
                    type(self).__name__,
                    f'no {".".join(keys)} in the sample of image {sample.get("img_id", "?")}',
                    'a model and a test pipeline that give it, or an evaluator without this metric',
                    'data sample',
                )
            value = value[key]
        return value

    def get_array(self, sample: dict, *keys: str) -> np.ndarray:
        """Like ``get``, as a numpy array."""
        return to_numpy(self.get(sample, *keys))

    def get_map(self, sample: dict, *keys: str) -> np.ndarray:
        """Like ``get_array``, for a (1, H, W) map: its (H, W)."""
        array = self.get_array(sample, *keys)
        if array.ndim != 3 or array.shape[0] != 1:
            raise InputError(
                type(self).__name__, f'shape {array.shape}', '(1, H, W)', '.'.join(keys)
            )
        return array[0]

    def check_shapes(self, sample: dict, gt: np.ndarray, pred: np.ndarray) -> None:
        """Make sure that a prediction lies on the ground truth's grid."""
        if gt.shape != pred.shape:
            raise InputError(
                type(self).__name__,
                f'a prediction of shape {pred.shape} for image {sample["img_id"]}',
                f'{gt.shape}, the shape of its ground truth',
                'data sample',
            )

    def gt_segments(self, sample: dict) -> tuple[np.ndarray, list[dict]]:
        """Ground truth of ``gt_panoptic_seg`` and ``segments_info``.

        Returns:
            Numbers int32 (H, W), 1 to n, 0 = void, and the n segments as in ``segments_info``,
            their ``id`` the number.
        """
        ids = self.get_map(sample, 'gt_panoptic_seg', 'sem_seg')
        numbers, found = decode_panoptic(ids, len(self.meta('classes')))
        segments = sorted(self.get(sample, 'segments_info'), key=lambda segment: segment['id'])
        if [s['category'] for s in segments] != [s['category'] for s in found]:
            raise InputError(
                type(self).__name__,
                f'{len(segments)} segments for image {sample["img_id"]}',
                f'the {len(found)} of gt_panoptic_seg',
                'segments_info',
            )
        return numbers, [dict(s, id=number) for number, s in enumerate(segments, 1)]

    def meta(self, key: str) -> Any:
        """Look up an entry of the data set's meta information."""
        if not self.dataset_meta or key not in self.dataset_meta:
            raise InputError(
                type(self).__name__,
                f'no {key!r}',
                'a data set whose metainfo has it',
                'dataset_meta',
            )
        return self.dataset_meta[key]

    def per_class(self, values: dict[str, np.ndarray], classes: Sequence[str]) -> dict[str, float]:
        """Flatten {name: (C,)} to {name/class: float} if asked for."""
        if not self.classwise:
            return {}
        return {
            f'{name}/{label}': float(value)
            for name, array in values.items()
            for label, value in zip(classes, array, strict=True)
        }


def class_rows(values: dict[str, Sequence], classes: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Turn {name: (C,)} into {class: {name: value}} for ``details``."""
    return {
        label: {name: array[i] for name, array in values.items()} for i, label in enumerate(classes)
    }
