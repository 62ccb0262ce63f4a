"""Fill of a sparse depth map by the nearest measurement."""

import torch
from scipy.ndimage import distance_transform_edt
from torch import Tensor

# Entries of the cost matrix held at once on an accelerator (float32: 256 MB).
_MAX_COSTS = 2**26


def _nearest_scipy(valid: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest_measurement` by scipy, on the CPU."""
    index = distance_transform_edt(
        ~valid.cpu().numpy(), return_distances=False, return_indices=True
    )
    row, col = torch.from_numpy(index).to(valid.device, torch.long)
    return row, col


def _nearest_separable(valid: Tensor) -> tuple[Tensor, Tensor]:
    """`nearest_measurement` in two exact passes, on any device.

    First the nearest measurement of each pixel within its column, then for each pixel the column of
    its row whose candidate is nearest.
    """
    height, width = valid.shape
    rows = torch.arange(height, device=valid.device)[:, None]
    cols = torch.arange(width, device=valid.device)
    far = 4 * (height + width)
    above = torch.where(valid, rows, -far).cummax(dim=0)[0]
    below = torch.where(valid, rows, far).flip(0).cummin(dim=0)[0].flip(0)
    source = torch.where(rows - above <= below - rows, above, below)
    # float32 holds these squares exactly up to an image side of 4096, and an empty column stays
    # farther than any measurement
    down = (source - rows).float().square()
    across = (cols[:, None] - cols).float().square()
    col = torch.empty_like(source)
    step = max(_MAX_COSTS // width**2, 1)
    for start in range(0, height, step):
        cost = across + down[start : start + step, None]
        col[start : start + step] = cost.argmin(dim=-1)
    return source.gather(1, col), col


def nearest_measurement(valid: Tensor) -> tuple[Tensor, Tensor]:
    """Pixel of the nearest measurement (Euclidean, in the image).

    Args:
        valid: Where there is one, bool (H, W); at least one pixel is True.

    Returns:
        Rows and columns, long (H, W) each. Which of several equally near measurements it is, is not
        specified.
    """
    if valid.device.type == 'cpu':
        return _nearest_scipy(valid)
    return _nearest_separable(valid)


@torch.no_grad()
def nearest_fill(sparse_depth: Tensor, default: float) -> Tensor:
    """Give every pixel the depth of the nearest measured pixel.

    Args:
        sparse_depth: (B, 1, H, W), meters, 0 = no measurement.
        default: Meters for an image without any measurement.

    Returns:
        (B, 1, H, W), meters, without gradient; measured pixels keep their value.
    """
    filled = torch.full_like(sparse_depth, default)
    valid = sparse_depth > 0
    for i, mask in enumerate(valid[:, 0]):
        if mask.any():
            filled[i, 0] = sparse_depth[i, 0][nearest_measurement(mask)]
    return filled
