"""The losses of the whole model and their sum (paper, equations 3 and 5)."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from random_batch import random_batch

from pandepth_mm.registry import MODELS

MINI = Path(__file__).parents[3] / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
# equation 3, in the paper's order
INSTANCE = ('loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask')
# name of each loss -> where its config stands in the model's
PLACES = dict(
    loss_semantic='semantic_head.loss',
    loss_joint='joint_head.loss',
    loss_depth='depth_head.loss',
    loss_rpn_cls='rpn_head.loss_cls',
    loss_rpn_bbox='rpn_head.loss_bbox',
    loss_cls='roi_head.bbox_head.loss_cls',
    loss_bbox='roi_head.bbox_head.loss_bbox',
    loss_mask='roi_head.mask_head.loss_mask',
)


def model_of(weights):
    """The demo model with the given loss weights, always the same otherwise."""
    cfg = Config.fromfile(MINI)
    cfg.merge_from_dict(
        {f'model.{PLACES[name]}.loss_weight': weight for name, weight in weights.items()}
    )
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    # a correction of the fill begins as zero
    torch.nn.init.normal_(model.depth_head.predict_depth.weight, std=0.01)
    return model.train()


def step(model, batch):
    """Total, and each loss as one number, of one training step."""
    data = model.data_preprocessor(batch, training=True)
    torch.manual_seed(0)  # for the samplers and stochastic depth
    losses = model(**data, mode='loss')
    parts = {}
    for name, value in losses.items():
        # per level, as the RPN has them, or one tensor
        levels = value if isinstance(value, list) else [value]
        parts[name] = sum(level.detach().double().item() for level in levels)
    total, _ = model.parse_losses(losses)
    return total, parts


def test_total_is_the_weighted_sum():
    weights = {name: 0.5 + 0.25 * i for i, name in enumerate(PLACES)}
    plain_total, plain = step(model_of({name: 1.0 for name in PLACES}), random_batch())
    total, parts = step(model_of(weights), random_batch())
    assert {n for n in plain if n.startswith('loss')} == set(PLACES)
    assert all(plain[name] > 0 for name in PLACES)
    for name, weight in weights.items():
        assert parts[name] == pytest.approx(weight * plain[name], rel=1e-5)
    # what is only shown (accuracies) is not in the sum
    assert 'acc' in plain
    for value, by_name in ((plain_total, plain), (total, parts)):
        instance = sum(by_name[name] for name in INSTANCE)
        expected = (
            by_name['loss_semantic'] + by_name['loss_joint'] + instance + by_name['loss_depth']
        )
        assert value.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize('numbers', [(0, 0), (2, 0)])
def test_five_instance_losses_without_an_instance(numbers):
    """All present and finite, with an image that holds no instance."""
    batches = [random_batch((seed,), num_instances=number) for seed, number in enumerate(numbers)]
    first, second = batches
    for key in first['inputs']:
        first['inputs'][key] += second['inputs'][key]
    first['data_samples'] += second['data_samples']
    model = model_of({})
    total, parts = step(model, first)
    assert set(INSTANCE) <= set(parts)
    for name in INSTANCE:
        assert torch.isfinite(torch.tensor(parts[name])), name
    some = sum(numbers) > 0
    # backgrounds are still to be classified, boxes and masks are not
    assert parts['loss_rpn_cls'] > 0 and parts['loss_cls'] > 0
    for name in ('loss_rpn_bbox', 'loss_bbox', 'loss_mask'):
        assert (parts[name] > 0) == some, name
    total.backward()
    for name, param in model.named_parameters():
        assert param.grad is not None and param.grad.isfinite().all(), name
