"""Comparing the class counts of the model and the data before long work."""

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class CheckClassCountHook(Hook):
    """Check that the model counts the classes that the data set has.

    The model states ``num_things`` and ``num_stuff``; the data set names the classes in
    ``metainfo['thing_classes']`` and ``['stuff_classes']``. Where they disagree, training would
    fail late, or learn the wrong labels.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner: Runner) -> None:
        """Check the training set.

        Raises:
            InputError: A count differs.
        """
        self._check(runner, runner.train_dataloader, 'train_dataloader')

    def before_val(self, runner: Runner) -> None:
        """Check the validation set.

        Raises:
            InputError: A count differs.
        """
        self._check(runner, runner.val_dataloader, 'val_dataloader')

    def before_test(self, runner: Runner) -> None:
        """Check the test set.

        Raises:
            InputError: A count differs.
        """
        self._check(runner, runner.test_dataloader, 'test_dataloader')

    @staticmethod
    def _check(runner: Runner, dataloader: DataLoader, name: str) -> None:
        model = unwrapped_model(runner)
        metainfo = dataloader.dataset.metainfo
        # a ConcatDataset of data sets that differ has a list of them
        for info in metainfo if isinstance(metainfo, list) else [metainfo]:
            for kind in ('thing', 'stuff'):
                key = 'num_things' if kind == 'thing' else 'num_stuff'
                classes = info[f'{kind}_classes']
                count = getattr(model, key)
                if count != len(classes):
                    raise InputError(
                        f'model.{key}',
                        str(count),
                        f'{len(classes)}, the number of {kind}_classes of '
                        f'{name}.dataset ({", ".join(classes)})',
                    )
