"""Convolutions that pad within, against mmcv's that pad a copy."""

import copy
import itertools

import pytest
import torch
from mmcv.cnn.bricks import Conv2dAdaptivePadding
from torch import nn

from pandepth_mm.models.layers.same_conv import HalvingConv, pad_within


def padded_within(layer):
    """The layer that stands for it."""
    model = nn.Sequential(copy.deepcopy(layer))
    pad_within(model)
    return model[0]


@pytest.mark.parametrize('kernel', [3, 5, (3, 5)])
@pytest.mark.parametrize('bias', [False, True])
def test_halving_equals_mmcv_at_even_and_odd_sides(kernel, bias):
    torch.manual_seed(0)
    layer = Conv2dAdaptivePadding(4, 4, kernel, stride=2, groups=4, bias=bias)
    within = padded_within(layer)
    assert type(within) is HalvingConv
    for size in itertools.product((6, 7), (10, 11)):
        x = torch.randn(2, 4, *size)
        torch.testing.assert_close(within(x), layer(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize('kernel, dilation', [(1, 1), (3, 1), (5, 2), (4, 1)])
def test_stride_1(kernel, dilation):
    torch.manual_seed(0)
    layer = Conv2dAdaptivePadding(4, 6, kernel, dilation=dilation)
    within = padded_within(layer)
    assert type(within) is nn.Conv2d
    for size in itertools.product((6, 7), (10, 11)):
        x = torch.randn(2, 4, *size)
        torch.testing.assert_close(within(x), layer(x), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    'layer',
    [
        nn.Conv2d(4, 4, 3, padding=1),
        Conv2dAdaptivePadding(4, 4, 1, stride=2, groups=4),
        Conv2dAdaptivePadding(4, 4, 4, stride=2, groups=4),
        Conv2dAdaptivePadding(4, 4, 3, stride=2, dilation=2, groups=4),
        Conv2dAdaptivePadding(4, 6, 3, stride=2),
    ],
)
def test_others_stay(layer):
    assert type(padded_within(layer)) is type(layer)
