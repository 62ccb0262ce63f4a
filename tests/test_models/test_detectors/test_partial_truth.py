"""Batches of samples that lack ground truth."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from random_batch import random_batch

from pandepth_mm.registry import MODELS, set_default_scope

MINI = Path(__file__).parents[3] / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
LABELS = ('loss_semantic', 'loss_joint')
INSTANCES = ('loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask')
DEPTH = ('loss_depth',)


@pytest.fixture(scope='module')
def model():
    set_default_scope()
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(MINI).model)
    model.init_weights()
    # batch statistics would differ between the parts and the whole
    return model.eval()


def strip(sample, *kinds):
    """Take ground truth away, as a pipeline without its loader leaves a sample."""
    if 'labels' in kinds:
        del sample.gt_sem_seg
    if 'instances' in kinds:
        sample.gt_instances = InstanceData()
        sample.ignored_instances = InstanceData()
    if 'depth' in kinds:
        del sample.gt_depth_map


def losses(model, seeds, lacking=None, sizes=None):
    """Losses of a batch; ``lacking``: seed -> kinds of ground truth."""
    batch = random_batch(seeds, size=sizes or (64, 96))
    for seed, sample in zip(seeds, batch['data_samples'], strict=True):
        strip(sample, *(lacking or {}).get(seed, ()))
    data = model.data_preprocessor(batch, training=True)
    torch.manual_seed(7)  # RPN and RoI samplers
    return model(**data, mode='loss'), data


def value(losses, name):
    found = losses[name]
    return (sum(found) if isinstance(found, list) else found).item()


def pixels(data):
    return [int((sample.gt_depth_map.data > 0).sum()) for sample in data['data_samples']]


@pytest.mark.parametrize('seeds', [(0, 1, 2, 3), (2, 0, 3, 1)])
def test_mixed_losses_are_those_of_the_parts(model, seeds):
    """Images 2 and 3 have depth alone, whatever their places in the batch."""
    alone = ('labels', 'instances')
    mixed, _ = losses(model, seeds, {2: alone, 3: alone})
    first = [s for s in seeds if s < 2]
    panoptic, data = losses(model, first)
    for name in (*LABELS, *INSTANCES):
        assert value(mixed, name) == pytest.approx(value(panoptic, name), rel=1e-4), name
        assert value(mixed, name) > 0
    depth, other = losses(model, [s for s in seeds if s > 1], {2: alone, 3: alone})
    counts = sum(pixels(data)), sum(pixels(other))
    parts = value(panoptic, 'loss_depth'), value(depth, 'loss_depth')
    mean = (counts[0] * parts[0] + counts[1] * parts[1]) / sum(counts)
    assert parts[0] != pytest.approx(parts[1], rel=1e-3)
    assert value(mixed, 'loss_depth') == pytest.approx(mean, rel=1e-4)


def test_depth_of_some_samples(model):
    mixed, _ = losses(model, (0, 1), {0: ('depth',)})
    whole, _ = losses(model, (0, 1))
    alone, _ = losses(model, (1,))
    assert value(mixed, 'loss_depth') == pytest.approx(value(alone, 'loss_depth'), rel=1e-4)
    assert value(mixed, 'loss_semantic') == pytest.approx(value(whole, 'loss_semantic'), rel=1e-4)


def test_labels_without_instances(model):
    mixed, _ = losses(model, (0, 1), {0: ('instances',), 1: ('labels',)})
    for seed, names in ((0, LABELS), (1, INSTANCES)):
        alone, _ = losses(model, (seed,))
        for name in names:
            assert value(mixed, name) == pytest.approx(value(alone, name), rel=1e-4), name


@pytest.mark.parametrize(
    'lacking, silent',
    [
        (('labels', 'instances'), (*LABELS, *INSTANCES)),
        (('depth',), DEPTH),
        (('labels', 'instances', 'depth'), (*LABELS, *INSTANCES, *DEPTH)),
    ],
)
def test_each_parameter_gets_a_gradient(model, lacking, silent):
    """Also where no sample has the truth; its losses are then 0, and their keys stay."""
    found, data = losses(model, (0, 1), dict.fromkeys((0, 1), lacking))
    whole, _ = losses(model, (0, 1))
    assert found.keys() == whole.keys()
    assert all(value(found, name) == 0 for name in silent)
    assert all(value(found, name) > 0 for name in {*LABELS, *INSTANCES, *DEPTH} - {*silent})
    assert ('gt_sem_seg' in data['data_samples'][0]) == ('labels' not in lacking)
    model.zero_grad()
    model.parse_losses(found)[0].backward()
    grads = {name: p.grad for name, p in model.named_parameters()}
    assert all(grad is not None and torch.isfinite(grad).all() for grad in grads.values())
    assert all(grad.abs().max() == 0 for grad in grads.values()) == (len(lacking) == 3)
    model.zero_grad()


def test_ground_truth_of_other_sizes_is_padded(model):
    """The first sample of a batch says nothing about the others."""
    batch = random_batch((0,), size=(64, 96))
    small = random_batch((1,), size=(50, 70))
    for key, values in small['inputs'].items():
        batch['inputs'][key] += values
    batch['data_samples'] += small['data_samples']
    strip(batch['data_samples'][0], 'labels', 'instances', 'depth')
    first, second = model.data_preprocessor(batch, training=True)['data_samples']
    assert second.gt_sem_seg.sem_seg.shape == second.gt_depth_map.data.shape == (1, 64, 96)
    assert (second.gt_sem_seg.sem_seg[:, 50:] == 255).all()
    assert second.gt_instances.masks.masks.shape[1:] == (64, 96)
    assert not {'gt_sem_seg', 'gt_depth_map'} & set(first.keys())
