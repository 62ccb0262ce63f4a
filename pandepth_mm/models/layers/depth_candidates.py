"""Guesses of dense depth from sparse depth, without weights: planes, fills, extremes.

A network that chooses among them and corrects them keeps edges sharp, since they come from the
guesses, and planes flat. Everything here works on pyramids of sums, in plain torch, on any device.

The scales adapt to the density: each guess uses the finest level of a pyramid at which enough
measurements lie around a cell. Level 0 has cells of 2x2 pixels.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pandepth_mm.models.depth_heads.nearest_fill import nearest_fill
from pandepth_mm.models.layers.cells import join_cells, max_2x2, max_3x3, sum_3x3

# Sums over the measurements of a cell, weight w = 1, position (x, y) from the cell's center in
# units of the cell's side, value q = 1 / depth: w, wx, wy, wxx, wxy, wyy, wq, wxq, wyq.
_NUM_MOMENTS = 9
_MIN_WEIGHT = 1e-6
_LEVELS = 10


class PlaneFit(NamedTuple):
    """How local planes are fitted.

    Attributes:
        support: Measurements around a cell, weighted by a 3x3 binomial kernel (1 in the middle, 1/2
            beside it, 1/4 at the corners), that make its own plane count in full. With fewer, its
            share is the square of their ratio; the rest is the coarser level's.
        ridge: Added to the variance of the positions, cell sides squared: pulls a slope that too
            few directions hold to 0, and every other slope a little.
    """

    support: float
    ridge: float


# one that follows details and stays level where it must extrapolate, one that trusts slopes
PLANE_FITS = (PlaneFit(1.0, 0.1), PlaneFit(5.0, 0.005))


def _shift(x: float, y: float) -> Tensor:
    """Matrix (9, 9) that makes sums about a point at (-x, -y): positions grow by (x, y)."""
    matrix = torch.eye(_NUM_MOMENTS)
    matrix[1, 0], matrix[2, 0] = x, y
    matrix[3, 0], matrix[3, 1] = x * x, 2 * x
    matrix[4, 0], matrix[4, 1], matrix[4, 2] = x * y, y, x
    matrix[5, 0], matrix[5, 2] = y * y, 2 * y
    matrix[7, 6], matrix[8, 6] = x, y
    return matrix


def _kernels() -> dict[str, Tensor]:
    """The sums as convolutions, on the CPU.

    - cells (9, 2, 2, 2), stride 2: weight and value of the pixels to the sums of a cell;
    - coarser (9, 9, 2, 2), stride 2: those of four cells about their common center, in its units;
    - around (9, 9, 3, 3): binomially weighted, of 3x3 cells about the middle one's center;
    - finer (12, 3, 3, 3): planes a, b, c to those of the four cells of the next finer level, in its
      units, each the bilinear mean of the four nearest, evaluated at its own place.
    """
    cells = torch.zeros(_NUM_MOMENTS, 2, 2, 2)
    coarser = torch.zeros(_NUM_MOMENTS, _NUM_MOMENTS, 2, 2)
    around = torch.zeros(_NUM_MOMENTS, _NUM_MOMENTS, 3, 3)
    finer = torch.zeros(3, 4, 3, 3, 3)
    unit = torch.tensor([1, 0.5, 0.5, 0.25, 0.25, 0.25, 1, 0.5, 0.5])
    for row in (0, 1):
        for col in (0, 1):
            x, y = (col - 0.5) / 2, (row - 0.5) / 2
            cells[:6, 0, row, col] = torch.tensor([1, x, y, x * x, x * y, y * y])
            cells[6:, 1, row, col] = torch.tensor([1, x, y])
            coarser[:, :, row, col] = unit[:, None] * _shift(col - 0.5, row - 0.5)
            for step_y, weight_y in ((0, 0.75), (2 * row - 1, 0.25)):
                for step_x, weight_x in ((0, 0.75), (2 * col - 1, 0.25)):
                    weight = weight_x * weight_y
                    finer[:, 2 * row + col, :, 1 + step_y, 1 + step_x] = torch.tensor(
                        [
                            [weight / 2, 0, 0],
                            [0, weight / 2, 0],
                            [weight * (x - step_x), weight * (y - step_y), weight],
                        ]
                    )
    for row, weight_y in enumerate((0.5, 1, 0.5)):
        for col, weight_x in enumerate((0.5, 1, 0.5)):
            around[:, :, row, col] = weight_x * weight_y * _shift(col - 1, row - 1)
    return dict(cells=cells, coarser=coarser, around=around, finer=finer.flatten(0, 1))


# made here and not at the first call: that may be within an export, where tensors have no values
_KERNELS = _kernels()


def cell_moments(sparse_depth: Tensor) -> Tensor:
    """Sums of level 0.

    Args:
        sparse_depth: (B, 1, H, W), meters, 0 = no measurement; H and W even.

    Returns:
        (B, 9, H / 2, W / 2).
    """
    measured = sparse_depth > 0
    inverse = torch.where(measured, 1 / sparse_depth.clamp(min=1e-3), 0.0)
    pixels = torch.cat([measured.to(sparse_depth.dtype), inverse], dim=1)
    return F.conv2d(pixels, _KERNELS['cells'].to(pixels), stride=2)


def coarser_moments(moments: Tensor) -> Tensor:
    """Sums of the next level: those of 2x2 cells, about their common center."""
    moments = F.pad(moments, (0, moments.shape[-1] % 2, 0, moments.shape[-2] % 2))
    return F.conv2d(moments, _KERNELS['coarser'].to(moments), stride=2)


def _gather(moments: Tensor) -> Tensor:
    """Binomially weighted sums over 3x3 cells, about the middle one's center."""
    return F.conv2d(moments, _KERNELS['around'].to(moments), padding=1)


def _solve(gathered: Tensor, ridge: float) -> Tensor:
    """Least squares of q = a x + b y + c with a penalty of ridge * (a^2 + b^2) per measurement.

    Returns:
        (B, 3, h, w): a, b, c, about the cell's center, positions in cell sides; 0 in a cell without
        measurements around.
    """
    weight = gathered[:, 0].clamp(min=_MIN_WEIGHT)
    mx, my, mxx, mxy, myy, mq, mxq, myq = (gathered[:, 1:] / weight[:, None]).unbind(1)
    cxx, cyy, cxy = mxx - mx * mx + ridge, myy - my * my + ridge, mxy - mx * my
    cxq, cyq = mxq - mx * mq, myq - my * mq
    # at least ridge squared, up to rounding
    determinant = (cxx * cyy - cxy * cxy).clamp(min=0.1 * ridge**2)
    a = (cyy * cxq - cxy * cyq) / determinant
    b = (cxx * cyq - cxy * cxq) / determinant
    return torch.stack([a, b, mq - a * mx - b * my], dim=1)


def _finer_planes(planes: Tensor, size: tuple[int, int], values_only: bool = False) -> Tensor:
    """Planes for the cells of the next finer level, in its units; or their values c alone.

    Each is the bilinear mean of the four nearest planes, evaluated at its own place. Beyond the
    border the outermost planes go on.
    """
    height, width = planes.shape[-2:]
    padded = F.pad(planes, (1, 1, 1, 1), mode='replicate')
    a, b, c = padded.split(1, dim=1)
    x, y = torch.zeros(width + 2, device=a.device), torch.zeros(height + 2, 1, device=a.device)
    x[0], x[-1], y[0], y[-1] = -1, 1, -1, 1
    padded = torch.cat([a, b, c + a * x + b * y], dim=1)
    kernels = _KERNELS['finer'].to(padded)  # of a, b and c, four cells each
    finer = join_cells(F.conv2d(padded, kernels[-4:] if values_only else kernels))
    return finer[..., : size[0], : size[1]]


def plane_fill(pyramid: list[Tensor], size: tuple[int, int], *fits: PlaneFit) -> Tensor:
    """Inverse depth from local planes.

    On a plane in space inverse depth is linear in the pixel (a pinhole's projection), so that a
    plane is recovered up to the pull of the ridge.

    Args:
        pyramid: Of `cell_moments` and `coarser_moments`, finest first.
        size: (height, width) in pixels.
        fits: How the planes are fitted, each giving a map of its own.

    Returns:
        (B, number of fits, H, W), 1/m; of any sign where planes are extrapolated; 0 where the
        coarsest level holds nothing around.
    """
    planes = [None] * len(fits)
    for moments in reversed(pyramid):
        gathered = _gather(moments)
        for i, fit in enumerate(fits):
            own = _solve(gathered, fit.ridge)
            if planes[i] is not None:
                share = (gathered[:, :1] / fit.support).clamp(max=1).square()
                own = torch.lerp(_finer_planes(planes[i], moments.shape[-2:]), own, share)
            planes[i] = own
    return torch.cat([_finer_planes(x, size, values_only=True) for x in planes], dim=1)


def smooth_fill(log_sums: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean of log depth around each cell, over the finest level that has measurements.

    The 3x3 cells around it weigh as in :class:`PlaneFit`. Where they hold less than one measurement
    in all, their mean's share is that weight, the rest is the coarser level's mean, bilinear.

    Args:
        log_sums: Sum of the log depths of each cell, (B, 1, h, w).
        weights: Number of measurements of each cell, (B, 1, h, w).

    Returns:
        Log depth, (B, 1, h, w); 0 in an image without a measurement.
    """
    levels = [torch.cat([log_sums, weights], dim=1)]
    while max(levels[-1].shape[-2:]) > 1 and len(levels) < _LEVELS:
        sums = levels[-1]
        sums = F.pad(sums, (0, sums.shape[-1] % 2, 0, sums.shape[-2] % 2))
        levels.append(F.avg_pool2d(sums, 2) * 4)
    fill = None
    for sums in reversed(levels):
        around = sum_3x3(F.pad(sums, (1, 1, 1, 1)))
        mean = around[:, :1] / around[:, 1:].clamp(min=_MIN_WEIGHT)
        if fill is not None:
            size = sums.shape[-2:]
            coarse = F.interpolate(fill, scale_factor=2, mode='bilinear', align_corners=False)
            share = around[:, 1:].clamp(max=1)
            mean = torch.lerp(coarse[..., : size[0], : size[1]], mean, share)
        fill = mean
    return fill


def extreme_fill(depth: Tensor, support: float = 2.0) -> tuple[Tensor, Tensor]:
    """Least and greatest depth around each cell.

    Of the 3x3 cells around it, at the finest level where they hold ``support`` measured cells.

    Args:
        depth: Depth of each cell, (B, 1, h, w), meters, 0 = none.
        support: Measured cells wanted.

    Returns:
        tuple: (B, 1, h, w), meters, twice: of what the coarsest level holds where that is less; 0
        where they hold nothing.
    """
    least = torch.where(depth > 0, 1 / depth.clamp(min=1e-3), 0.0)  # inverse: 0 = infinitely far
    levels = [(least, depth, (depth > 0).to(depth.dtype))]
    while max(levels[-1][0].shape[-2:]) > 1 and len(levels) < _LEVELS:
        near, far, count = (F.pad(x, (0, x.shape[-1] % 2, 0, x.shape[-2] % 2)) for x in levels[-1])
        levels.append((max_2x2(near), max_2x2(far), F.avg_pool2d(count, 2) * 4))
    result = None
    for near, far, count in reversed(levels):
        own = max_3x3(torch.cat([near, far], dim=1))
        if result is not None:
            size = own.shape[-2:]
            coarse = F.interpolate(result, scale_factor=2, mode='nearest')
            enough = F.avg_pool2d(count, 3, stride=1, padding=1) * 9 >= support - 0.5
            own = torch.where(enough, own, coarse[..., : size[0], : size[1]])
        result = own
    near, far = result.split(1, dim=1)
    return torch.where(near > 0, 1 / near.clamp(min=1e-6), 0.0), far


class DepthCandidates(NamedTuple):
    """What a network can choose from, and how well it is founded.

    Attributes:
        log_depth: (B, K, H, W), natural logarithm of meters: the smooth fill first, a plane for
            each of ``PLANE_FITS``, the nearest measurement, the least and the greatest depth
            around. For the last three a cell of 2x2 pixels has its nearest depth.
        measured: Where a pixel was measured, bool (B, 1, H, W).
        weight: Measurements around each cell of 2x2 pixels, binomial 3x3, (B, 1, H / 2, W / 2).
        known: Whether an image has a measurement, bool (B, 1, 1, 1).
    """

    log_depth: Tensor
    measured: Tensor
    weight: Tensor
    known: Tensor


NUM_CANDIDATES = len(PLANE_FITS) + 4
NEAREST = len(PLANE_FITS) + 1  # index of the nearest measurement, of the pixel's own where it is


@torch.no_grad()
def depth_candidates(
    sparse_depth: Tensor,
    default: Tensor,
    min_depth: float,
    max_depth: float,
    nearest: Tensor | None = None,
) -> DepthCandidates:
    """Make every guess of a batch.

    The coarsest cells of planes and extremes have 1024 pixels a side. Beyond the cell next to one
    with a measurement, planes have ``max_depth`` and extremes ``min_depth``; the fills go on.

    Args:
        sparse_depth: (B, 1, H, W), meters, 0 = no measurement; H and W even.
        default: Meters in an image without measurements, (B,).
        min_depth: Least depth of a guess, meters.
        max_depth: Greatest depth of a guess, meters.
        nearest: Depth of the nearest measured cell of 2x2 pixels, (B, 1, H / 2, W / 2), meters,
            where a cell has its nearest measurement's; by default it is searched here.

    Returns:
        DepthCandidates: without gradients.
    """
    size = sparse_depth.shape[-2:]
    measured = sparse_depth > 0
    known = measured.flatten(1).any(1)[:, None, None, None]
    sparse_depth = torch.where(measured, sparse_depth.clamp(min=min_depth), 0.0)
    pyramid = [cell_moments(sparse_depth)]
    while max(pyramid[-1].shape[-2:]) > 1 and len(pyramid) < _LEVELS:
        pyramid.append(coarser_moments(pyramid[-1]))
    inverse = plane_fill(pyramid, size, *PLANE_FITS).clamp(1 / max_depth, 1 / min_depth)
    logs = torch.where(measured, sparse_depth.clamp(min=min_depth).log(), 0.0)
    smooth = smooth_fill(F.avg_pool2d(logs, 2) * 4, pyramid[0][:, :1])
    near = max_2x2(torch.where(measured, 1 / sparse_depth.clamp(min=min_depth), 0.0))
    cells = torch.where(near > 0, 1 / near.clamp(min=1e-6), 0.0)
    least, greatest = extreme_fill(cells)
    if nearest is None:
        nearest = nearest_fill(cells, max_depth)
    cell_maps = torch.cat([nearest, least, greatest], dim=1).clamp(min_depth, max_depth).log()
    nearest, least, greatest = F.interpolate(cell_maps, scale_factor=2, mode='nearest').split(1, 1)
    nearest = torch.where(measured, logs, nearest)
    smooth = F.interpolate(smooth, scale_factor=2, mode='bilinear', align_corners=False)
    log_depth = torch.cat([smooth, (1 / inverse).log(), nearest, least, greatest], dim=1)
    log_depth = torch.where(known, log_depth, default.log()[:, None, None, None])
    weight = sum_3x3(F.pad(pyramid[0][:, :1], (1, 1, 1, 1)))
    return DepthCandidates(log_depth, measured, weight, known)
