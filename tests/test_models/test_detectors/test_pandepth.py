from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from random_batch import random_batch

from pandepth_mm.errors import InputError
from pandepth_mm.registry import MODELS, set_default_scope

CONFIGS = Path(__file__).parents[3] / 'configs' / 'pandepth'
MINI = CONFIGS / 'pandepth_effb0_minivkitti.py'
BRANCH_LOSSES = dict(
    semantic=['loss_semantic'],
    joint=['loss_joint'],
    depth=['loss_depth'],
    rpn=['loss_rpn_cls', 'loss_rpn_bbox'],
    box=['loss_cls', 'loss_bbox'],
    mask=['loss_mask'],
)


def build(**changes):
    set_default_scope()  # the fixture of the module comes before conftest's
    torch.manual_seed(0)
    cfg = Config.fromfile(MINI).model
    for key, value in changes.items():
        cfg[key] = value
    model = MODELS.build(cfg)
    model.init_weights()
    return model


def total(losses, names):
    values = []
    for name in names:
        value = losses[name]
        values += value if isinstance(value, list) else [value]
    return sum(v.sum() for v in values)


@pytest.fixture(scope='module')
def trained_step():
    """The model and the losses of one batch, its graph kept."""
    model = build()
    # a correction of the nearest measurement starts as zero, which lets no gradient through before
    # the first step
    torch.nn.init.normal_(model.depth_head.predict_depth.weight, std=0.01)
    data = model.data_preprocessor(random_batch(), training=True)
    return model, model(**data, mode='loss')


def test_losses_are_those_of_the_paper(trained_step):
    _, losses = trained_step
    names = {n for group in BRANCH_LOSSES.values() for n in group}
    assert {n for n in losses if 'loss' in n} == names
    assert all(torch.isfinite(total(losses, [n])) for n in names)


@pytest.mark.parametrize('branch', BRANCH_LOSSES)
def test_every_branch_reaches_the_backbone(trained_step, branch):
    model, losses = trained_step
    weight = next(model.backbone.parameters())
    (grad,) = torch.autograd.grad(total(losses, BRANCH_LOSSES[branch]), weight, retain_graph=True)
    assert torch.isfinite(grad).all() and grad.abs().max() > 0


@pytest.mark.parametrize(
    'loss, head', [('loss_joint', 'depth_head'), ('loss_depth', 'semantic_head')]
)
def test_heads_feed_each_other(trained_step, loss, head):
    model, losses = trained_step
    weights = [p for p in getattr(model, head).parameters() if p.ndim == 4]
    grads = torch.autograd.grad(losses[loss], weights, retain_graph=True, allow_unused=True)
    reached = [g is not None and g.abs().max() > 0 for g in grads]
    assert all(reached)


def test_every_parameter_gets_a_gradient():
    """No parameter is unused: DDP needs no search for them."""
    model = build()
    data = model.data_preprocessor(random_batch(), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == []


@pytest.mark.parametrize('kwargs', [dict(num_instances=0), dict(density=0.0), dict(size=(63, 101))])
def test_awkward_images_train_and_predict(kwargs):
    model = build()
    data = model.data_preprocessor(random_batch(**kwargs), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert torch.isfinite(loss) and unused == []
    model.eval()
    with torch.no_grad():
        samples = model.test_step(random_batch(**kwargs))
    size = kwargs.get('size', (64, 96))
    for sample in samples:
        assert sample.pred_depth_map.data.shape == (1, *size)
        assert sample.pred_sem_seg.sem_seg.shape == (1, *size)
        assert sample.pred_panoptic_seg.sem_seg.shape == (1, *size)
        assert sample.pred_instances.masks.shape[1:] == size


def test_predictions_come_at_the_original_size():
    model = build().eval()
    batch = random_batch((0,), size=(48, 80))
    sample = batch['data_samples'][0]
    sample.set_metainfo(dict(ori_shape=(75, 120), scale_factor=(80 / 120, 48 / 75)))
    with torch.no_grad():
        (sample,) = model.test_step(batch)
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, 75, 120)
    assert sample.pred_instances.masks.shape[1:] == (75, 120)
    assert sample.pred_depth_map.data.min() > 0
    assert sample.pred_depth_map.data.max() <= model.max_depth == sample.max_depth


def test_channels_last_changes_the_layout_alone():
    """mmcv's RoIAlign misreads maps that are not contiguous."""
    model = build()
    losses = []
    for layout in (torch.contiguous_format, torch.channels_last):
        model.to(memory_format=layout)
        data = model.data_preprocessor(random_batch(), training=True)
        torch.manual_seed(0)
        losses.append(model(**data, mode='loss'))
    for name in ('loss_cls', 'loss_bbox', 'loss_mask'):
        torch.testing.assert_close(losses[1][name], losses[0][name], rtol=1e-3, atol=1e-4)


def test_panoptic_ids_follow_the_contract():
    model = build().eval()
    with torch.no_grad():
        (sample,) = model.test_step(random_batch((0,)))
    ids = sample.pred_panoptic_seg.sem_seg.unique()
    assert ((ids % 1000) <= model.num_classes).all()
    stuff = ids[ids < 1000]
    assert (stuff >= model.num_things).all()  # a thing has an instance


@pytest.mark.parametrize(
    'removed, left',
    [
        (
            (
                'semantic_head',
                'joint_head',
                'panoptic_fusion',
                'rpn_head',
                'roi_head',
                'backbone',
                'neck',
            ),
            {'loss_depth'},
        ),
        (
            ('depth_head', 'joint_head', 'panoptic_fusion', 'rpn_head', 'roi_head'),
            {'loss_semantic'},
        ),
    ],
)
def test_branches_are_optional(removed, left):
    model = build(**{name: None for name in removed})
    data = model.data_preprocessor(random_batch(), training=True)
    losses = model(**data, mode='loss')
    assert {k for k in losses if 'loss' in k} == left
    model.eval()
    with torch.no_grad():
        (sample,) = model.test_step(random_batch((0,)))
    assert ('pred_depth_map' in sample) == ('loss_depth' in left)
    assert ('pred_sem_seg' in sample) == ('loss_semantic' in left)
    assert 'pred_instances' not in sample


@pytest.mark.parametrize(
    'removed, named',
    [
        (('depth_head',), 'model.joint_head'),
        (('roi_head', 'rpn_head'), 'model.panoptic_fusion'),
        (('rpn_head',), 'model.roi_head'),
        (('backbone',), 'model.backbone'),
        (
            (
                'semantic_head',
                'joint_head',
                'panoptic_fusion',
                'depth_head',
                'rpn_head',
                'roi_head',
            ),
            'no branch with a loss',
        ),
    ],
)
def test_incomplete_models_are_refused(removed, named):
    with pytest.raises(InputError, match=named):
        build(**{name: None for name in removed})


def test_a_head_with_another_class_count_is_refused():
    cfg = Config.fromfile(MINI).model
    cfg.semantic_head.num_classes = 5
    with pytest.raises(InputError, match='semantic_head.num_classes'):
        MODELS.build(cfg)


def test_demo_model_is_small():
    assert sum(p.numel() for p in build().parameters()) <= 5e6


@pytest.mark.parametrize('num_instances', [0, 2])
def test_a_crowd_that_fills_the_image_is_no_background(num_instances):
    """Only what belongs to an object is trained, and every parameter gets a gradient."""
    model = build()
    torch.nn.init.constant_(model.rpn_head.rpn_cls.bias, 9.0)  # background costs 9 then
    batch = random_batch(num_instances=num_instances)
    for sample in batch['data_samples']:
        sample.ignored_instances = InstanceData(
            bboxes=torch.tensor([[0.0, 0.0, 96.0, 64.0]]), labels=torch.tensor([0])
        )
    losses = model(**model.data_preprocessor(batch, training=True), mode='loss')
    # of the anchors that are sampled some lie outside of the image for the most part
    assert sum(losses['loss_rpn_cls']) < 9
    if not num_instances:
        assert losses['loss_cls'] == losses['loss_bbox'] == losses['loss_mask'] == 0
    model.parse_losses(losses)[0].backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_instance_branch_trains_in_full_precision(dtype):
    """mmcv's RoIAlign and NMS have no 16-bit kernels on a CPU, RoIAlign no bfloat16 anywhere."""
    model = build()
    seen = []
    for name in ('bbox_roi_extractor', 'mask_roi_extractor'):
        for layer in getattr(model.roi_head, name).roi_layers:
            layer.register_forward_pre_hook(lambda _, args: seen.append(args[0].dtype))
    with torch.autocast('cpu', dtype):
        data = model.data_preprocessor(random_batch(), training=True)
        loss, values = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert set(seen) == {torch.float32}
    assert all(torch.isfinite(value) for value in values.values())
    assert all(torch.isfinite(p.grad).all() for p in model.parameters())
