"""A detector of which parts do not learn."""

from collections.abc import Sequence
from typing import Any

from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.models.detectors.pandepth import PanDepth
from pandepth_mm.registry import MODELS

_BRANCHES = (
    'backbone',
    'neck',
    'semantic_head',
    'instance_neck',
    'rpn_head',
    'roi_head',
    'instance_head',
    'depth_head',
    'joint_head',
)


@MODELS.register_module()
class PartlyFrozenPanDepth(PanDepth):
    """PanDepth with branches that stay as they are loaded, to train the others.

    Their weights get no gradient, and their norms keep the running statistics, which a training
    with a learning rate of 0 would change. With all but the depth head frozen, data without
    panoptic ground truth adapts the depth, and the other branches still compute what they did, now
    from the new depth where they read it.

    Args:
        frozen: Names of branches, such as 'backbone'. Some branch with a loss must be left.
        **kwargs: Of `PanDepth`.

    Raises:
        InputError: A name that is none, a branch that the model lacks, or nothing left to train.
    """

    def __init__(self, frozen: Sequence[str], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name in frozen:
            require_choice(name, _BRANCHES, 'config', 'model.frozen')
            if getattr(self, name) is None:
                raise InputError(
                    'config', f'{name!r}, which the model lacks', 'its branches', 'model.frozen'
                )
        self.frozen = tuple(frozen)
        for name in frozen:
            getattr(self, name).requires_grad_(False)
        if not any(parameter.requires_grad for parameter in self.parameters()):
            raise InputError('config', f'{self.frozen}', 'a branch left to train', 'model.frozen')

    def train(self, mode: bool = True) -> 'PartlyFrozenPanDepth':
        """Set the mode; frozen branches stay in eval mode."""
        super().train(mode)
        for name in self.frozen:
            getattr(self, name).eval()
        return self
