"""Flaws of photographs, for rendered images."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from pandepth_mm.datasets.transforms.gray_levels import as_gray_levels
from pandepth_mm.errors import InputError, require_fraction, require_range
from pandepth_mm.registry import TRANSFORMS

_NAME = 'PhotoNoise'


@TRANSFORMS.register_module()
class PhotoNoise(BaseTransform):
    """Give an image the flaws of a photograph: gamma, blur or sharpening, noise, compression.

    A rendered image has none of them. Each comes with a probability of its own, in this order, as
    in a camera. For colors see mmdet's PhotoMetricDistortion, for gray mmcv's RandomGrayscale.

    Modified key: ``img``, (H, W, 3), uint8 or float, 0 to 255; values beyond are clipped. The type
    stays.

    Args:
        gamma_prob: Probability of a gamma curve.
        gamma: Exponent; its logarithm is sampled evenly.
        blur_prob: Probability of a Gaussian blur.
        blur: Its standard deviation, pixels.
        sharpen_prob: Probability of sharpening, where there is no blur.
        sharpen: How many times the difference to the blurred image is added.
        noise_prob: Probability of sensor noise.
        noise: Standard deviation in gray levels at half the full brightness; its square rises with
            the brightness, as that of photons does.
        jpeg_prob: Probability of JPEG compression.
        jpeg: Its quality, 1 to 100.

    Raises:
        InputError: A value that is not as stated here.
    """

    def __init__(
        self,
        gamma_prob: float = 0.3,
        gamma: Sequence[float] = (0.7, 1.5),
        blur_prob: float = 0.3,
        blur: Sequence[float] = (0.3, 1.5),
        sharpen_prob: float = 0.2,
        sharpen: Sequence[float] = (0.3, 1.5),
        noise_prob: float = 0.4,
        noise: Sequence[float] = (1.0, 10.0),
        jpeg_prob: float = 0.3,
        jpeg: Sequence[int] = (30, 95),
    ) -> None:
        probs = dict(
            gamma=gamma_prob, blur=blur_prob, sharpen=sharpen_prob, noise=noise_prob, jpeg=jpeg_prob
        )
        for flaw, prob in probs.items():
            require_fraction(prob, _NAME, f'{flaw}_prob', zero=True)
        if blur_prob + sharpen_prob > 1:
            raise InputError(
                _NAME,
                f'{blur_prob} + {sharpen_prob}',
                'at most 1 together',
                'blur_prob, sharpen_prob',
            )
        require_range(gamma, _NAME, 'gamma', 0.1, 10)
        require_range(blur, _NAME, 'blur', 0.1, 20)
        require_range(sharpen, _NAME, 'sharpen', 0, 10)
        require_range(noise, _NAME, 'noise', 0, 255)
        require_range(jpeg, _NAME, 'jpeg', 1, 100)
        self.probs = probs
        self.gamma = tuple(gamma)
        self.blur = tuple(blur)
        self.sharpen = tuple(sharpen)
        self.noise = tuple(noise)
        self.jpeg = tuple(jpeg)

    def transform(self, results: dict) -> dict:
        """Change the image."""
        rng = np.random.default_rng(np.random.randint(2**31))
        img = results['img']
        flawed = img.astype(np.float32)
        if rng.random() < self.probs['gamma']:
            exponent = np.float32(np.exp(rng.uniform(*np.log(self.gamma))))
            flawed = (flawed.clip(0, 255) / 255) ** exponent * 255
        kind = rng.random()
        if kind < self.probs['blur']:
            flawed = cv2.GaussianBlur(flawed, (0, 0), rng.uniform(*self.blur))
        elif kind < self.probs['blur'] + self.probs['sharpen']:
            share = np.float32(rng.uniform(*self.sharpen))
            flawed += share * (flawed - cv2.GaussianBlur(flawed, (0, 0), 1))
        if rng.random() < self.probs['noise']:
            sigma = np.float32(rng.uniform(*self.noise))
            brightness = np.sqrt(flawed.clip(0, 255) / np.float32(127.5))
            flawed += sigma * brightness * rng.standard_normal(flawed.shape, np.float32)
        if rng.random() < self.probs['jpeg']:
            quality = int(rng.uniform(*self.jpeg))
            content = cv2.imencode('.jpg', as_gray_levels(flawed, np.uint8), [1, quality])[1]
            flawed = cv2.imdecode(content, cv2.IMREAD_COLOR)
        results['img'] = as_gray_levels(flawed, img.dtype)
        return results

    def __repr__(self) -> str:
        probs = ', '.join(f'{flaw}_prob={prob}' for flaw, prob in self.probs.items())
        return (
            f'{type(self).__name__}({probs}, gamma={self.gamma}, blur={self.blur}, '
            f'sharpen={self.sharpen}, noise={self.noise}, jpeg={self.jpeg})'
        )
