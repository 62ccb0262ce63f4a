"""Going back, half way, to the weights that a backbone came with."""

from copy import deepcopy

from mmengine.dist import broadcast
from mmengine.hooks import EMAHook, Hook
from mmengine.runner import Runner
from torch import nn

from pandepth_mm.engine.unwrapped_model import unwrapped_model
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.registry import HOOKS


@HOOKS.register_module()
class AveragePretrainedHook(Hook):
    """Average the backbone with its pretrained weights at an iteration, and hold it from then on.

    Trained for long on rendered images, a backbone forgets what photographs look like. The mean of
    both sets of weights and statistics does nearly as well on the former and better on the latter.
    Branches that read it learn on.

    The model needs an ``init_cfg`` of type 'Pretrained' in its backbone. With an EMAHook, the mean
    starts from the averaged weights of the training. Processes of a distributed training need
    ``find_unused_parameters=True`` in the config.

    Args:
        begin: Iteration before which the backbone is averaged; it learns until then. 0: what
            ``load_from`` brought is averaged.

    Raises:
        InputError: ``begin`` is not a count, or, before the training, the backbone has no
            pretrained weights.

    Source: WiSE-FT, Wortsman et al., Robust fine-tuning of zero-shot models (CVPR 2022), eq. 1 with
    a coefficient of 0.5.
    """

    def __init__(self, begin: int = 0) -> None:
        require_count(begin, 'AveragePretrainedHook', 'begin', least=0)
        self.begin = begin

    def before_run(self, runner: Runner) -> None:
        """Refuse a backbone without pretrained weights."""
        backbone = unwrapped_model(runner).backbone
        if getattr(backbone, 'pretrained', None) is None:
            raise InputError(
                'config',
                'a backbone without pretrained weights',
                "init_cfg of type 'Pretrained' for AveragePretrainedHook",
                'model.backbone.init_cfg',
            )

    def before_train(self, runner: Runner) -> None:
        """Hold the backbone of a training that is resumed after ``begin``."""
        if runner.iter > self.begin:
            _hold(unwrapped_model(runner).backbone)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Average and hold the backbone, once.

        Args:
            runner: The runner.
            batch_idx: Not used.
            data_batch: Not used.
        """
        if runner.iter != self.begin:
            return
        backbones = [unwrapped_model(runner).backbone]
        backbones += [h.ema_model.module.backbone for h in runner.hooks if isinstance(h, EMAHook)]
        source = deepcopy(backbones[-1])
        source.load_pretrained(source.pretrained['checkpoint'], source.pretrained.get('prefix', ''))
        pretrained = source.state_dict()
        mean = {
            name: (value + pretrained[name]) / 2 if value.is_floating_point() else value
            for name, value in backbones[-1].state_dict().items()
        }
        # the processes share weights, but without synchronized norms not the statistics
        for value in mean.values():
            broadcast(value)
        for backbone in backbones:
            backbone.load_state_dict(mean)
        _hold(backbones[0])
        runner.logger.info(
            'The backbone is the mean of what it learned and its pretrained weights now, and stays.'
        )


def _hold(backbone: nn.Module) -> None:
    """Keep the weights and statistics of a backbone as they are."""
    backbone.requires_grad_(False)
    # its train(), which every epoch calls, leaves all of it in evaluation mode
    backbone.frozen_stages = len(backbone.layers)
    backbone.norm_eval = True
    backbone.train()
