"""Testing in 16 bits."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from pandepth_mm.models.precision import check_precision, predict_in
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class PrecisionHook(Hook):
    """Compute the maps of the dense branches in another precision during a test.

    ``tools/test.py --precision`` adds this hook, after :class:`OptimizeHook`. mmengine's own
    ``TestLoop(fp16=True)`` leaves the type to torch, which takes float16 on a GPU.

    Args:
        precision: 'bf16', or 'fp16' on a GPU.
    """

    # after the copy of the model is made; of equal priorities the first registered comes first
    priority = 'LOWEST'

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self._model: nn.Module | None = None

    def before_test_epoch(self, runner: Runner) -> None:
        """Cast within the model's step, since the loop around it switches casting off.

        Raises:
            InputError: The device cannot do it.
        """
        self._model = runner.model
        device = next(self._model.parameters()).device
        check_precision(self.precision, device)
        step = self._model.test_step

        def test_step(data: dict) -> list:
            with predict_in(self.precision, device):
                return step(data)

        self._model.test_step = test_step

    def after_test_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Give the model its own step back.

        Args:
            runner: Not read.
            metrics: Not read.
        """
        del self._model.test_step
