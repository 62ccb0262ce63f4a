"""The measured points of a batch and their nearest neighbors in space."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

# Rows of the distance matrix held at once on the GPU: 2048 x 10 000 points (5 % of 200 x 1000) are
# 80 MB.
_CHUNK = 2048


class PointGraph(NamedTuple):
    """The measured points of a batch and their nearest neighbors.

    All images are flattened into one list: image by image, each in raster order. N = 0 is possible.

    Attributes:
        batch: Index of the image, long (N,).
        row: Pixel row v, long (N,).
        col: Pixel column u, long (N,).
        points: float32 (N, 3), meters, camera frame.
        knn_indices: long (N, k): positions in this list, nearest first, of the same image only,
            without the point itself; -1 where the image has fewer than k other points.
    """

    batch: Tensor
    row: Tensor
    col: Tensor
    points: Tensor
    knn_indices: Tensor


def _knn_tree(points: Tensor, k: int) -> Tensor:
    """`knn` by a k-d tree, on the CPU."""
    array = points.cpu().numpy()
    num, found = len(array), min(k + 1, len(array))
    workers = torch.get_num_threads()
    _, nearest = cKDTree(array).query(array, k=range(1, found + 1), workers=workers)
    # The point itself is not always first: another may lie at distance 0.
    drop = nearest == np.arange(num)[:, None]
    drop[~drop.any(axis=1), -1] = True
    others = nearest[~drop].reshape(num, found - 1)
    return torch.from_numpy(others.astype(np.int64)).to(points.device)


def _knn_cdist(points: Tensor, k: int, chunk: int = _CHUNK) -> Tensor:
    """`knn` by chunks of the distance matrix, on any device."""
    num, found = len(points), min(k, len(points) - 1)
    others = points.new_empty((num, found), dtype=torch.long)
    for start in range(0, num, chunk):
        block = points[start : start + chunk]
        # By matrix product, float32 loses neighbors that are 80 m away.
        dist = torch.cdist(block, points, compute_mode='donot_use_mm_for_euclid_dist')
        rows = torch.arange(len(block), device=points.device)
        dist[rows, rows + start] = torch.inf
        others[start : start + chunk] = dist.topk(found, largest=False)[1]
    return others


def knn(points: Tensor, k: int) -> Tensor:
    """The k nearest other points of each point of one image.

    Args:
        points: float (N, 3), finite; N may be 0.
        k: Number of neighbors, >= 1.

    Returns:
        long (N, k), nearest first, -1 where there are fewer than k others.
    """
    padded = torch.full((len(points), k), -1, dtype=torch.long, device=points.device)
    if len(points) > 1:
        search = _knn_cdist if points.is_cuda else _knn_tree
        others = search(points, k)
        padded[:, : others.shape[1]] = others
    return padded


@torch.no_grad()
def build_point_graph(sparse_depth: Tensor, cam2img: Tensor, k: int) -> PointGraph:
    """Back-project a batch of sparse depth maps and find neighbors.

    The neighbors are those in 3D, in meters (paper, section 3.5).

    Args:
        sparse_depth: float (B, 1, H, W), meters; pixels that are not > 0 and finite hold no
            measurement.
        cam2img: float (B, 3, 3), pixels of the same grid.
        k: Number of neighbors, >= 1.

    Returns:
        PointGraph: On the device of ``sparse_depth``, without gradient.

    Raises:
        ValueError: Shapes that do not fit together, or k < 1.
    """
    if sparse_depth.dim() != 4 or sparse_depth.shape[1] != 1:
        raise ValueError(f'sparse_depth must be (B, 1, H, W), got {tuple(sparse_depth.shape)}')
    if cam2img.shape != (len(sparse_depth), 3, 3):
        raise ValueError(f'cam2img must be ({len(sparse_depth)}, 3, 3), got {tuple(cam2img.shape)}')
    if k < 1:
        raise ValueError(f'k must be at least 1, got {k}')
    # float32 also under AMP: fp16 cannot tell pixels 1000 and 1000.5 apart
    depth = sparse_depth[:, 0].float()
    batch, row, col = ((depth > 0) & depth.isfinite()).nonzero(as_tuple=True)
    z = depth[batch, row, col]
    cam = cam2img.to(depth)[batch]
    y = (row - cam[:, 1, 2]) / cam[:, 1, 1]
    x = (col - cam[:, 0, 2] - cam[:, 0, 1] * y) / cam[:, 0, 0]
    points = torch.stack([x * z, y * z, z], dim=-1)

    indices, start = [], 0
    for count in torch.bincount(batch, minlength=len(depth)).tolist():
        local = knn(points[start : start + count], k)
        indices.append(torch.where(local < 0, local, local + start))
        start += count
    return PointGraph(batch, row, col, points, torch.cat(indices))
