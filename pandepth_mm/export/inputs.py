"""Inputs of an exported model, from the arrays of one frame.

This is the part of the model that searches among the measurements; it stays outside the ONNX file.
This file needs numpy and scipy only, nothing of the package: it can be copied to a machine that
runs the model without PyTorch.
"""

import numpy as np
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

PAD = -1  # pixel of a row without a point, missing neighbor


def export_inputs(
    image: np.ndarray,
    sparse_depth: np.ndarray,
    cam2img: np.ndarray,
    num_points: int,
    k: int,
    max_depth: float,
    residual: str | None = None,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Make the inputs of an exported model of the dense path.

    Points are padded to ``num_points`` rows of pixel -1, which contribute nothing. Where there are
    more, as many are sampled without replacement; the same frame and seed give the same sample. The
    others leave the 3-D branch alone: they stay in ``sparse_depth`` and in ``fill``.

    Args:
        image: RGB, uint8 or float 0..255, (H, W, 3); H and W are the model's.
        sparse_depth: float (H, W), meters; what is not finite or not in (0, max_depth] is no
            measurement.
        cam2img: Intrinsics of this grid, (3, 3), pixels.
        num_points: Rows that the model takes, N.
        k: Neighbors per point, >= 1.
        max_depth: Depth range of the model, meters.
        residual: 'nearest' for a model that corrects the nearest measurement, else None.
        seed: Of the sampling where there are more than N points.

    Returns:
        Arrays by name: ``img`` float32 (1, 3, H, W); ``sparse_depth`` float32 (1, 1, H, W), meters;
        ``points`` float32 (N, 3), meters, camera frame; ``pixels`` int64 (N, 2), row and column;
        ``knn_indices`` int64 (N, k), nearest first, -1 for none; with a residual, ``fill`` float32
        (1, 1, H, W), meters.

    Raises:
        ValueError: Shapes that do not fit together, ``num_points`` or ``k`` below 1, a range that
            is not positive, or an unknown ``residual``.
    """
    image, depth, cam2img = _frame(image, sparse_depth, cam2img)
    if num_points < 1 or k < 1 or not max_depth > 0:
        raise ValueError(
            f'num_points, k and max_depth must be positive, got {num_points}, {k} and {max_depth}'
        )
    if residual not in (None, 'nearest'):
        raise ValueError(f"residual must be None or 'nearest', got {residual!r}")
    depth = _in_range(depth, max_depth)
    found = np.argwhere(depth > 0)
    if len(found) > num_points:
        rng = np.random.Generator(np.random.PCG64(seed))
        found = found[np.sort(rng.permutation(len(found))[:num_points])]
    used = len(found)
    pixels = np.full((num_points, 2), PAD, np.int64)
    points = np.zeros((num_points, 3), np.float32)
    neighbors = np.full((num_points, k), PAD, np.int64)
    pixels[:used] = found
    points[:used] = _back_project(depth, found, cam2img)
    others = _nearest_others(points[:used], k)
    neighbors[:used, : others.shape[1]] = others
    inputs = dict(
        img=_batch_of_one(image),
        sparse_depth=depth[None, None],
        points=points,
        pixels=pixels,
        knn_indices=neighbors,
    )
    if residual is not None:
        inputs['fill'] = _nearest_fill(depth, max_depth / 2)[None, None]
    return inputs


def candidate_inputs(
    image: np.ndarray, sparse_depth: np.ndarray, cam2img: np.ndarray, max_depth: float
) -> dict[str, np.ndarray]:
    """Make the inputs of an exported model whose depth head chooses among candidates.

    Args:
        image: RGB, uint8 or float 0..255, (H, W, 3); H and W are the model's.
        sparse_depth: float (H, W), meters; what is not finite or not in (0, max_depth] is no
            measurement.
        cam2img: Intrinsics of this grid, (3, 3), pixels.
        max_depth: Depth range of the model, meters.

    Returns:
        Arrays by name, float32: ``img`` (1, 3, H, W); ``sparse_depth`` (1, 1, H, W), meters;
        ``cam2img`` (1, 3, 3), pixels; ``nearest`` (1, 1, H / 2, W / 2), meters: the least depth in
        each cell of 2x2 pixels, in a cell without any that of the nearest cell.

    Raises:
        ValueError: Shapes that do not fit together, an odd side, or a range that is not positive.
    """
    image, depth, cam2img = _frame(image, sparse_depth, cam2img)
    height, width = depth.shape
    if height % 2 or width % 2:
        raise ValueError(f'the sides must be even, got {height} and {width}')
    if not max_depth > 0:
        raise ValueError(f'max_depth must be positive, got {max_depth}')
    depth = _in_range(depth, max_depth)
    cells = np.where(depth > 0, depth, np.float32(np.inf))
    cells = cells.reshape(height // 2, 2, width // 2, 2).min(axis=(1, 3))
    cells[np.isinf(cells)] = 0
    return dict(
        img=_batch_of_one(image),
        sparse_depth=depth[None, None],
        cam2img=cam2img.astype(np.float32)[None],
        nearest=_nearest_fill(cells, max_depth)[None, None],
    )


def _frame(
    image: np.ndarray, depth: np.ndarray, cam2img: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The three as arrays, whose shapes fit together."""
    image, depth, cam2img = np.asarray(image), np.asarray(depth), np.asarray(cam2img)
    if depth.ndim != 2 or image.shape != (*depth.shape, 3):
        raise ValueError(
            f'image must be (H, W, 3) and sparse_depth (H, W), got {image.shape} and {depth.shape}'
        )
    if cam2img.shape != (3, 3):
        raise ValueError(f'cam2img must be (3, 3), got {cam2img.shape}')
    return image, depth, cam2img


def _batch_of_one(image: np.ndarray) -> np.ndarray:
    """Image (H, W, 3) as float32 (1, 3, H, W)."""
    return image.astype(np.float32).transpose(2, 0, 1)[None]


def _in_range(depth: np.ndarray, max_depth: float) -> np.ndarray:
    """Depth as float32, 0 where it is not in (0, max_depth]."""
    depth = depth.astype(np.float32)
    return np.where((depth > 0) & (depth <= max_depth), depth, np.float32(0))


def _back_project(depth: np.ndarray, pixels: np.ndarray, cam2img: np.ndarray) -> np.ndarray:
    """Points of some pixels, in float32 as the model itself does it."""
    cam = cam2img.astype(np.float32)
    row, col = pixels.T.astype(np.float32)
    z = depth[tuple(pixels.T)]
    y = (row - cam[1, 2]) / cam[1, 1]
    x = (col - cam[0, 2] - cam[0, 1] * y) / cam[0, 0]
    return np.stack([x * z, y * z, z], axis=-1)


def _nearest_others(points: np.ndarray, k: int) -> np.ndarray:
    """At most k nearest others of each of (n, 3) points, nearest first."""
    num, found = len(points), min(k + 1, len(points))
    if num < 2:
        return np.empty((num, 0), np.int64)
    _, nearest = cKDTree(points).query(points, k=range(1, found + 1))
    # The point itself is not always first: another may lie at distance 0.
    drop = nearest == np.arange(num)[:, None]
    drop[~drop.any(axis=1), -1] = True
    return nearest[~drop].reshape(num, found - 1)


def _nearest_fill(depth: np.ndarray, default: float) -> np.ndarray:
    """Depth (H, W) of the nearest measured pixel, a default without any."""
    empty = ~(depth > 0)
    if empty.all():
        return np.full_like(depth, default)
    row, col = distance_transform_edt(empty, return_distances=False, return_indices=True)
    return depth[row, col]
