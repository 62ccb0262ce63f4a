"""The light family with Mask R-CNN in the detector, its default.

test_light.py has what does not depend on the kind of instances.
"""

import functools
from pathlib import Path

import pytest
import torch
from light_family import build_light, losses_of, predict
from random_batch import random_batch

from pandepth_mm.errors import InputError

CONFIG = Path(__file__).parents[3] / 'configs' / '_base_' / 'models' / 'pandepth_lite.py'
MASK_RCNN = ('loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask')
HEADS = ('instance_neck', 'rpn_head', 'roi_head')


build = functools.partial(build_light, CONFIG)


@pytest.fixture(scope='module')
def model():
    return build()


def test_instances_read_the_depth_without_a_gradient(model):
    losses = losses_of(model)
    assert {n for n in losses if 'loss' in n} == {
        'loss_semantic',
        'loss_depth',
        'loss_depth_uncertainty',
        *MASK_RCNN,
    }
    values = (losses[name] for name in MASK_RCNN)
    total = sum(sum(v) if isinstance(v, list) else v for v in values)
    for branch in (*HEADS, 'depth_head', 'semantic_head', 'neck'):
        weights = list(getattr(model, branch).parameters())
        grads = torch.autograd.grad(total, weights, retain_graph=True, allow_unused=True)
        reached = any(g is not None and g.abs().max() > 0 for g in grads)
        assert reached == (branch in (*HEADS, 'neck')), branch


@pytest.mark.parametrize('kwargs', [dict(num_instances=0, density=0.0), dict(size=(63, 101))])
def test_every_parameter_gets_a_gradient(kwargs):
    """No parameter is unused: DDP needs no search for them."""
    model = build()
    loss, _ = model.parse_losses(losses_of(model, **kwargs))
    loss.backward()
    assert torch.isfinite(loss)
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize('density', [0.0, 0.05])
def test_what_rois_read_shows_the_depth_where_something_was_measured(model, density):
    outputs = []
    for focal in (40.0, 80.0):
        inputs = model.data_preprocessor(random_batch((0,), density=density))['inputs']
        inputs['cam2img'][:, 0, 0] = focal
        with torch.no_grad():
            outputs.append(model.eval().forward_dense(inputs).roi_feats)
    for maps in zip(*outputs, strict=True):
        assert torch.equal(*maps) == (density == 0)


def test_predictions(model):
    batch = random_batch((0,), size=(63, 101))
    batch['data_samples'][0].set_metainfo(dict(ori_shape=(130, 160)))
    torch.nn.init.normal_(model.roi_head.bbox_head.fc_cls.weight, std=1.0)
    (sample,) = predict(model, batch)
    assert 0 < len(sample.pred_instances) <= 50
    assert sample.pred_instances.masks.shape[1:] == (130, 160)
    assert 'mask_logits' not in sample.pred_instances
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, 130, 160)


def test_without_depth():
    model = build(
        depth_head=None,
        semantic_head=dict(geometry_channels=0),
        instance_neck=dict(geometry_channels=0),
    )
    loss, _ = model.parse_losses(losses_of(model))
    loss.backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            dict(depth_head=None, semantic_head=dict(geometry_channels=0)),
            'model.instance_neck.geometry_channels: found',
        ),
        (
            dict(rpn_head=None, roi_head=None, panoptic_fusion=None),
            'instance_neck without roi_head',
        ),
    ],
)
def test_refused(changes, message):
    with pytest.raises(InputError, match=message):
        build(**changes)


def test_a_neck_with_another_number_of_maps_is_refused():
    """Without the instances' neck, proposals would be read from the map of stride 2 on."""
    model = build(instance_neck=None)
    with pytest.raises(InputError, match=r'strides \[4, 8, 16, 32\], as model.rpn_head says'):
        losses_of(model)
