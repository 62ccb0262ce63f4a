"""Comparing the sampling grid of training and prediction before long work."""

import math
from collections.abc import Iterator

from mmcv.cnn.bricks import Conv2dAdaptivePadding
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from pandepth_mm.datasets.transforms import (
    RandomCropPanopticDepth,
    RandomResizePanopticDepth,
    ResizePanopticDepth,
)
from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class CheckPaddingHook(Hook):
    """Check that padding in training does not shift the backbone's sampling grid.

    The 'same' padding of an EfficientNet samples an even side at other pixels than an odd one, on
    each of its five levels. So an image of n pixels that a batch pads to N is sampled where it is
    when it is predicted, alone, only if N and n leave the same remainder by 32, the largest stride.
    And the maps of all levels fit one upon the other only where that remainder is 0. So either
    ``pad_size_divisor`` is a multiple of that stride, which then holds for training and prediction,
    or all images of the training set have one size. A `ResizePanopticDepth` that keeps the ratio
    gives images of different shape different sizes.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Check the training set.

        Raises:
            InputError: Its images have several sizes, and the padding would shift them.
        """
        model = unwrapped_model(runner)
        stride = same_padding_stride(getattr(model, 'backbone', None))
        divisor = getattr(model.data_preprocessor, 'pad_size_divisor', 1)
        if divisor % stride == 0:
            return
        sizes = set(network_sizes(runner.train_dataloader.dataset))
        if len(sizes) > 1:
            shown = ', '.join(f'{width} x {height}' for width, height in sorted(sizes)[:3])
            raise InputError(
                'model.data_preprocessor.pad_size_divisor',
                f'{divisor}, and images of {len(sizes)} sizes ({shown}, ...)',
                f'a multiple of {stride}, or images of one size (keep_ratio=False): padding to the '
                "size of another image shifts the backbone's sampling grid",
            )


def same_padding_stride(backbone: nn.Module | None) -> int:
    """Largest stride of a backbone whose padding depends on the size; 1 for any other."""
    modules = () if backbone is None else backbone.modules()
    return math.prod(m.stride[0] for m in modules if isinstance(m, Conv2dAdaptivePadding))


def network_sizes(dataset: BaseDataset) -> Iterator[tuple[int, int]]:
    """Sizes (width, height) that a data set, or one of several, gives its images.

    Of random sizes the extremes; none where no transform of the pipeline changes the size.
    """
    parts = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    for part in parts:
        if part is not None:
            yield from network_sizes(part)
    sizes: set[tuple[int, int]] = set()
    for transform in getattr(getattr(dataset, 'pipeline', None), 'transforms', ()):
        if isinstance(transform, RandomCropPanopticDepth):
            sizes = {transform.crop_size[::-1]}
        elif isinstance(transform, RandomResizePanopticDepth):
            sizes = {
                (round(width * ratio * aspect**0.5), round(height * ratio / aspect**0.5))
                for width, height in sizes or _file_sizes(dataset)
                for ratio in transform.ratio_range
                for aspect in transform.aspect_range
            }
        elif isinstance(transform, ResizePanopticDepth):
            if not (transform.keep_ratio or transform.shrink_only):
                sizes = {tuple(dataset.img_scale)}  # without a look at every record
                continue
            sizes = {
                transform.output_size(size, dataset.img_scale)
                for size in sizes or _file_sizes(dataset)
            }
    yield from sizes


def _file_sizes(dataset: BaseDataset) -> set[tuple[int, int]]:
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {(info['width'], info['height']) for info in infos}
