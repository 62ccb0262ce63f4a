"""Starting a training from the weights of another one."""

from collections import Counter
from collections.abc import Iterable

from mmengine.hooks import Hook
from mmengine.runner import Runner

from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class StartWeightsHook(Hook):
    """Take what fits of a checkpoint, and say what does not.

    A tensor fits if the model has one of the same name and shape; the others keep their random
    start. mmengine does the same, but lists every name, and once more for the averaged weights.
    ``tools/train.py`` adds this hook where the config has ``load_from``.

    Args:
        checkpoint: Name of the file, for the messages.
    """

    # the EMA hook (NORMAL) copies the weights of the checkpoint
    priority = 'VERY_HIGH'

    def __init__(self, checkpoint: str) -> None:
        self.checkpoint = checkpoint

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Make the checkpoint one of this model.

        Args:
            runner: The runner.
            checkpoint: Content of the file, changed in place.

        Raises:
            InputError: Nothing of it fits.
        """
        model = unwrapped_model(runner)
        own = model.state_dict()
        given = checkpoint.get('state_dict', checkpoint)
        given = {name.removeprefix('module.'): value for name, value in given.items()}
        sizes = {name: tuple(getattr(value, 'shape', ())) for name, value in given.items()}
        other = {
            name: f'{name} {tuple(value.shape)}, there {sizes[name]}'
            for name, value in own.items()
            if name in given and sizes[name] != tuple(value.shape)
        }
        missing = [name for name in own if name not in given]
        found = {name: given[name] for name in own if name in given and name not in other}
        if not found:
            raise InputError(
                self.checkpoint,
                f'none of the {len(own)} tensors of the model',
                'weights of a model that shares branches with this one',
                'load_from',
            )
        report = [
            f'The training starts from {self.checkpoint}: {len(found)} of the {len(own)} '
            'tensors of the model.'
        ]
        for text, names in (
            ('Not loaded, since of another shape', other.values()),
            ('Not loaded, since not in the file', _by_branch(missing)),
            ('Not used, since not in the model', _by_branch(n for n in given if n not in own)),
        ):
            if names:
                report.append(f'{text}: {"; ".join(names)}.')
        runner.logger.info('\n'.join(report))
        checkpoint['state_dict'] = {**own, **found}


def _by_branch(names: Iterable[str]) -> list[str]:
    """Number of tensors of each branch that some names belong to."""
    counts = Counter(name.partition('.')[0] for name in names)
    return [f'{branch} ({count})' for branch, count in counts.items()]
