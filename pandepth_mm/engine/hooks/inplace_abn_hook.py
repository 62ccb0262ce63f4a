"""Less memory for norms and activations in a training."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.models.layers.inplace_abn import activate_in_place
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class InPlaceABNHook(Hook):
    """Keep one map of norm and leaky ReLU for the backward pass instead of two.

    See :class:`~pandepth_mm.models.layers.inplace_abn.InPlaceABN`. The values stay the same, and so
    do checkpoints. It is not part of the model's config, since mmengine's ``sync_bn`` would replace
    norm and activation by a norm.
    """

    def before_train(self, runner: Runner) -> None:
        """Change the layers once norms are synchronized or frozen."""
        model = unwrapped_model(runner)
        model.train()
        count = activate_in_place(model)
        runner.logger.info(
            f'InPlaceABNHook: {count} norms keep one map with their activation '
            '(synchronized and frozen norms, and activations other than leaky ReLU, keep two)'
        )
