"""The light family with box votes in the detector: losses, predictions, parts of it, refusals.

test_light_mask_rcnn.py has that with Mask R-CNN.
"""

import functools
from pathlib import Path

import pytest
import torch
from light_family import build_light, light_config, losses_of, predict
from mmengine.config import Config
from mmengine.structures import PixelData
from random_batch import random_batch

from pandepth_mm.errors import InputError
from pandepth_mm.models.instance_heads.box_votes import BoxVotes
from pandepth_mm.registry import MODELS

CONFIGS = Path(__file__).parents[3] / 'configs'
LIGHT = CONFIGS / 'pandepth_lite' / 'pandepth_lite0_votes_minivkitti.py'
LOSSES = dict(
    semantic=['loss_semantic'],
    instances=['loss_center', 'loss_box_vote', 'loss_thing'],
    depth=['loss_depth', 'loss_depth_uncertainty'],
)
PREDICTIONS = dict(
    semantic=['pred_sem_seg'],
    instances=['pred_instances'],
    depth=['pred_depth_map', 'pred_depth_uncertainty'],
)


config = functools.partial(light_config, LIGHT)
build = functools.partial(build_light, LIGHT)


@pytest.fixture(scope='module')
def model():
    """One that finds instances, and whose depth and semantics vary."""
    model = build()
    for layer in (model.instance_head.predict_maps, model.depth_head.predict):
        torch.nn.init.normal_(layer.weight, std=0.3)
    return model.eval()


# ---- training


@pytest.fixture(scope='module')
def trained_step():
    model = build()
    return model, losses_of(model)


def test_losses(trained_step):
    _, losses = trained_step
    assert {name for name in losses if 'loss' in name} == set(sum(LOSSES.values(), []))
    assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize('branch', LOSSES)
def test_branches_meet_in_the_backbone_alone(trained_step, branch):
    """Semantics and instances read the depth without a gradient."""
    model, losses = trained_step
    heads = dict(semantic='semantic_head', instances='instance_head', depth='depth_head')
    total = sum(losses[name] for name in LOSSES[branch])
    for other, head in heads.items():
        weights = list(getattr(model, head).parameters())
        grads = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
        assert all((g is not None) == (other == branch) for g in grads), head
    weight = next(model.backbone.parameters())
    (grad,) = torch.autograd.grad(total, weight, retain_graph=True)
    assert torch.isfinite(grad).all() and grad.abs().max() > 0


@pytest.mark.parametrize('kwargs', [dict(num_instances=0, density=0.0), dict(size=(63, 101))])
def test_every_parameter_gets_a_gradient(kwargs):
    """No parameter is unused: DDP needs no search for them."""
    model = build()
    loss, _ = model.parse_losses(losses_of(model, **kwargs))
    loss.backward()
    assert torch.isfinite(loss)
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


# ---- prediction


@pytest.mark.parametrize('kwargs', [dict(size=(63, 101)), dict(density=0.0)])
def test_predictions(model, kwargs):
    batch = random_batch((0,), **kwargs)
    size = (130, 160)
    batch['data_samples'][0].set_metainfo(dict(ori_shape=size))
    (sample,) = predict(model, batch)
    assert sample.pred_depth_map.data.shape == (1, *size)
    assert 0 < sample.pred_depth_map.data.min() and sample.pred_depth_map.data.max() <= 80
    assert sample.pred_depth_uncertainty.data.shape == (1, *size)
    assert sample.pred_depth_uncertainty.data.min() > 0
    assert sample.pred_sem_seg.sem_seg.shape == (1, *size)
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, *size)
    assert sample.pred_instances.masks.shape[1:] == size
    assert 0 < len(sample.pred_instances) <= 100
    assert 'mask_logits' not in sample.pred_instances


def test_measurements_of_the_image_correct_its_depth(model):
    """Where the pipeline keeps them; 2 % off everywhere is nearly the measured depth then."""
    size = (130, 160)
    samples = []
    for kept in (False, True):
        batch = random_batch((0,))
        sample = batch['data_samples'][0]
        sample.set_metainfo(dict(ori_shape=size))
        if kept:
            measured = samples[0].pred_depth_map.data * 0.98
            sample.ori_sparse_depth = PixelData(data=measured)
        samples += predict(model, batch)
    ratio = samples[1].pred_depth_map.data / samples[0].pred_depth_map.data
    torch.testing.assert_close(ratio, torch.full_like(ratio, 0.98), rtol=0, atol=1e-3)


@pytest.mark.parametrize('density', [0.0, 0.05])
def test_the_depth_is_shown_where_something_was_measured(model, density, monkeypatch):
    """Other intrinsics change what a depth says, and so the classes, but not without any."""
    outputs = []
    for focal in (40.0, 80.0):
        batch = random_batch((0,), density=density)
        inputs = model.data_preprocessor(batch)['inputs']
        inputs['cam2img'][:, 0, 0] = focal
        monkeypatch.setattr(model.depth_head, 'forward', lambda img, *args: img[:, :1] * 0 + 9)
        with torch.no_grad():
            outputs.append(model.forward_dense(inputs))
    for maps in zip(*((out.logits, out.votes.centers) for out in outputs), strict=True):
        assert torch.equal(*maps) == (density == 0)


# one row, one column and much larger; and of the same size
SIZES = [(64, 96), (65, 96), (64, 97), (97, 129), (64, 96)]


def batch_of(indices):
    """Frames of ``SIZES``, each with content of its own; one has no measurement."""
    frames = [random_batch((i,), size=SIZES[i], density=0.0 if i == 4 else 0.05) for i in indices]
    return dict(
        inputs={key: [f['inputs'][key][0] for f in frames] for key in frames[0]['inputs']},
        data_samples=[f['data_samples'][0] for f in frames],
    )


def test_equal_to_the_last_bit_in_any_company(model):
    alone = [predict(model, batch_of([i]))[0] for i in range(len(SIZES))]
    assert all(len(sample.pred_instances) > 0 for sample in alone)
    for company in ([0, 4], [3, 1, 2]):
        for i, sample in zip(company, predict(model, batch_of(company)), strict=True):
            assert sample.img_id == i  # in the order given
            for name, key in (
                ('pred_depth_map', 'data'),
                ('pred_depth_uncertainty', 'data'),
                ('pred_sem_seg', 'sem_seg'),
                ('pred_panoptic_seg', 'sem_seg'),
            ):
                found, expected = (getattr(s.get(name), key) for s in (sample, alone[i]))
                assert torch.equal(found, expected), name
            for key in ('bboxes', 'scores', 'labels', 'masks'):
                assert torch.equal(sample.pred_instances[key], alone[i].pred_instances[key]), key


def test_fusion_of_perfect_heads(model, monkeypatch):
    """The panoptic map is the ground truth where the heads say what they were told."""
    batch = random_batch((3,))
    (truth,) = batch['data_samples']
    labels = truth.gt_sem_seg.sem_seg[0]
    labels[labels == 255] = 13
    logits = torch.nn.functional.one_hot(labels, 14).movedim(-1, 0)[None] * 20.0
    heat, boxes, _, things, _ = model.instance_head._targets(truth, (32, 48), logits)
    x, y = (torch.arange(48) + 0.5) * 2, (torch.arange(32)[:, None] + 0.5) * 2
    sides = torch.stack([x - boxes[0], y - boxes[1], boxes[2] - x, boxes[3] - y])
    sides = torch.where(boxes[2] > 0, sides, 4.0)[None]
    votes = BoxVotes(heat.clamp(1e-6, 1 - 1e-6).logit()[None], sides, (40 * things - 20)[None])
    monkeypatch.setattr(model.semantic_head, 'forward', lambda *args: logits)
    monkeypatch.setattr(model.instance_head, 'forward', lambda *args: votes)
    (sample,) = predict(model, batch)
    panoptic = sample.pred_panoptic_seg.sem_seg[0]
    assert torch.equal(sample.pred_sem_seg.sem_seg[0], labels)
    stuff = labels >= 3
    assert (panoptic[stuff] == labels[stuff]).float().mean() > 0.97
    ids = [i for i in panoptic.unique().tolist() if i >= 1000]
    assert len(ids) == len(truth.gt_instances) == 2
    masks = torch.from_numpy(truth.gt_instances.masks.masks).bool()
    masks[0] &= ~masks[1]  # painted in this order
    overlaps = [
        [((panoptic == i) & m).sum() / ((panoptic == i) | m).sum() for m in masks] for i in ids
    ]
    assert torch.tensor(overlaps).amax(dim=0).min() > 0.8


# ---- parts alone


VARIANTS = dict(
    semantic=dict(
        semantic_head=dict(geometry_channels=0),
        depth_head=None,
        instance_head=None,
        panoptic_fusion=None,
    ),
    instances=dict(
        instance_head=dict(geometry_channels=0),
        depth_head=None,
        semantic_head=None,
        panoptic_fusion=None,
    ),
    # which does not read the map of stride 32
    depth=dict(
        semantic_head=None,
        instance_head=None,
        panoptic_fusion=None,
        backbone=dict(out_indices=(1, 2, 3, 4)),
        neck=dict(in_channels=[24, 40, 112]),
    ),
    semantic_depth=dict(instance_head=None, panoptic_fusion=None),
    semantic_instances=dict(
        semantic_head=dict(geometry_channels=0),
        instance_head=dict(geometry_channels=0),
        depth_head=None,
    ),
)


@pytest.mark.parametrize('name', VARIANTS)
def test_parts_train_and_predict(name):
    model = build(**VARIANTS[name])
    losses = losses_of(model)
    tasks = name.split('_')
    assert {n for n in losses if 'loss' in n} == {n for t in tasks for n in LOSSES[t]}
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    (sample,) = predict(model, random_batch((0,)))
    for task, names in PREDICTIONS.items():
        assert all((n in sample) == (task in tasks) for n in names), task
    assert ('pred_panoptic_seg' in sample) == (name == 'semantic_instances')


# ---- refusals


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            dict(depth_head=None),
            r'model.semantic_head.geometry_channels: found .*without depth_head; '
            'expected geometry_channels=0',
        ),
        (
            dict(depth_head=None, semantic_head=dict(geometry_channels=0)),
            'model.instance_head.geometry_channels: found',
        ),
        (dict(instance_head=None), 'panoptic_fusion without roi_head'),
        (dict(backbone=None, neck=None), 'without backbone'),
        (dict(num_things=0), 'model.instance_head'),
        (
            dict(instance_head=dict(loss_center=dict(type='GaussianFocalLoss', loss_weight=0.0))),
            'model.instance_head.loss_center.loss_weight: found no weight',
        ),
        (
            dict(depth_head=dict(loss=dict(type='LogDepthLoss', loss_weight=0.0))),
            'model.depth_head.loss.loss_weight: found no weight',
        ),
        (dict(instance_head=dict(num_classes=2)), 'model.instance_head.num_classes: found 2'),
    ],
)
def test_refused(changes, message):
    cfg = config(**{k: v for k, v in changes.items() if k != 'num_things'})
    cfg.num_things = changes.get('num_things', 3)
    with pytest.raises(InputError, match=message):
        MODELS.build(cfg)


def test_two_instance_branches_are_refused():
    cfg = config()
    mini = Config.fromfile(CONFIGS / 'pandepth' / 'pandepth_effb0_minivkitti.py').model
    for key in ('rpn_head', 'roi_head', 'train_cfg', 'test_cfg'):
        cfg[key] = mini[key]
    with pytest.raises(
        InputError, match='model.instance_head: found instance_head beside roi_head'
    ):
        MODELS.build(cfg)
