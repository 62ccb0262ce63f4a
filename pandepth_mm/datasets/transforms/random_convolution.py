"""Other textures for a whole image, its shapes kept."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from pandepth_mm.datasets.transforms.gray_levels import as_gray_levels
from pandepth_mm.errors import InputError, require_count, require_fraction
from pandepth_mm.registry import TRANSFORMS

_NAME = 'RandomConvolution'


@TRANSFORMS.register_module()
class RandomConvolution(BaseTransform):
    """Convolve an image with random weights, and mix the result with the image.

    Local texture changes, shapes stay: a network that sees many such textures learns less of a
    renderer's own. Each output channel reads all three, so that colors change too. The result gets
    the mean and the standard deviation of each channel of the image before they are mixed.

    Modified key: ``img``, (H, W, 3), uint8 or float, 0 to 255; values beyond are clipped. The type
    stays.

    Args:
        prob: Probability that an image is changed.
        kernel_sizes: Sides of the kernel, odd, one of which is drawn, pixels.

    Raises:
        InputError: A value that is not as stated here.

    Source: Xu et al., Robust and generalizable visual representation learning via random
    convolutions (ICLR 2021), section 3.2; mean and deviation that stay are our own.
    """

    def __init__(self, prob: float = 0.5, kernel_sizes: Sequence[int] = (1, 3, 5, 7)) -> None:
        require_fraction(prob, _NAME, 'prob', zero=True)
        for size in kernel_sizes:
            require_count(size, _NAME, 'kernel_sizes')
            if size % 2 == 0:
                raise InputError(_NAME, size, 'odd sides, which have a center', 'kernel_sizes')
        self.prob = prob
        self.kernel_sizes = tuple(kernel_sizes)

    def transform(self, results: dict) -> dict:
        """Change the image."""
        rng = np.random.default_rng(np.random.randint(2**31))
        if rng.random() >= self.prob:
            return results
        img = results['img']
        channels = cv2.split(img.astype(np.float32))
        size = int(rng.choice(self.kernel_sizes))
        kernels = rng.standard_normal((3, 3, size, size), np.float32)
        changed = [
            sum(
                cv2.filter2D(channel, -1, kernel)
                for channel, kernel in zip(channels, row, strict=True)
            )
            for row in kernels
        ]
        # else the sum of random weights decides the brightness
        changed = [
            (new - new.mean()) / max(float(new.std()), 1e-6) * old.std() + old.mean()
            for old, new in zip(channels, changed, strict=True)
        ]
        share = np.float32(rng.random())
        mixed = share * cv2.merge(channels) + (1 - share) * cv2.merge(changed)
        results['img'] = as_gray_levels(mixed, img.dtype)
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(prob={self.prob}, kernel_sizes={self.kernel_sizes})'
