import math

import pytest
import torch
from mmcv.cnn import ConvModule
from mmdet.models.backbones import EfficientNet
from mmdet.models.layers import InvertedResidual
from mmengine.logging import MMLogger
from plain_layers import conv_norm_act, randomize_norms

from pandepth_mm.errors import InputError
from pandepth_mm.models.backbones import EfficientNetPS


def small(**kwargs):
    return EfficientNetPS('b0', out_indices=(2, 3, 4, 5), **kwargs)


@pytest.fixture
def log(tmp_path, request):
    """The text that mmengine's current logger has written."""
    path = tmp_path / 'log.txt'
    logger = MMLogger.get_instance(request.node.name, log_file=str(path))
    yield path.read_text
    MMLogger.get_instance(f'{request.node.name}-over')
    for handler in logger.handlers:
        handler.close()


@pytest.mark.parametrize('arch', [f'b{i}' for i in range(8)])
def test_differs_from_mmdet_by_squeeze_excite_alone(arch, monkeypatch):
    # names and shapes alone count
    monkeypatch.setattr(ConvModule, 'init_weights', lambda self: None)
    ours = EfficientNetPS(arch).state_dict()
    theirs = EfficientNet(arch, out_indices=(2, 3, 4, 6)).state_dict()
    extra = set(theirs) - set(ours)
    assert extra and all('.se.' in name for name in extra)
    assert {name: value.shape for name, value in ours.items()} == {
        name: value.shape for name, value in theirs.items() if name not in extra
    }


@pytest.mark.parametrize('arch', ['b8', 'es', 'b'])
def test_other_architectures_are_refused(arch):
    with pytest.raises(AssertionError, match='arch'):
        EfficientNetPS(arch)


def test_b5_is_the_papers():
    model = EfficientNetPS('b5').to('meta').eval()
    outs = model(torch.zeros(1, 3, 200, 1000, device='meta'))
    assert [tuple(o.shape[1:]) for o in outs] == [
        (40, 50, 250),
        (64, 25, 125),
        (176, 13, 63),
        (2048, 7, 32),
    ]
    # facts.md, 1.1: without the classifier
    assert sum(p.numel() for p in model.parameters()) == 23148912


@pytest.mark.parametrize('size', [(200, 1000), (375, 1242), (33, 65)])
def test_any_size_rounds_up(size):
    outs = small().eval()(torch.zeros(1, 3, *size))
    assert [o.shape[2:] for o in outs] == [
        (math.ceil(size[0] / s), math.ceil(size[1] / s)) for s in (4, 8, 16, 32)
    ]


def test_block_has_no_activation_after_the_projection():
    model = small().double().eval()
    randomize_norms(model)
    blocks = [
        m
        for m in model.modules()
        if isinstance(m, InvertedResidual) and m.depthwise_conv.stride == (1, 1)
    ]
    for flag in ('with_res_shortcut', 'with_expand_conv'):
        flags = [getattr(block, flag) for block in blocks]
        assert any(flags) and not all(flags)
    for block in blocks:
        first = block.depthwise_conv
        if block.with_expand_conv:
            first = block.expand_conv
        x = torch.randn(2, first.in_channels, 5, 6, dtype=torch.float64)
        y = x
        if block.with_expand_conv:
            y = conv_norm_act(block.expand_conv, y)
        y = conv_norm_act(block.depthwise_conv, y)
        y = conv_norm_act(block.linear_conv, y, slope=1)
        if block.with_res_shortcut:
            y = x + y
        assert torch.allclose(block(x), y, rtol=1e-10, atol=1e-10)


def test_every_other_layer_has_norm_and_leaky_relu():
    layers = {
        name: m for name, m in EfficientNetPS('b0').named_modules() if isinstance(m, ConvModule)
    }
    projections = [n for n in layers if n.endswith('linear_conv')]
    assert len(projections) == 16 and len(layers) == 16 + 15 + 16 + 2
    for name, layer in layers.items():
        assert isinstance(layer.norm, torch.nn.BatchNorm2d)
        assert layer.norm.eps == 1e-3
        if name in projections:
            assert not layer.with_activation
        else:
            assert isinstance(layer.activate, torch.nn.LeakyReLU), name
            assert layer.activate.negative_slope == 0.01


def test_every_parameter_learns():
    model = small()
    outs = model.train()(torch.randn(2, 3, 64, 64))
    sum(o.square().mean() for o in outs).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_train_returns_the_module():
    model = small()
    assert model.train() is model
    assert model.eval() is model and not model.layers[1].training


def test_stages_are_frozen_from_the_start():
    """DDP asks once, when it wraps the model, which parameters learn."""
    model = small(frozen_stages=2)
    learns = [{p.requires_grad for p in layer.parameters()} for layer in model.layers]
    assert learns[:2] == [{False}] * 2 and learns[2:] == [{True}] * len(learns[2:])


def test_frozen_stages_and_norms():
    model = small(frozen_stages=2, norm_eval=True).train()
    for i, layer in enumerate(model.layers):
        assert all(p.requires_grad == (i >= 2) for p in layer.parameters())
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert norms and not any(m.training for m in norms)
    assert model.layers[3].training and not model.layers[1].training


def test_drop_path():
    torch.manual_seed(0)
    x = torch.randn(2, 3, 64, 64)
    model = small(drop_path_rate=0.9, norm_eval=True).train()
    assert not torch.equal(model(x)[-1], model(x)[-1])
    model.eval()
    assert torch.equal(model(x)[-1], model(x)[-1])


def test_from_scratch(log):
    torch.manual_seed(0)
    model = small()
    model.init_weights()
    assert 'WARNING' in log() and 'starts from scratch' in log()
    # the variance stays through a block's convolutions, as few channels as a depthwise one may see
    conv = model.layers[5][1].depthwise_conv.conv
    assert conv.groups == conv.out_channels > 1
    x = torch.randn(4, conv.in_channels, 20, 20)
    assert conv(x).std().item() == pytest.approx(math.sqrt(2), rel=0.1)


# ---- pretrained weights


@pytest.fixture
def source():
    """mmdet's own EfficientNet, squeeze-excite and 1x1 layer included."""
    torch.manual_seed(0)
    model = EfficientNet('b0', out_indices=(6,))
    randomize_norms(model)
    for m in model.modules():
        if isinstance(m, torch.nn.BatchNorm2d):
            m.num_batches_tracked += 7
    return model.state_dict()


def save_classifier(state_dict, path):
    """A checkpoint as mmpretrain writes it."""
    state_dict = {f'backbone.{k}': v for k, v in state_dict.items()}
    state_dict['head.fc.weight'] = torch.zeros(1000, 1280)
    state_dict['head.fc.bias'] = torch.zeros(1000)
    torch.save(dict(meta=dict(epoch=1), state_dict=state_dict), path)
    return dict(type='Pretrained', checkpoint=str(path), prefix='backbone')


@pytest.mark.parametrize('out_indices', [(2, 3, 4, 6), (2, 3, 4, 5)])
def test_pretrained(source, tmp_path, log, out_indices):
    init_cfg = save_classifier(source, tmp_path / 'b0.pth')
    model = EfficientNetPS('b0', out_indices=out_indices, init_cfg=init_cfg)
    model.init_weights()
    state = model.state_dict()
    assert any(name.endswith('running_var') for name in state)
    for name, value in state.items():
        assert torch.equal(value, source[name]), name
    assert 'scratch' not in log()
    skipped = log().split('skipped: ')[1]
    assert 'layers.1.0.se' in skipped and 'head.fc' in skipped
    assert ('layers.6' in skipped) == (6 not in out_indices)


@pytest.mark.parametrize('arch', [f'b{i}' for i in range(8)])
@pytest.mark.parametrize('layout', ['mmpretrain', 'mmdet', 'bare'])
def test_pretrained_of_every_arch(arch, layout, tmp_path, log, monkeypatch):
    """A number of its own in each tensor of the source comes across.

    mmpretrain's backbone has the names and shapes of mmdet's, and a linear classifier ``head.fc``
    beside it; a detector of mmdet's has its own parts there.
    """
    for cls, method in ((ConvModule, 'init_weights'), (torch.nn.Conv2d, 'reset_parameters')):
        monkeypatch.setattr(cls, method, lambda self: None)
    names = EfficientNet(arch, out_indices=(6,)).state_dict()
    # one number in memory and in the file, whatever the shape
    source = {
        name: torch.full((), i + 1, dtype=value.dtype).expand(value.shape)
        for i, (name, value) in enumerate(names.items())
    }
    extra = dict(
        mmpretrain=('head.fc.weight', 'head.fc.bias'),
        mmdet=('neck.lateral_convs.0.conv.weight', 'bbox_head.cls.weight'),
        bare=(),
    )[layout]
    prefix = '' if layout == 'bare' else 'backbone.'
    content = {f'{prefix}{name}': value for name, value in source.items()}
    content.update({name: torch.zeros(2) for name in extra})
    path = tmp_path / f'{arch}.pth'
    torch.save(dict(state_dict=content), path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix=prefix)
    model = EfficientNetPS(arch, init_cfg=init_cfg)
    model.init_weights()

    state = model.state_dict()
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for kind in ('running_mean', 'running_var', 'num_batches_tracked'):
        assert sum(name.endswith(kind) for name in state) == len(norms)
    for name, value in state.items():
        assert (value == source[name].flatten()[0]).all(), name
    # exactly the rest of the source is reported
    skipped = log().split('skipped: ')[1].split('.\n')[0].split(', ')
    parts = {name.split('.se.')[0] + '.se' for name in source if name not in state}
    parts |= {'.'.join(name.split('.')[:2]) for name in extra}
    assert sorted(skipped) == sorted(parts)
    assert len(parts) > 15


@pytest.mark.parametrize('prefix', [None, 'backbone.'])
def test_prefix(source, tmp_path, prefix):
    path = tmp_path / 'b0.pth'
    if prefix:
        init_cfg = save_classifier(source, path)
        init_cfg['prefix'] = prefix
    else:
        torch.save(source, path)
        init_cfg = dict(type='Pretrained', checkpoint=str(path))
    model = small(init_cfg=[init_cfg])
    model.init_weights()
    name = 'layers.5.0.linear_conv.bn.running_mean'
    assert torch.equal(model.state_dict()[name], source[name])


def test_initialized_within_a_model(source, tmp_path):
    from mmengine.model import BaseModule

    class Model(BaseModule):
        def __init__(self, init_cfg):
            super().__init__()
            self.backbone = small(init_cfg=init_cfg)

    model = Model(save_classifier(source, tmp_path / 'b0.pth'))
    model.init_weights()
    name = 'layers.2.1.depthwise_conv.conv.weight'
    assert torch.equal(model.backbone.state_dict()[name], source[name])


def test_batch_counts_may_be_missing(source, tmp_path):
    source = {k: v for k, v in source.items() if not k.endswith('num_batches_tracked')}
    model = small(init_cfg=save_classifier(source, tmp_path / 'b0.pth'))
    model.init_weights()
    assert model.state_dict()['layers.0.bn.num_batches_tracked'] == 0


def _drop(state):
    del state['layers.3.0.depthwise_conv.bn.running_var']


def _reshape(state):
    name = 'layers.3.0.depthwise_conv.conv.weight'
    state[name] = state[name][:1]


def _add(state):
    state['layers.3.9.linear_conv.conv.weight'] = torch.zeros(1)


def _add_unnumbered(state):
    state['layers.top.weight'] = torch.zeros(1)


@pytest.mark.parametrize(
    'change, message',
    [
        (_drop, r'without backbone\.layers\.3\.0\.depthwise_conv\.bn'),
        (_reshape, r'layers\.3\.0\.depthwise_conv\.conv\.weight \(1, 1, 5, 5\)'),
        (_add, r'unknown keys backbone\.layers\.3\.9'),
        (_add_unnumbered, r'unknown keys backbone\.layers\.top'),
    ],
)
def test_source_that_does_not_fit(source, tmp_path, change, message):
    change(source)
    model = small(init_cfg=save_classifier(source, tmp_path / 'b0.pth'))
    before = model.state_dict()['layers.0.conv.weight'].clone()
    with pytest.raises(InputError, match=message) as e:
        model.init_weights()
    assert 'b0.pth' in str(e.value)
    # nothing half-loaded
    assert torch.equal(model.state_dict()['layers.0.conv.weight'], before)


def test_source_of_another_arch(source, tmp_path):
    init_cfg = save_classifier(source, tmp_path / 'b0.pth')
    model = EfficientNetPS('b1', init_cfg=init_cfg)
    with pytest.raises(InputError, match='same arch'):
        model.init_weights()


def test_timms_names_are_refused(tmp_path):
    path = tmp_path / 'timm.pth'
    names = ('conv_stem.weight', 'blocks.0.0.conv_dw.weight', 'classifier.weight')
    torch.save({name: torch.zeros(1) for name in names}, path)
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    with pytest.raises(InputError, match=r'without layers\.0\.conv\.weight'):
        small(init_cfg=init_cfg).init_weights()


def test_wrong_prefix(source, tmp_path):
    init_cfg = save_classifier(source, tmp_path / 'b0.pth')
    init_cfg['prefix'] = 'img_backbone'
    with pytest.raises(InputError, match="under prefix 'img_backbone'"):
        small(init_cfg=init_cfg).init_weights()


def test_not_a_state_dict(tmp_path):
    path = tmp_path / 'b0.pth'
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    with pytest.raises(InputError, match='no such file'):
        small(init_cfg=init_cfg).init_weights()
    torch.save(dict(epoch=3), path)
    with pytest.raises(InputError, match='no state dict'):
        small(init_cfg=init_cfg).init_weights()
