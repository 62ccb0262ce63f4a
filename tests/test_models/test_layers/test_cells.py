"""Cells of pixels, against torch's own functions."""

import pytest
import torch
from torch.nn import functional as F

from pandepth_mm.models.layers.cells import join_cells, max_2x2, max_3x3, split_cells, sum_3x3


def maps(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_maxima():
    x = maps(2, 3, 6, 8)
    assert torch.equal(max_2x2(x), F.max_pool2d(x, 2))
    assert torch.equal(max_3x3(x), F.max_pool2d(x, 3, stride=1, padding=1))


def test_sums():
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    x = maps(2, 3, 6, 8)
    expected = F.conv2d(x, kernel.expand(3, 1, 3, 3), groups=3)
    torch.testing.assert_close(sum_3x3(x), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('size', [(1, 1), (1, 5), (4, 1)])
def test_narrow_maps_have_neighbors_within_the_image_alone(size):
    x = maps(1, 2, *size)
    assert torch.equal(max_3x3(x), F.max_pool2d(x, 3, stride=1, padding=1))


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_cells_to_channels_and_back(layout):
    x = maps(2, 3, 8, 12).contiguous(memory_format=layout)
    for side in (2, 4):
        assert torch.equal(split_cells(x, side), F.pixel_unshuffle(x, side))
    x = maps(2, 12, 3, 5).contiguous(memory_format=layout)
    assert torch.equal(join_cells(x), F.pixel_shuffle(x, 2))
    assert torch.equal(split_cells(join_cells(x), 2), x)
