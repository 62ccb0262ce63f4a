"""Refusing to test weights that belong to another model."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from pandepth_mm.engine.checkpoint import check_state_dict
from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class CheckWeightsHook(Hook):
    """Check that a loaded checkpoint fills every weight of the model.

    mmengine only warns, and a test of random weights prints a table like any other.
    ``tools/test.py`` adds this hook, ``tools/train.py`` does when it resumes.

    Args:
        checkpoint: Name of the file, for the message.
        resume: The file must also hold what a training goes on from.
    """

    # the EMA hook (NORMAL) swaps the weights of the checkpoint in place
    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str, resume: bool = False) -> None:
        self.checkpoint = checkpoint
        self.resume = resume

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Compare names and shapes.

        Args:
            runner: The runner.
            checkpoint: Content of the file.

        Raises:
            InputError: A weight is missing or has another shape, or the state of the training is
                missing.
        """
        missing = {'meta', 'message_hub', 'optimizer'} - set(checkpoint)
        if self.resume and missing:
            raise InputError(
                self.checkpoint,
                f'no {", ".join(sorted(missing))}',
                'a checkpoint of a training; to start from weights only, '
                'use --cfg-options load_from=FILE',
            )
        model = unwrapped_model(runner)
        check_state_dict(checkpoint, model, self.checkpoint)
