"""Memory layout of a training."""

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Lay the model's weights out channels last.

    Meant for CPUs, whose convolutions tend to be quicker in that layout. The values stay the same,
    and so do checkpoints.
    """

    def before_run(self, runner: Runner) -> None:
        """Change the layout once the model is built."""
        runner.model.to(memory_format=torch.channels_last)
