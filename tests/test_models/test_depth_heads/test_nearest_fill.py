"""Nearest fill against a search over all measurements."""

import pytest
import torch

from pandepth_mm.models.depth_heads import nearest_fill as fill_module
from pandepth_mm.models.depth_heads.nearest_fill import (
    _nearest_scipy,
    _nearest_separable,
    nearest_fill,
)

CASES = [(1, 1, 1.0), (1, 40, 0.1), (40, 1, 0.1), (23, 31, 0.05), (30, 12, 0.002), (17, 19, 0.9)]


def brute_force(valid):
    """Squared distance to the nearest measurement, long (H, W)."""
    rows, cols = valid.nonzero(as_tuple=True)
    v, u = torch.meshgrid(*[torch.arange(side) for side in valid.shape], indexing='ij')
    dist = (v[..., None] - rows) ** 2 + (u[..., None] - cols) ** 2
    return dist.amin(-1)


@pytest.mark.parametrize('search', [_nearest_scipy, _nearest_separable])
@pytest.mark.parametrize('height, width, density', CASES)
def test_nearest(search, height, width, density):
    torch.manual_seed(height * width)
    valid = torch.rand(height, width) < density
    valid[height // 2, width // 3] = True
    row, col = search(valid)
    assert valid[row, col].all()
    v, u = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
    assert torch.equal((row - v) ** 2 + (col - u) ** 2, brute_force(valid))


def test_small_chunks(monkeypatch):
    torch.manual_seed(0)
    valid = torch.rand(29, 17) < 0.05
    whole = _nearest_separable(valid)
    monkeypatch.setattr(fill_module, '_MAX_COSTS', 4 * 17**2)
    chunked = _nearest_separable(valid)
    assert torch.equal(torch.stack(whole), torch.stack(chunked))


def test_values():
    depth = torch.zeros(3, 1, 4, 9)
    depth[0, 0, 1, 1] = 5.0
    depth[0, 0, 1, 6] = 20.0
    depth[2, 0, 3, 8] = 7.0
    filled = nearest_fill(depth, default=40.0)
    assert filled.shape == depth.shape
    # columns 0 to 3 are nearer to 1, columns 4 to 8 nearer to 6
    expected = torch.tensor([5.0] * 4 + [20.0] * 5).expand(4, 9)
    assert torch.equal(filled[0, 0], expected)
    assert (filled[1] == 40).all()
    assert (filled[2] == 7).all()
