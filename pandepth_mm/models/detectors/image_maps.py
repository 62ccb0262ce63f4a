"""From a batch to single images."""

from collections.abc import Iterator

from mmdet.structures import DetDataSample, SampleList
from torch import Tensor
from torch.nn import functional as F


def alike(
    images: Tensor, batch_data_samples: SampleList
) -> Iterator[tuple[list[int], tuple[int, int]]]:
    """Divide a batch into images that can be predicted together.

    They have one size, padding to ``pad_size_divisor`` included. On a CPU each image goes alone:
    that is no slower there, and matrix products round differently from one batch size to another.
    On a GPU the last bits may therefore depend on the number of images of one size.

    Args:
        images: (B, C, H, W), padded to the largest.
        batch_data_samples: Of each image; ``pad_shape`` is its own padded size.

    Returns:
        Iterator over the numbers of the images and their padded (height, width).
    """
    groups: dict[tuple, list[int]] = {}
    for i, sample in enumerate(batch_data_samples):
        size = tuple(sample.get('pad_shape', images.shape[-2:])[:2])
        groups.setdefault((size, i if images.device.type == 'cpu' else 0), []).append(i)
    return ((indices, size) for (size, _), indices in groups.items())


def to_image(maps: Tensor, sample: DetDataSample, rescale: bool) -> Tensor:
    """Cut the padding off and interpolate, bilinearly.

    Args:
        maps: Of one image, (C, H, W).
        sample: ``img_shape`` is its size at the network's input, ``ori_shape`` that of the file.
        rescale: Bring the maps to the latter.

    Returns:
        float32 (C, height, width), contiguous.
    """
    height, width = sample.img_shape[:2]
    maps = maps[:, :height, :width].float()  # interpolated in full precision
    if not rescale or tuple(sample.ori_shape[:2]) == (height, width):
        return maps.contiguous()
    return F.interpolate(
        maps[None], size=tuple(sample.ori_shape[:2]), mode='bilinear', align_corners=False
    )[0].contiguous()
