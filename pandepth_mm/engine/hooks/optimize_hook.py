"""Testing with a quicker copy of the model."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.models.optimize import optimize_for_inference
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class OptimizeHook(Hook):
    """Test with a copy of the model that :func:`optimize_for_inference` makes.

    ``tools/test.py`` adds this hook. The runner has its own model again after the test.
    """

    # after the EMA hook (NORMAL) has swapped its weights into the model
    priority = 'LOWEST'

    def __init__(self) -> None:
        self._own: nn.Module | None = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Put the copy in the model's place."""
        self._own = runner.model
        runner.model = optimize_for_inference(unwrapped_model(runner).eval())

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Put the model back.

        Args:
            runner: The runner.
            metrics: Not read.
        """
        runner.model = self._own
