"""A model's copy for inference gives what the model gives."""

import copy
from pathlib import Path

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.config import Config
from plain_layers import randomize_norms
from random_batch import random_batch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pandepth_mm.errors import InputError
from pandepth_mm.models.layers import FuseBlock, bands, build_point_graph, place_points
from pandepth_mm.models.layers.bands import ConvBands, FuseBlockBands
from pandepth_mm.models.optimize import optimize_for_inference
from pandepth_mm.registry import MODELS, set_default_scope

CONFIGS = Path(__file__).parents[2] / 'configs'
FAMILIES = dict(
    faithful=CONFIGS / 'pandepth' / 'pandepth_effb0_minivkitti.py',
    light=CONFIGS / '_base_' / 'models' / 'pandepth_lite.py',
    votes=CONFIGS / 'pandepth_lite' / 'pandepth_lite0_votes_minivkitti.py',
)
DENSE = (
    'backbone',
    'neck',
    'semantic_head',
    'depth_head',
    'joint_head',
    'instance_neck',
    'instance_head',
)


def norms_of(model):
    return [m for m in model.modules() if isinstance(m, _BatchNorm)]


def close(found, expected):
    """Equal to 1e-4 of the values' size."""
    scale = expected.abs().max().item()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-4 * scale)


# ---- whole models


@pytest.fixture(params=FAMILIES)
def family(request):
    """A model with statistics that are not the default, and a batch of one image."""
    set_default_scope()
    torch.manual_seed(0)
    cfg = Config.fromfile(FAMILIES[request.param]).model
    cfg.backbone.init_cfg = None
    model = MODELS.build(cfg).eval()
    randomize_norms(model)
    data = model.data_preprocessor(random_batch(seeds=(0,)))
    return model, data['inputs']


@torch.no_grad()
def test_every_family_gives_the_same(family):
    model, inputs = family
    before = copy.deepcopy(model.state_dict())
    learning = [p.requires_grad for p in model.parameters()]
    optimized = optimize_for_inference(model)
    for name in DENSE:
        if getattr(model, name) is not None:
            assert norms_of(getattr(model, name)) and not norms_of(getattr(optimized, name))
    expected, found = model.forward_dense(inputs), optimized.forward_dense(inputs)
    for name in ('logits', 'depth', 'refined', 'uncertainty'):
        if getattr(expected, name) is not None:
            assert getattr(expected, name).std() > 0
            close(getattr(found, name), getattr(expected, name))
    for name in ('votes', 'roi_feats'):
        maps = (getattr(out, name) or () for out in (found, expected))
        for a, b in zip(*maps, strict=True):
            close(a, b)
    if model.roi_head is not None:
        heads = model.roi_head.mask_head, optimized.roi_head.mask_head
        assert norms_of(heads[0]) and not norms_of(heads[1])
        rois = torch.randn(3, heads[0].in_channels, 14, 14)
        close(*(head(rois.clone()) for head in heads))
    # once more is no harm, and the model is as it was
    close(optimize_for_inference(optimized).forward_dense(inputs).depth, expected.depth)
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(after[key], before[key]) for key in before)
    assert [p.requires_grad for p in model.parameters()] == learning


def test_a_model_in_training_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    with pytest.raises(InputError, match='model in training mode.*eval'):
        optimize_for_inference(model)
    model.eval()[1].train()
    with pytest.raises(InputError, match='1 in training mode'):
        optimize_for_inference(model)


class Flattening(nn.Module):
    """A branch of another package that takes a view of a map."""

    def forward(self, feats):
        return feats[0].view(len(feats[0]), -1)


@torch.no_grad()
def test_other_branches_get_contiguous_maps():
    branch = optimize_for_inference(nn.ModuleList([Flattening()]).eval())[0]
    x = torch.randn(2, 3, 4, 5)
    assert torch.equal(branch((x.to(memory_format=torch.channels_last),)), x.flatten(1))


# ---- norms


class Misleading(nn.Module):
    """Another package's module, which calls its children in another order."""

    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4)
        self.own = ConvModule(4, 4, 3, norm_cfg=dict(type='BN'))

    def forward(self, x):
        return self.own(self.conv(self.bn(x)))


def shared_layer():
    """Two norms for one convolution, as RetinaNet's separate norms have it."""
    layers = [ConvModule(4, 4, 1, norm_cfg=dict(type='BN')) for _ in range(2)]
    layers[1].conv = layers[0].conv
    return nn.Sequential(*layers)


@pytest.mark.parametrize(
    ('make', 'left'),
    [
        (lambda: nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6), nn.ReLU()), 0),
        (lambda: nn.Sequential(nn.ConvTranspose2d(4, 6, 2), nn.BatchNorm2d(6, affine=False)), 0),
        (lambda: nn.Sequential(nn.Flatten(), nn.Linear(400, 5), nn.BatchNorm1d(5)), 0),
        (lambda: ConvModule(4, 8, 3, groups=2, norm_cfg=dict(type='BN')), 0),
        (shared_layer, 0),
        # the activation is between them, or the norm comes first
        (lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)), 1),
        (lambda: ConvModule(4, 4, 3, norm_cfg=dict(type='BN'), order=('norm', 'conv', 'act')), 1),
        (lambda: ConvModule(4, 4, 3, norm_cfg=dict(type='BN'), order=('conv', 'act', 'norm')), 1),
        # weights that are made anew in each call
        (lambda: ConvModule(4, 4, 3, conv_cfg=dict(type='ConvWS'), norm_cfg=dict(type='BN')), 1),
        (
            lambda: nn.Sequential(nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)),
            1,
        ),
        (Misleading, 1),
    ],
)
@torch.no_grad()
def test_norms_are_folded_where_they_follow(make, left):
    torch.manual_seed(0)
    model = make().eval()
    for norm in norms_of(model):
        if norm.running_mean is not None:
            nn.init.normal_(norm.running_mean)
            nn.init.uniform_(norm.running_var, 0.5, 2)
        if norm.affine:
            nn.init.uniform_(norm.weight, 0.5, 2)
            nn.init.normal_(norm.bias)
    x = torch.randn(2, 4, 10, 10)
    optimized = optimize_for_inference(model)
    assert len(norms_of(optimized)) == left
    close(optimized(x.clone()), model(x.clone()))


# ---- bands


@pytest.fixture
def narrow(monkeypatch):
    """Bands of as few rows as there can be."""
    monkeypatch.setattr(bands, '_BAND_BYTES', 1)


@pytest.mark.parametrize('height', [1, 2, 4, 5, 8, 9, 13])
@torch.no_grad()
def test_stacked_convolutions_in_bands(height, narrow):
    torch.manual_seed(0)
    act = dict(act_cfg=dict(type='LeakyReLU'), padding=1)
    stack = nn.Sequential(
        ConvModule(3, 8, 3, **act),
        ConvModule(8, 8, 3, groups=8, **act),
        nn.Conv2d(8, 2, 3, padding=1),
    ).eval()
    optimized = optimize_for_inference(nn.Sequential(stack).eval())
    assert isinstance(optimized[0], ConvBands)
    x = torch.randn(2, 3, height, 7)
    close(optimized(x), stack(x))


@pytest.mark.parametrize(
    'stack',
    [
        [nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1, stride=2)],
        [nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 5, padding=2)],
        [nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1, padding_mode='reflect')],
        [ConvModule(3, 4, 3, padding=1, norm_cfg=dict(type='GN', num_groups=2)), nn.Identity()],
    ],
)
@torch.no_grad()
def test_other_stacks_stay_whole(stack, narrow):
    model = nn.Sequential(nn.Sequential(*stack)).eval()
    x = torch.randn(1, 3, 9, 7)
    close(optimize_for_inference(model)(x), model(x))


@pytest.mark.parametrize('out_channels', [4, 5])
@pytest.mark.parametrize('size', [(1, 1), (7, 13), (12, 9)])
@torch.no_grad()
def test_fuse_block_in_bands(size, out_channels, narrow):
    """Several points in a cell, padding among them, two images."""
    torch.manual_seed(0)
    height, width = size
    depth = torch.rand(2, 1, 2 * height, 2 * width) * 50 + 1
    depth *= torch.rand_like(depth) < 0.5
    cam2img = torch.tensor([[40.0, 0, width], [0, 40.0, height], [0, 0, 1]]).expand(2, 3, 3)
    graph = build_point_graph(depth, cam2img, 3)
    if len(graph.row):
        graph.row[0] = graph.col[0] = -1
    points = place_points(graph, (2, height, width), stride=2)
    block = FuseBlock(4, out_channels).eval()
    randomize_norms(block)
    optimized = optimize_for_inference(nn.ModuleList([block]).eval())[0]
    assert isinstance(optimized, FuseBlockBands)
    x = torch.randn(2, 4, height, width)
    expected = block(x, points)
    close(optimized(x, points), expected)
