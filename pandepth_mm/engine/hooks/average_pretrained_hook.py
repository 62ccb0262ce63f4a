"""Going back, half way, to the weights that a backbone came with."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS

_BRANCH = 'backbone.'


@HOOKS.register_module()
class AveragePretrainedHook(Hook):
    """Start from the mean of the backbone in ``load_from`` and its pretrained weights.

    Trained for long on rendered images, a backbone forgets what photographs look like. The mean of
    both sets of weights and statistics does nearly as well on the former and better on the latter.
    Branches that read it have to learn on. A resumed training goes on with what it had, and a test
    takes the weights as they are.

    The model needs an ``init_cfg`` of type 'Pretrained' in its backbone, and the config
    ``load_from``.

    Source: WiSE-FT, Wortsman et al., Robust fine-tuning of zero-shot models (CVPR 2022), eq. 1 with
    a coefficient of 0.5.
    """

    # after StartWeightsHook; the EMA hook (NORMAL) copies the weights of the checkpoint
    priority = 'HIGH'

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Average the backbone.

        Args:
            runner: The runner; its model has the pretrained weights by now.
            checkpoint: Content of the file, changed in place.

        Raises:
            InputError: The backbone has no pretrained weights.
        """
        model = unwrapped_model(runner)
        # a test loads weights too, into a model that was not initialized
        if runner._resume or not model.is_init:
            return
        if getattr(model.backbone, 'pretrained', None) is None:
            raise InputError(
                'config',
                'a backbone without pretrained weights',
                "init_cfg of type 'Pretrained' for AveragePretrainedHook",
                'model.backbone.init_cfg',
            )
        given = checkpoint['state_dict']
        for name, value in model.state_dict().items():
            if name.startswith(_BRANCH) and name in given and value.is_floating_point():
                given[name] = (given[name].to(value) + value) / 2
