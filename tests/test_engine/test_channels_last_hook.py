from types import SimpleNamespace

import torch
from torch import nn

from pandepth_mm.registry import HOOKS


def test_layout_changes_and_values_stay():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 3))
    image = torch.rand(2, 3, 12, 10)
    before = model(image)
    weights = [p.clone() for p in model.parameters()]
    HOOKS.build(dict(type='ChannelsLastHook')).before_run(SimpleNamespace(model=model))
    assert model[1].weight.is_contiguous(memory_format=torch.channels_last)
    for new, old in zip(model.parameters(), weights, strict=True):
        assert torch.equal(new, old)
    torch.testing.assert_close(model(image), before)
