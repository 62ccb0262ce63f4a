"""mmcv's ops without a compiler: NMS by OpenCV, RoIAlign in plain torch.

mmcv looks for its compiled ops in the module ``mmcv._ext``. :func:`install` puts a stand-in there,
which has the three functions that Mask R-CNN needs; any other op exists, as mmcv wants when it is
imported, and says what it needs when it is called.
"""

import importlib
import importlib.machinery
import sys
import types
import warnings
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

_NAME = 'mmcv._ext'
_MISSING = "{} needs mmcv's compiled ops, and mmcv was installed without them"


def nms(bboxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Greedy non-maximum suppression.

    Args:
        bboxes: (N, 4), x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: A box goes if its IoU with one that was kept is above this.
        offset: Added to widths and heights, 0 or 1.

    Returns:
        long (M,), positions of the boxes that stay, by falling score.
    """
    order = scores.float().argsort(descending=True, stable=True)
    rects = bboxes.double()[order].cpu()
    rects[:, 2:] += offset - rects[:, :2]
    ranks = np.arange(len(rects), 0, -1, dtype=np.float32)
    kept = cv2.dnn.NMSBoxes(rects.numpy(), ranks, 0, iou_threshold)
    return order[torch.tensor(kept, dtype=torch.long, device=order.device)]


def roi_align_forward(
    input: Tensor,
    rois: Tensor,
    output: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """RoIAlign (He et al., Mask R-CNN, section 3) with averages, in float32 or float64.

    Args:
        input: Features (B, C, H, W).
        rois: (R, 5): image, x1, y1, x2, y2 in pixels of the image.
        output: (R, C, aligned_height, aligned_width), is filled.
        argmax_y: Not used; of mmcv's maximum.
        argmax_x: Not used.
        aligned_height: Bins along y.
        aligned_width: Bins along x.
        spatial_scale: Cells of the features per pixel.
        sampling_ratio: Samples per bin and axis; 0 for as many as the bin has cells.
        pool_mode: 1, the average.
        aligned: Whether coordinates are shifted by half a cell, so that pixel centers match.
    """
    matrix = _sampling(
        input.shape,
        rois,
        aligned_height,
        aligned_width,
        spatial_scale,
        sampling_ratio,
        pool_mode,
        aligned,
        input.dtype,
    )
    _multiply(matrix, input, output)


def roi_align_backward(
    grad_output: Tensor,
    rois: Tensor,
    argmax_y: Tensor,
    argmax_x: Tensor,
    grad_input: Tensor,
    aligned_height: int,
    aligned_width: int,
    spatial_scale: float,
    sampling_ratio: int,
    pool_mode: int,
    aligned: bool,
) -> None:
    """Gradient of :func:`roi_align_forward`: the transposed matrix.

    Args as there; ``grad_input`` (B, C, H, W) is filled.
    """
    matrix = _sampling(
        grad_input.shape,
        rois,
        aligned_height,
        aligned_width,
        spatial_scale,
        sampling_ratio,
        pool_mode,
        aligned,
        grad_output.dtype,
        transposed=True,
    )
    _multiply(matrix, grad_output, grad_input)


def _multiply(matrix: Tensor, source: Tensor, target: Tensor) -> None:
    """Fill maps with the product of a matrix and other maps, in the precision of the matrix.

    Args:
        matrix: Sparse, (cells of the target, cells of the source).
        source: (N, C, H, W).
        target: (M, C, H', W').
    """
    cells = source.to(matrix.dtype).permute(0, 2, 3, 1).reshape(-1, source.shape[1])
    with torch.autocast(source.device.type, enabled=False):
        product = matrix @ cells
    target.copy_(product.view(target.permute(0, 2, 3, 1).shape).permute(0, 3, 1, 2))


def _sampling(
    shape: torch.Size,
    rois: Tensor,
    bins_y: int,
    bins_x: int,
    scale: float,
    ratio: int,
    pool_mode: int,
    aligned: bool,
    dtype: torch.dtype,
    transposed: bool = False,
) -> Tensor:
    """Weight of each cell (columns: image, y, x) in each bin (rows: roi, y, x), sparse.

    The samples of a bin form a grid, and a sample weighs its four cells by the product of a weight
    along y and one along x. So the weights of a bin are products too.
    """
    if pool_mode != 1:
        raise NotImplementedError(_MISSING.format("RoIAlign's maximum"))
    batch, _, height, width = shape
    dtype = torch.float64 if dtype == torch.float64 else torch.float32
    rois = rois.to(dtype)
    image = rois[:, 0].long()
    shift = 0.5 if aligned else 0.0
    along = []
    for low, high, bins, size in ((2, 4, bins_y, height), (1, 3, bins_x, width)):
        start = rois[:, low] * scale - shift
        length = rois[:, high] * scale - shift - start
        if not aligned:
            length = length.clamp(min=1.0)
        along.append(_axis_weights(start, length, bins, size, ratio))
    # an entry of y and an entry of x of one bin make one of the matrix, row by row
    (cell_y, weight_y, first_y, count_y), (cell_x, weight_x, first_x, count_x) = along
    count = (count_y[:, :, None] * count_x[:, None]).flatten()
    row, number = count_up(count)
    bin_y, bin_x = torch.div(row, bins_x, rounding_mode='floor'), row % bins_x
    roi = torch.div(bin_y, bins_y, rounding_mode='floor')
    bin_x = roi * bins_x + bin_x
    wide = count_x.flatten()[bin_x]
    y = first_y.flatten()[bin_y] + torch.div(number, wide, rounding_mode='floor')
    x = first_x.flatten()[bin_x] + number % wide
    column = (image[roi] * height + cell_y[y]) * width + cell_x[x]
    values, sizes = weight_y[y] * weight_x[x], (len(count), batch * height * width)
    with warnings.catch_warnings():  # this layout is 'in beta state', once per process
        warnings.simplefilter('ignore', UserWarning)
        if transposed:
            places = torch.stack([column, row])
            matrix = torch.sparse_coo_tensor(places, values, sizes[::-1], check_invariants=False)
            return matrix.coalesce().to_sparse_csr()
        starts = torch.cat([count.new_zeros(1), count.cumsum(0)])
        return torch.sparse_csr_tensor(starts, column, values, sizes, check_invariants=False)


def count_up(counts: Tensor) -> tuple[Tensor, Tensor]:
    """0, 1, ... n - 1 for each n of (N,), one after the other.

    Args:
        counts: Lengths of the runs, long (N,), at least 0.

    Returns:
        Of each entry, long (sum of counts,): the index of its run, and its place in it.
    """
    index = torch.arange(len(counts), device=counts.device).repeat_interleave(counts)
    starts = counts.cumsum(0) - counts
    return index, torch.arange(len(index), device=counts.device) - starts[index]


def _axis_weights(
    start: Tensor, length: Tensor, bins: int, size: int, ratio: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Weights of the cells in the bins of each roi along one axis.

    Args:
        start: (R,), where the roi begins, cells.
        length: (R,), cells.
        bins: Bins per roi.
        size: Cells of the axis.
        ratio: Samples per bin; 0 for as many as it has cells.

    Returns:
        Cell and weight of each entry (E,), sorted by roi and bin; and first entry and number of
        entries of each bin (R, bins).
    """
    step = length / bins
    if ratio > 0:
        samples = torch.full_like(start, ratio, dtype=torch.long)
    else:
        samples = step.ceil().long().clamp(min=0)
    roi, number = count_up(samples * bins)
    place = torch.div(number, samples[roi], rounding_mode='floor')
    inner = ((number % samples[roi]).to(start.dtype) + 0.5) / samples[roi]
    at = start[roi] + (place + inner) * step[roi]
    inside = (at >= -1) & (at <= size)  # beyond, a sample is 0
    at = at.clamp(min=0, max=size - 1)
    cell = at.floor().long()
    part = at - cell
    weight = inside / samples[roi].to(at.dtype)
    # each sample weighs the cell below and the cell above it
    entries = torch.stack([cell, (cell + 1).clamp(max=size - 1)], dim=1).flatten()
    weights = torch.stack([weight * (1 - part), weight * part], dim=1).flatten()
    # samples share cells: add up what is of one bin and one cell
    key = ((roi * bins + place) * size).repeat_interleave(2) + entries
    key, inverse = key.unique(return_inverse=True)
    summed = weights.new_zeros(len(key)).index_add_(0, inverse, weights)
    owner = torch.div(key, size, rounding_mode='floor')
    per_bin = torch.bincount(owner, minlength=len(start) * bins)
    first = per_bin.cumsum(0) - per_bin
    return key % size, summed, first.view(-1, bins), per_bin.view(-1, bins)


_OPS = dict(
    nms=nms,
    roi_align_forward=roi_align_forward,
    roi_align_backward=roi_align_backward,
    get_compiler_version=lambda: 'none',
    get_compiling_cuda_version=lambda: 'none',
)


class _Ops(types.ModuleType):
    """Stand-in for ``mmcv._ext``."""

    def __getattr__(self, name: str) -> Callable:
        """Any other op: it exists, and cannot be called."""
        if name.startswith('__'):
            raise AttributeError(name)

        def missing(*args: Any, **kwargs: Any) -> None:
            raise NotImplementedError(_MISSING.format(name))

        return missing


def compiled_ops_work() -> bool:
    """Whether mmcv has compiled ops that run on the device that torch sees."""
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    box = torch.tensor([[0.0, 0.0, 4.0, 4.0]], device=device)
    try:
        ops = importlib.import_module(_NAME)
        ops.nms(box, box[:, 2], iou_threshold=0.5, offset=0)
    except (
        ImportError,
        RuntimeError,
        AttributeError,
    ):  # none, of another torch, for another device
        return False
    return True


def install() -> None:
    """Let mmcv use the ops of this module where its compiled ones are absent or do not run.

    To be called before mmcv.ops is imported.
    """
    if not isinstance(sys.modules.get(_NAME), _Ops) and not compiled_ops_work():
        ops = _Ops(_NAME)
        ops.__dict__.update(_OPS)
        ops.__spec__ = importlib.machinery.ModuleSpec(_NAME, loader=None)  # mmengine asks for it
        sys.modules[_NAME] = importlib.import_module('mmcv')._ext = ops
        # onedl's mmdet goes without RoIAlign where it is imported before
        masks = sys.modules.get('mmdet.structures.mask.structures')
        if masks is not None:
            masks.roi_align = importlib.import_module('mmcv.ops.roi_align').roi_align


def ops_in_use() -> str:
    """Which ops mmcv uses, for logs."""
    plain = isinstance(sys.modules.get(_NAME), _Ops)
    return 'plain torch' if plain else 'compiled'
