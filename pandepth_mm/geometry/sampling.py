"""Random samples of sparse depth from denser depth: pure functions.

The converter makes its files with them, and `ResampleSparseDepth` the inputs of an evaluation. Free
of heavy imports, for the converter's workers.
"""

import hashlib

import numpy as np


def frame_seed(*parts) -> int:
    """A 128-bit seed from names and numbers, the same on every machine.

    Python's own ``hash`` of a string differs from process to process.
    """
    text = '/'.join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')


def sample_count(size: int, density: float) -> int:
    """Number of pixels, of ``size``, that a sample of a density has."""
    return int(density * size + 0.5)


def sample_depth(depth: np.ndarray, density: float, seed: int) -> np.ndarray:
    """Keep a uniform sample, without replacement, of the valid pixels.

    Samples of one map with one seed are nested: the thinner one is a subset of the denser one.

    Args:
        depth: float (H, W), meters, 0 = no measurement.
        density: Fraction of all the image's pixels (not of the valid ones) to keep; all valid
            pixels where there are fewer.
        seed: Seed of this sample.

    Returns:
        Depth map of the same shape and type, 0 where not sampled.
    """
    valid = np.flatnonzero(depth)
    count = min(sample_count(depth.size, density), len(valid))
    if count < len(valid):
        # The raw bits of a numpy bit generator are promised to stay the same in all versions, the
        # results of Generator.choice are not.
        keys = np.random.PCG64(seed).random_raw(len(valid))
        valid = valid[np.argpartition(keys, count)[:count]]
    sampled = np.zeros_like(depth)
    sampled.flat[valid] = depth.flat[valid]
    return sampled


def sample_nested(
    depth: np.ndarray, gt_density: float, sparse_density: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Sample the input from the ground truth, as the authors' code does.

    Pixels of the whole image are sampled, valid or not; the valid ones are the ground truth (so it
    is thinner than ``gt_density`` where there is sky), and the first of them the input.

    Args:
        depth: float (H, W), meters, 0 = no measurement.
        gt_density: Fraction of all the image's pixels to sample.
        sparse_density: Fraction of all the image's pixels to take as input; the whole ground truth
            where it has fewer.
        seed: Seed of the sample.

    Returns:
        Input and ground truth, of the shape and type of ``depth``, 0 where not sampled.
    """
    keys = np.random.PCG64(seed).random_raw(depth.size)  # see sample_depth
    count = sample_count(depth.size, gt_density)
    sampled = np.argsort(keys, kind='stable')[:count]
    sampled = sampled[depth.flat[sampled] > 0]
    maps = []
    for chosen in (sampled[: sample_count(depth.size, sparse_density)], sampled):
        kept = np.zeros_like(depth)
        kept.flat[chosen] = depth.flat[chosen]
        maps.append(kept)
    return maps[0], maps[1]
