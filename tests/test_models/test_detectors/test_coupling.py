"""How semantics and depth feed each other, and the options for it.

What gradients do decides: which loss reaches which head is measured, and the refusals are compared
with that.
"""

from itertools import product
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from random_batch import random_batch

from pandepth_mm.errors import InputError
from pandepth_mm.registry import MODELS

MINI = Path(__file__).parents[3] / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
INSTANCES = dict(rpn_head=None, roi_head=None, panoptic_fusion=None)
HEADS = dict(semantic='semantic_head', depth='depth_head', joint='joint_head')
SEMANTICS = ['logits', 'softmax', 'detach', None]


def build(semantics='logits', weights=None, **changes):
    """The demo's model, with changes; ``weights`` by the keys of HEADS."""
    torch.manual_seed(0)
    cfg = Config.fromfile(MINI).model
    cfg.depth_head.semantics = semantics
    cfg.update(changes)
    for name, weight in (weights or {}).items():
        cfg[HEADS[name]].loss.loss_weight = weight
    model = MODELS.build(cfg)
    if model.depth_head is not None:
        # as the demo starts it, no gradient passes before the first step
        torch.nn.init.normal_(model.depth_head.predict_depth.weight, std=0.01)
    return model


def losses_of(model):
    data = model.data_preprocessor(random_batch(size=(48, 64)), training=True)
    return model(**data, mode='loss')


def reaches(loss, module):
    """Whether any weight of the module gets a gradient that is not 0."""
    grads = torch.autograd.grad(
        loss, list(module.parameters()), retain_graph=True, allow_unused=True
    )
    return any(g is not None and g.abs().max() > 0 for g in grads)


def inputs_of(module):
    """A list that fills with what the module is called with."""
    seen = []
    module.register_forward_hook(lambda _, args, __: seen.append(args[0]))
    return seen


@pytest.mark.parametrize('semantics', SEMANTICS)
def test_preliminary_logits_enter_the_depth_head(semantics):
    model = build(semantics, **INSTANCES).eval()
    seen = inputs_of(model.depth_head.image_stem)
    data = model.data_preprocessor(random_batch(size=(48, 64)))
    with torch.no_grad():
        out = model.forward_dense(data['inputs'])
    image, entered = seen[0][:, :3], seen[0][:, 3:]
    assert torch.equal(image, data['inputs']['img'])
    if semantics is None:
        assert entered.shape[1] == 0
    elif semantics == 'softmax':  # the paper's equation 2
        expected = out.logits.exp() / out.logits.exp().sum(1, keepdim=True)
        torch.testing.assert_close(entered, expected)
    else:
        assert torch.equal(entered, out.logits)


@pytest.mark.parametrize('semantics', SEMANTICS)
def test_depth_loss_reaches_the_semantics_if_attached(semantics):
    model = build(semantics, **INSTANCES)
    loss = losses_of(model)['loss_depth']
    attached = semantics in ('logits', 'softmax')
    assert reaches(loss, model.depth_head)
    assert reaches(loss, model.semantic_head) == attached
    assert reaches(loss, model.backbone) == attached


def test_joint_head_reads_logits_and_depth_over_its_range():
    model = build(**INSTANCES)
    seen = inputs_of(model.joint_head.convs)
    data = model.data_preprocessor(random_batch(size=(48, 64)), training=True)
    out = model.forward_dense(data['inputs'])
    assert torch.equal(seen[0][:, :-1], out.logits)
    torch.testing.assert_close(seen[0][:, -1:], out.depth / 80)
    grads = torch.autograd.grad(out.refined.sum(), (out.logits, out.depth))
    assert all(g.abs().max() > 0 for g in grads)


@pytest.mark.parametrize('name', HEADS)
def test_each_weight_scales_its_own_loss(name):
    plain = losses_of(build(weights=dict.fromkeys(HEADS, 1.0), **INSTANCES))
    weights = dict.fromkeys(HEADS, 1.0)
    weights[name] = 2.5
    losses = losses_of(build(weights=weights, **INSTANCES))
    assert losses.keys() == plain.keys()
    for key, value in losses.items():
        factor = 2.5 if key == f'loss_{name}' else 1
        torch.testing.assert_close(value, factor * plain[key])


@pytest.mark.parametrize(
    'changes, source',
    [
        (dict(), 'refined'),
        (dict(fusion_logits='refined'), 'refined'),
        (dict(fusion_logits='preliminary'), 'logits'),
        (dict(joint_head=None), 'logits'),
        (dict(joint_head=None, fusion_logits='refined'), 'logits'),
        (dict(joint_head=None, fusion_logits='preliminary'), 'logits'),
    ],
)
def test_fusion_reads_the_chosen_logits(changes, source, monkeypatch):
    model = build(**changes).eval()
    fused, predict = [], model.panoptic_fusion.predict

    def spy(logits, instances, labels):
        fused.append(logits)
        return predict(logits, instances, labels)

    monkeypatch.setattr(model.panoptic_fusion, 'predict', spy)
    batch = random_batch((0,), size=(48, 64))
    with torch.no_grad():
        data = model.data_preprocessor(batch)
        out = model.forward_dense(data['inputs'])
        (sample,) = model(**data, mode='predict')
    torch.testing.assert_close(fused[0], getattr(out, source)[0])
    best = out.logits if out.refined is None else out.refined
    assert torch.equal(sample.pred_sem_seg.sem_seg, best[0].argmax(0, keepdim=True))
    if out.refined is not None:  # else the cases could not be told apart
        assert not torch.allclose(out.refined, out.logits)


@pytest.mark.parametrize('semantics', SEMANTICS)
@pytest.mark.parametrize('with_joint', [True, False])
def test_a_head_without_any_loss_is_refused(semantics, with_joint):
    """For every choice of weights 0 and 1, as the gradients say."""
    changes = dict(INSTANCES)
    names = list(HEADS)
    if not with_joint:
        changes['joint_head'] = None
        names.remove('joint')
    model = build(semantics, **changes)
    losses = losses_of(model)
    reached = {
        (loss, head): reaches(losses[f'loss_{loss}'], getattr(model, HEADS[head]))
        for loss, head in product(names, names)
    }
    refused = 0
    for values in product((0.0, 1.0), repeat=len(names)):
        weights = dict(zip(names, values, strict=True))
        untrained = [
            head
            for head in names
            if not any(weights[loss] and reached[loss, head] for loss in names)
        ]
        if not untrained:
            build(semantics, weights, **changes)
            continue
        refused += 1
        with pytest.raises(InputError) as error:
            build(semantics, weights, **changes)
        assert any(
            f'model.{HEADS[head]}.loss.loss_weight' in str(error.value) for head in untrained
        )
        assert '\n' not in str(error.value)
    # with a joint head, its weight alone decides
    attached = semantics in ('logits', 'softmax')
    assert refused == (4 if with_joint else 3 - attached)


def test_single_heads_need_their_loss():
    depth_only = dict(INSTANCES, backbone=None, neck=None, semantic_head=None, joint_head=None)
    with pytest.raises(InputError, match='model.depth_head.loss.loss_weight'):
        build(weights=dict(depth=0.0), **depth_only)
    semantic_only = dict(INSTANCES, depth_head=None, joint_head=None)
    with pytest.raises(InputError, match='model.semantic_head.loss.loss_weight'):
        build(weights=dict(semantic=0.0), **semantic_only)


@pytest.mark.parametrize('changes', [dict(fusion_logits='preliminary'), dict(joint_head=None)])
def test_fusion_needs_logits_that_a_semantic_loss_made(changes):
    with pytest.raises(InputError, match='panoptic fusion reads'):
        build(weights=dict(semantic=0.0), **changes)


def test_fusion_of_refined_logits_needs_no_preliminary_loss():
    model = build(weights=dict(semantic=0.0))
    losses = losses_of(model)
    assert losses['loss_semantic'] == 0
    assert reaches(losses['loss_joint'], model.semantic_head)


@pytest.mark.parametrize(
    'key',
    [
        'rpn_head.loss_cls',
        'rpn_head.loss_bbox',
        'roi_head.bbox_head.loss_cls',
        'roi_head.bbox_head.loss_bbox',
        'roi_head.mask_head.loss_mask',
    ],
)
def test_instance_losses_without_weight_are_refused(key):
    cfg = Config.fromfile(MINI)
    cfg.merge_from_dict({f'model.{key}.loss_weight': 0.0})
    with pytest.raises(InputError, match=f'model.{key}.loss_weight'):
        MODELS.build(cfg.model)


def test_unknown_fusion_logits_are_refused():
    with pytest.raises(InputError, match='model.fusion_logits: found'):
        build(fusion_logits='joint')


def test_data_without_things_or_without_stuff():
    names = 'model.rpn_head, model.roi_head, model.panoptic_fusion'
    with pytest.raises(InputError, match=f'model.num_things: found 0, .* to None: {names}$'):
        build(num_things=0)
    stuff_only = build(num_things=0, num_stuff=14, **INSTANCES)
    assert torch.isfinite(sum(v for k, v in losses_of(stuff_only).items() if 'loss' in k))
    things_only = build(num_things=3, num_stuff=0)
    assert things_only.num_classes == 3
    for name, count in (('num_things', 1.5), ('num_stuff', -1), ('num_stuff', True)):
        with pytest.raises(InputError, match=f'model.{name}: found {count}'):
            build(**{name: count})
