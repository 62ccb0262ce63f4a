"""The dense depth truth of a sample, for metrics that want every pixel."""

import numpy as np

from pandepth_mm.evaluation.metrics.per_image_metric import PerImageMetric
from pandepth_mm.fileio import DEPTH_PNG_MAX, read_depth_png


def dense_truth(
    metric: PerImageMetric, sample: dict, max_depth: float | None = None
) -> np.ndarray | None:
    """Read the dense depth map that a sample's record names.

    A raw value of 65535, the largest that 16 bits hold, is no measurement:
    Virtual KITTI 2 writes it for the sky and for what is out of range, and
    in any other encoding it is where depth was cut off.

    Args:
        metric: The metric that asks; named where something is missing.
        sample: Data sample as a dict, with ``dense_depth_path`` and
            ``dense_depth_scale`` where the annotation has ``depth_file``.
        max_depth: Metres beyond which there is no truth; None for no limit.

    Returns:
        float32 (H, W), metres at the original image size, 0 = no truth; None
        if the record names no dense depth.

    Raises:
        InputError: The file is missing, broken or of another size than
            ``ori_shape``.
    """
    if sample.get('dense_depth_path') is None:
        return None
    depth = read_depth_png(
        sample['dense_depth_path'],
        metric.get(sample, 'dense_depth_scale'),
        tuple(metric.get(sample, 'ori_shape')[:2]),
        invalid=DEPTH_PNG_MAX,
    )
    if max_depth is not None:
        depth[depth > max_depth] = 0
    return depth
