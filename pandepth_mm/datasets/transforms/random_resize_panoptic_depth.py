"""Resize by a random factor."""

from collections.abc import Sequence

import mmcv
import numpy as np

from pandepth_mm.datasets.transforms.resize_panoptic_depth import ResizePanopticDepth
from pandepth_mm.errors import require_range
from pandepth_mm.registry import TRANSFORMS

_NAME = 'RandomResizePanopticDepth'


@TRANSFORMS.register_module()
class RandomResizePanopticDepth(ResizePanopticDepth):
    """Resize the image and what belongs to it by a random factor.

    As `ResizePanopticDepth`, but relative to the present size, and without aliasing where the image
    shrinks. Intrinsics follow, depth values stay: the frame becomes that of a camera of another
    focal length.

    Required keys: ``img``, and as `ResizePanopticDepth`; ``img_scale`` is neither needed nor
    changed.

    Args:
        ratio_range: Least and greatest factor; the logarithm is sampled evenly.
        aspect_range: Least and greatest factor by which the width grows more than the height,
            likewise.
        depth_resize: How the measurements reach the new grid, 'nearest' or 'rasterize'.

    Raises:
        InputError: A value that is not as stated here.
    """

    def __init__(
        self,
        ratio_range: Sequence[float] = (0.5, 2.0),
        aspect_range: Sequence[float] = (1.0, 1.0),
        depth_resize: str = 'nearest',
    ) -> None:
        super().__init__(depth_resize=depth_resize)
        require_range(ratio_range, _NAME, 'ratio_range', 0.01, 100)
        require_range(aspect_range, _NAME, 'aspect_range', 0.01, 100)
        self.ratio_range = tuple(ratio_range)
        self.aspect_range = tuple(aspect_range)

    def transform(self, results: dict) -> dict:
        """Resize all of it."""
        height, width = results['img'].shape[:2]
        ratio, aspect = (
            np.exp(np.random.uniform(*np.log(ends)))
            for ends in (self.ratio_range, self.aspect_range)
        )
        scale = (
            max(round(width * ratio * aspect**0.5), 1),
            max(round(height * ratio / aspect**0.5), 1),
        )
        resized = super().transform(dict(results, img_scale=scale))
        if 'img_scale' in results:
            resized['img_scale'] = results['img_scale']
        else:
            del resized['img_scale']
        return resized

    def _resize_img(self, results: dict) -> None:
        """Resize the image; where it shrinks, average over areas."""
        height, width = results['img'].shape[:2]
        shrinks = results['scale'][0] <= width and results['scale'][1] <= height
        results['img'], *factors = mmcv.imresize(
            results['img'],
            results['scale'],
            interpolation='area' if shrinks else 'bilinear',
            return_scale=True,
        )
        results['img_shape'] = results['img'].shape[:2]
        results['scale_factor'] = tuple(factors)
        results['keep_ratio'] = False

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(ratio_range={self.ratio_range}, '
            f'aspect_range={self.aspect_range}, depth_resize={self.depth_resize!r})'
        )
