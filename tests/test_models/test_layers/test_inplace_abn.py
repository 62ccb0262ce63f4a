"""Against the two layers that it replaces."""

import copy

import pytest
import torch
from mmcv.cnn import ConvModule
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from pandepth_mm.models.layers import inplace_abn
from pandepth_mm.models.layers.inplace_abn import InPlaceABN, activate_in_place
from pandepth_mm.models.optimize import optimize_for_inference

_SLOPE = 0.1


def convs():
    """Three layers; weights of norms of both signs."""
    torch.manual_seed(0)
    norm = dict(type='BN', eps=1e-3, momentum=0.3)
    act = dict(type='LeakyReLU', negative_slope=_SLOPE)
    model = nn.Sequential(
        *(ConvModule(5, 5, 3, padding=1, norm_cfg=norm, act_cfg=act) for _ in range(3))
    ).train()
    for layer in model:
        nn.init.uniform_(layer.bn.weight, 0.3, 2)
        layer.bn.weight.data[[1, 4]] *= -1
        nn.init.normal_(layer.bn.bias)
    return model


def inputs(shape=(2, 5, 9, 7)):
    torch.manual_seed(1)
    return torch.randn(shape) * 3 + 1


def step(model, x):
    """Train a step: output, gradients, buffers, bytes kept."""
    x = x.clone().requires_grad_()
    kept = {}
    with saved_tensors_hooks(lambda t: kept.setdefault(t.data_ptr(), t), lambda t: t):
        out = model(x)
    (out * torch.linspace(-1, 1, out.numel()).view_as(out)).sum().backward()
    grads = [p.grad for p in (x, *model.parameters())]
    return out, grads, list(model.buffers()), sum(t.nbytes for t in kept.values())


@pytest.mark.parametrize('memory_format', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('band', [1, 5 * 7 * 4, 2**18])
def test_values_gradients_and_statistics_are_those_of_two_layers(monkeypatch, memory_format, band):
    monkeypatch.setattr(inplace_abn, '_BAND', band)
    plain = convs()
    merged = copy.deepcopy(plain)
    assert activate_in_place(merged) == 3
    x = inputs().to(memory_format=memory_format)
    expected, found = step(plain, x), step(merged, x)
    torch.testing.assert_close(found[0], expected[0])
    for a, b in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    for a, b in zip(found[2], expected[2], strict=True):
        assert torch.equal(a, b)


def test_one_map_a_layer_is_kept():
    plain, x = convs(), inputs((2, 5, 64, 64))
    merged = copy.deepcopy(plain)
    activate_in_place(merged)
    map_bytes = x.nbytes
    kept_plain, kept_merged = step(plain, x)[3], step(merged, x)[3]
    # the input; then one map a layer instead of two; weights are small
    assert 7 * map_bytes <= kept_plain < 7.2 * map_bytes
    assert 4 * map_bytes <= kept_merged < 4.2 * map_bytes


def test_gradients_are_those_of_finite_differences():
    """Not those of another implementation."""
    torch.manual_seed(2)
    layer = InPlaceABN(3, _SLOPE).double().train()
    x = torch.randn(2, 3, 3, 3, dtype=torch.double, requires_grad=True)
    weight, bias = torch.tensor([[0.5, -1, 2], [0.1, 0, -1]], dtype=torch.double)

    def run(x, weight, bias):
        return torch.func.functional_call(layer, dict(weight=weight, bias=bias), (x,))

    assert torch.autograd.gradcheck(run, (x, weight.requires_grad_(), bias.requires_grad_()))


def test_a_weight_of_zero_keeps_its_gradient():
    plain = convs()
    with torch.no_grad():
        plain[1].bn.weight[2] = 0
    merged = copy.deepcopy(plain)
    activate_in_place(merged)
    for a, b in zip(step(merged, inputs())[1], step(plain, inputs())[1], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


def test_evaluation_and_the_optimized_copy_activate_too():
    plain = convs()
    plain(inputs())
    merged = copy.deepcopy(plain)
    activate_in_place(merged)
    plain.eval()
    merged.eval()
    with torch.no_grad():
        expected = plain(inputs())
        assert torch.equal(merged(inputs()), expected)
        torch.testing.assert_close(
            optimize_for_inference(merged)(inputs()), expected, rtol=1e-4, atol=1e-5
        )


def test_a_state_dict_and_its_parameters_stay():
    model = convs()
    parameters, names = list(model.parameters()), list(model.state_dict())
    activate_in_place(model)
    assert list(model.state_dict()) == names
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))


@pytest.mark.parametrize(
    'layer',
    [
        ConvModule(5, 5, 1, norm_cfg=dict(type='BN'), act_cfg=dict(type='ReLU')),
        ConvModule(5, 5, 1, norm_cfg=dict(type='BN'), act_cfg=None),
        ConvModule(5, 5, 1, norm_cfg=None, act_cfg=dict(type='LeakyReLU')),
        ConvModule(5, 5, 1, norm_cfg=dict(type='SyncBN'), act_cfg=dict(type='LeakyReLU')),
        ConvModule(5, 5, 1, norm_cfg=dict(type='BN'), act_cfg=dict(type='LeakyReLU')).eval(),
        ConvModule(
            5,
            5,
            1,
            norm_cfg=dict(type='BN'),
            act_cfg=dict(type='LeakyReLU'),
            order=('conv', 'act', 'norm'),
        ),
    ],
    ids=['relu', 'no activation', 'no norm', 'synchronized', 'frozen', 'other order'],
)
def test_other_layers_are_left_alone(layer):
    before = repr(layer)
    assert activate_in_place(layer) == 0
    assert repr(layer) == before


def test_no_roi_leaves_the_statistics():
    plain = convs()
    merged = copy.deepcopy(plain)
    activate_in_place(merged)
    expected, found = step(plain, inputs()[:0]), step(merged, inputs()[:0])
    assert found[0].shape == (0, 5, 9, 7)
    for a, b in zip([*found[1], *found[2]], [*expected[1], *expected[2]], strict=True):
        assert torch.equal(a, b)


def test_one_value_per_channel_has_no_variance():
    layer = InPlaceABN(5, _SLOPE).train()
    with pytest.raises(ValueError, match='more than 1 value per channel'):
        layer(inputs((1, 5, 1, 1)))


def test_16_bits_are_left_to_the_two_layers():
    layer = InPlaceABN(5, _SLOPE).train()
    plain = nn.Sequential(nn.BatchNorm2d(5), nn.LeakyReLU(_SLOPE)).train()
    with torch.autocast('cpu', torch.bfloat16):
        x = inputs().bfloat16()
        assert torch.equal(layer(x), plain(x))
