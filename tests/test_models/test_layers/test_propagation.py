"""Propagation of depth among neighbors."""

import numpy as np
import torch

from pandepth_mm.models.layers.propagation import neighborhood, propagate


def make(batch=2, size=(4, 5), seed=0):
    rng = torch.Generator().manual_seed(seed)
    values = torch.randn(batch, 1, *size, generator=rng, dtype=torch.float64)
    affinity = torch.randn(batch, 9, *size, generator=rng, dtype=torch.float64).softmax(dim=1)
    anchors = torch.randn(batch, 1, *size, generator=rng, dtype=torch.float64)
    trust = torch.rand(batch, 1, *size, generator=rng, dtype=torch.float64)
    return values, affinity, anchors, trust


def by_loops(values, affinity, anchors, trust, steps):
    values, affinity, anchors, trust = (x.numpy() for x in (values, affinity, anchors, trust))
    batch, _, height, width = values.shape
    for _ in range(steps):
        result = np.zeros_like(values)
        for b, y, x in np.ndindex(batch, height, width):
            total = 0
            for dy in (-1, 0, 1):
                for dx in (-1, 0, 1):
                    row, col = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
                    total += affinity[b, 3 * (dy + 1) + dx + 1, y, x] * values[b, 0, row, col]
            share = trust[b, 0, y, x]
            result[b, 0, y, x] = (1 - share) * total + share * anchors[b, 0, y, x]
        values = result
    return torch.from_numpy(values)


def test_propagation_equals_loops():
    for steps in (0, 1, 3):
        inputs = make()
        torch.testing.assert_close(propagate(*inputs, steps), by_loops(*inputs, steps))


def test_neighborhood_is_row_by_row_with_the_pixel_in_the_middle():
    x = torch.arange(12.0).view(1, 1, 3, 4)
    found = neighborhood(x)
    assert found[0, :, 1, 1].tolist() == [0, 1, 2, 4, 5, 6, 8, 9, 10]
    assert found[0, :, 0, 0].tolist() == [0, 0, 1, 0, 0, 1, 4, 4, 5]  # repeated at the border


def test_gradients():
    inputs = [x.requires_grad_() for x in make(batch=1, size=(2, 3))]
    assert torch.autograd.gradcheck(lambda *x: propagate(*x, 2), inputs)
