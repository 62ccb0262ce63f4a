"""Other colors and textures for the segments of a rendered image."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from pandepth_mm.datasets.transforms.gray_levels import as_gray_levels
from pandepth_mm.errors import require_fraction, require_range
from pandepth_mm.registry import TRANSFORMS

_NAME = 'RecolorSegments'
_EDGE = 0.7  # pixels: standard deviation of the blur of the changes, as wide as a rendered edge
_CELLS = (2, 4, 8, 16, 32)  # pixels of a texture's grains


@TRANSFORMS.register_module()
class RecolorSegments(BaseTransform):
    """Give each segment of an image its own change of color, contrast and texture.

    A renderer has few materials, and a network learns them by heart: whatever has the green of its
    leaves is a tree. With changed colors it has to look at shapes and at what stands where (domain
    randomization, Tobin et al., 2017).

    Required keys: ``img``, (H, W, 3), uint8 or float, 0 to 255; ``gt_panoptic_seg``. Modified key:
    ``img``; values beyond the range are clipped. The type stays.

    Args:
        prob: Probability that an image is changed.
        segment_prob: Probability that a segment of it is.
        shift: Greatest change of a channel's mean, gray levels.
        contrast: Factors of the difference to the mean; their logarithm is sampled evenly.
        texture_prob: Probability that a changed segment gets a texture.
        texture: Standard deviation of the texture, gray levels.

    Raises:
        InputError: A value that is not as stated here.

    Source: own.
    """

    def __init__(
        self,
        prob: float = 0.5,
        segment_prob: float = 0.5,
        shift: float = 60.0,
        contrast: Sequence[float] = (0.4, 1.6),
        texture_prob: float = 0.5,
        texture: Sequence[float] = (3.0, 25.0),
    ) -> None:
        for name, value in dict(
            prob=prob, segment_prob=segment_prob, texture_prob=texture_prob
        ).items():
            require_fraction(value, _NAME, name, zero=True)
        require_range((0, shift), _NAME, 'shift', 0, 255)
        require_range(contrast, _NAME, 'contrast', 0.01, 10)
        require_range(texture, _NAME, 'texture', 0, 255)
        self.prob = prob
        self.segment_prob = segment_prob
        self.shift = shift
        self.contrast = tuple(contrast)
        self.texture_prob = texture_prob
        self.texture = tuple(texture)

    def transform(self, results: dict) -> dict:
        """Change the image."""
        rng = np.random.default_rng(np.random.randint(2**31))
        if rng.random() >= self.prob:
            return results
        img, segments = results['img'], results['gt_panoptic_seg']
        ids, numbers = np.unique(segments, return_inverse=True)
        numbers = numbers.reshape(segments.shape)
        count = len(ids)
        chosen = rng.random((count, 1)) < self.segment_prob
        textured = chosen & (rng.random((count, 1)) < self.texture_prob)
        shift = np.where(chosen, rng.uniform(-self.shift, self.shift, (count, 3)), 0)
        contrast = np.exp(rng.uniform(*np.log(self.contrast), (count, 1)))
        contrast = np.where(chosen, contrast, 1)
        tint = rng.standard_normal((count, 3)) * 0.3 + 1
        texture = np.where(textured, rng.uniform(*self.texture, (count, 1)) * tint, 0)
        area = np.bincount(numbers.ravel(), minlength=count)
        means = [
            np.bincount(numbers.ravel(), channel.ravel(), count) / area
            for channel in cv2.split(img)
        ]
        # img becomes img * contrast + shift + mean * (1 - contrast) + noise * texture
        offset = shift + np.stack(means, axis=1) * (1 - contrast)
        changes = np.concatenate([contrast, offset, texture], axis=1).astype(np.float32)[numbers]
        changes = [cv2.GaussianBlur(part, (0, 0), _EDGE) for part in cv2.split(changes)]
        contrast, offset = changes[0][..., None], cv2.merge(changes[1:4])
        noise = _grains(rng, segments.shape)[..., None]
        changed = img.astype(np.float32) * contrast + offset + noise * cv2.merge(changes[4:])
        results['img'] = as_gray_levels(changed, img.dtype)
        return results

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(prob={self.prob}, segment_prob={self.segment_prob}, '
            f'shift={self.shift}, contrast={self.contrast}, texture_prob={self.texture_prob}, '
            f'texture={self.texture})'
        )


def _grains(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Noise of two sizes of grains, (H, W), float32, standard deviation 1."""
    noise = np.zeros(size, np.float32)
    for cell in rng.choice(_CELLS, 2, replace=False):
        grid = rng.standard_normal([side // cell + 2 for side in size], np.float32)
        noise += cv2.resize(grid, size[::-1], interpolation=cv2.INTER_CUBIC)
    return noise / max(float(noise.std()), 1e-6)
