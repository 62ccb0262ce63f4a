from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)

    def test_step(self, data):
        return [self.conv(data['img'])]


def test_the_test_computes_in_16_bits_and_the_model_stays():
    runner = SimpleNamespace(model=Model())
    data = dict(img=torch.rand(1, 3, 8, 8))
    (plain,) = runner.model.test_step(data)
    hook = HOOKS.build(dict(type='PrecisionHook', precision='bf16'))
    hook.before_test_epoch(runner)
    with torch.autocast('cpu', enabled=False):  # as mmengine's loop does
        (out,) = runner.model.test_step(data)
    assert out.dtype == torch.bfloat16
    torch.testing.assert_close(out.float(), plain, rtol=0, atol=0.02)
    hook.after_test_epoch(runner, metrics={})
    assert torch.equal(runner.model.test_step(data)[0], plain)


def test_it_comes_after_the_copy_of_the_model():
    hooks = [HOOKS.build(dict(type='OptimizeHook'))]
    hooks.append(HOOKS.build(dict(type='PrecisionHook', precision='bf16')))
    assert [hook.priority for hook in hooks] == ['LOWEST'] * 2


def test_float16_needs_a_gpu():
    hook = HOOKS.build(dict(type='PrecisionHook', precision='fp16'))
    with pytest.raises(InputError, match="'fp16' on a CPU"):
        hook.before_test_epoch(SimpleNamespace(model=Model()))
