"""The 1x1 convolution at the end of a branch, against torch's."""

import pytest
import torch
from torch import nn

from pandepth_mm.models.layers.pointwise import predict_maps


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
def test_equals_the_layer(layout):
    torch.manual_seed(0)
    layer = nn.Conv2d(7, 5, 1).to(memory_format=layout)
    x = torch.randn(2, 7, 6, 9).contiguous(memory_format=layout).requires_grad_()
    found, expected = predict_maps(layer, x), layer(x)
    assert found.is_contiguous()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    weight = torch.randn_like(expected)
    inputs = (x, *layer.parameters())
    for a, b in zip(
        torch.autograd.grad((found * weight).sum(), inputs),
        torch.autograd.grad((expected * weight).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)
