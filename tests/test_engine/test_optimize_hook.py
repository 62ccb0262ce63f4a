from types import SimpleNamespace

import torch
from torch import nn

from pandepth_mm.registry import HOOKS


def test_the_test_runs_a_copy_and_the_model_comes_back():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))  # as built: in training mode
    nn.init.normal_(model[1].running_mean)
    runner = SimpleNamespace(model=model)
    hook = HOOKS.build(dict(type='OptimizeHook'))
    hook.before_test_epoch(runner)
    assert runner.model is not model and not runner.model.training
    assert isinstance(runner.model[1], nn.Identity)
    image = torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(runner.model(image), model.eval()(image))
    hook.after_test_epoch(runner, metrics={})
    assert runner.model is model and isinstance(model[1], nn.BatchNorm2d)


def test_it_comes_after_the_averaged_weights():
    """The EMA hook swaps them into the model in the same event."""
    runner_hooks = [HOOKS.build(dict(type=name)) for name in ('OptimizeHook', 'EMAHook')]
    order = {type(hook).__name__: hook.priority for hook in runner_hooks}
    assert order == dict(OptimizeHook='LOWEST', EMAHook='NORMAL')
