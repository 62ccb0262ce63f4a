"""The model of a runner, in one process or in several."""

from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import nn


def unwrapped_model(runner: Runner) -> nn.Module:
    """The runner's model, without the wrapper that several processes put around it."""
    model = runner.model
    return model.module if is_model_wrapper(model) else model
