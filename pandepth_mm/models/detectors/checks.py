"""Refusing a combination of branches and losses that cannot be trained."""

from collections.abc import Sequence

import torch
from mmdet.models.detectors import BaseDetector
from mmdet.utils import OptConfigType

from pandepth_mm.errors import InputError, require_count


def check_branches(branches: dict[str, OptConfigType]) -> None:
    """Refuse a model whose branches lack something they need."""
    instances = 'roi_head' if branches['instance_head'] is None else 'instance_head'
    needs = dict(
        neck=('backbone',),
        semantic_head=('backbone',),
        instance_neck=('roi_head',),
        rpn_head=('backbone', 'roi_head'),
        roi_head=('backbone', 'rpn_head'),
        joint_head=('semantic_head', 'depth_head'),
        instance_head=('backbone',),
        panoptic_fusion=('semantic_head', instances),
        panoptic_baseline=('panoptic_fusion',),
    )
    for name, required in needs.items():
        for other in required:
            if branches[name] is not None and branches[other] is None:
                raise InputError(
                    'config',
                    f'{name} without {other}',
                    f'model.{other}, or no model.{name}',
                    f'model.{name}',
                )
    if branches['instance_head'] is not None and branches['roi_head'] is not None:
        raise InputError(
            'config',
            'instance_head beside roi_head',
            'one of them, the other None',
            'model.instance_head',
        )
    tasks = ('semantic_head', 'roi_head', 'instance_head', 'depth_head')
    if all(branches[name] is None for name in tasks):
        raise InputError(
            'config', 'no branch with a loss', f'at least one of {", ".join(tasks)}', 'model'
        )


def check_counts(branches: dict[str, OptConfigType], num_things: int, num_stuff: int) -> None:
    """Refuse counts that are none, and an instance branch without thing classes."""
    for name, count in (('num_things', num_things), ('num_stuff', num_stuff)):
        require_count(count, 'config', f'model.{name}', least=0)
    names = ('rpn_head', 'roi_head', 'instance_head', 'panoptic_fusion', 'panoptic_baseline')
    idle = [f'model.{name}' for name in names if branches[name] is not None]
    if num_things == 0 and idle:
        raise InputError(
            'config',
            f'0, and {", ".join(idle)}',
            f'at least 1 thing class; for data without things set to None: {", ".join(idle)}',
            'model.num_things',
        )


def check_geometry(model: BaseDetector) -> None:
    """Refuse a head that reads the dense depth in a model without a depth head."""
    if model.depth_head is not None:
        return
    for name in ('semantic_head', 'instance_neck', 'instance_head'):
        if getattr(getattr(model, name), 'reads_depth', False):
            raise InputError(
                'config',
                'a head that reads the dense depth, without depth_head',
                f'geometry_channels=0 in model.{name}, or model.depth_head',
                f'model.{name}.geometry_channels',
            )


def check_losses(model: BaseDetector) -> None:
    """Refuse a model with a head that no loss trains, see PanDepth."""
    own = {  # the loss modules of the dense heads
        name: _has_weight(getattr(getattr(model, name), attribute, None))
        for name, attribute in (
            ('semantic_head', 'loss'),
            ('depth_head', 'loss_depth'),
            ('joint_head', 'loss'),
        )
        if getattr(model, name) is not None
    }
    joint = own.get('joint_head', False)
    depth = own.get('depth_head', False) or joint
    attached = getattr(model.depth_head, 'trains_semantics', False)
    trained = dict(
        joint_head=(joint, 'nothing reads the refined logits'),
        depth_head=(depth, 'no joint head reads the depth'),
        semantic_head=(
            own.get('semantic_head') or joint or (depth and attached),
            'no head reads the preliminary logits attached',
        ),
    )
    for name, (is_trained, reason) in trained.items():
        if name in own and not is_trained:
            raise _no_weight(f'{name}.loss', reason)
    if (
        model.panoptic_fusion is not None
        and not own['semantic_head']
        and (model.joint_head is None or model.fusion_logits == 'preliminary')
    ):
        raise _no_weight('semantic_head.loss', 'the panoptic fusion reads the preliminary logits')
    for branch in ('rpn_head', 'roi_head', 'instance_head'):
        head = getattr(model, branch)
        for name, module in [] if head is None else head.named_modules():
            if name.split('.')[-1].startswith('loss') and not _has_weight(module):
                raise _no_weight(f'{branch}.{name}', 'no other loss trains that layer')


def check_feats(model: BaseDetector, feats: Sequence[torch.Tensor], size: tuple[int, int]) -> None:
    """Refuse feature maps that are not those of the instance branch.

    At other strides mmdet's heads would silently misplace what they read. Without an instance
    branch any maps will do.

    Args:
        model: A PanDepth.
        feats: Maps (B, C, h, w) that its heads get.
        size: (height, width) of the image batch.

    Raises:
        InputError: There are more or fewer maps than strides of anchors, a map has other channels,
            or a side of it is more than a pixel away from the image's / stride.
    """
    head = model.rpn_head
    if head is None:
        return
    strides = [stride[0] for stride in head.prior_generator.strides]
    shapes = [tuple(x.shape[1:]) for x in feats]
    if len(shapes) != len(strides) or not all(
        channels == head.in_channels
        and abs(height - size[0] / stride) <= 1
        and abs(width - size[1] / stride) <= 1
        for stride, (channels, height, width) in zip(strides, shapes, strict=True)
    ):
        raise InputError(
            'config',
            f'maps (c, h, w) {", ".join(map(str, shapes))} of an image {tuple(size)}',
            f'{head.in_channels} channels and strides {strides}, as model.rpn_head says',
            'model.neck',
        )


def _has_weight(loss: torch.nn.Module | None) -> bool:
    """Whether a loss, or one of several, counts; one that states no weight does."""
    if isinstance(loss, torch.nn.ModuleList):
        return any(map(_has_weight, loss))
    return getattr(loss, 'loss_weight', 1) > 0


def _no_weight(where: str, reason: str) -> InputError:
    """Say that a loss is needed; ``where`` is its place in the model."""
    return InputError(
        'config', 'no weight', f'more than 0, since {reason}', f'model.{where}.loss_weight'
    )
