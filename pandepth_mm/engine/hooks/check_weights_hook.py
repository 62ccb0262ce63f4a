"""Refusing to test weights that belong to another model."""
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class CheckWeightsHook(Hook):
    """Check that a loaded checkpoint fills every weight of the model.

    mmengine only warns, and a test of random weights prints a table like any
    other. ``tools/test.py`` adds this hook, ``tools/train.py`` does when it
    resumes.

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
            InputError: A weight is missing or has another shape, or the
                state of the training is missing.
        """
        missing = {'meta', 'message_hub', 'optimizer'} - set(checkpoint)
        if self.resume and missing:
            raise InputError(
                self.checkpoint, f'no {", ".join(sorted(missing))}',
                'a checkpoint of a training; to start from weights only, '
                'use --cfg-options load_from=FILE')
        model = runner.model
        if is_model_wrapper(model):
            model = model.module
        wanted = model.state_dict()
        found = checkpoint.get('state_dict', checkpoint)
        if not isinstance(found, dict):
            raise InputError(self.checkpoint, type(found).__name__,
                             'a dict of weights', 'state_dict')
        found = {key.removeprefix('module.'): v for key, v in found.items()}
        for key, value in wanted.items():
            if key not in found:
                known = sum(k in found for k in wanted)
                raise InputError(
                    self.checkpoint, f'{known} of the {len(wanted)} weights '
                    f'of the model ({key} is missing)',
                    'a checkpoint of this config')
            shape = tuple(getattr(found[key], 'shape', ()))
            if shape != tuple(value.shape):
                raise InputError(
                    self.checkpoint, f'shape {shape}',
                    f'{tuple(value.shape)}, as this config builds it', key)
