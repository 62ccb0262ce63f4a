"""tools/publish_model.py, and the weights that come with the package."""

import json
from pathlib import Path

import pytest
import safetensors.torch
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from tool_toy import RunsCode

from pandepth_mm.apis import init_model
from pandepth_mm.engine.model_zoo import find_config
from pandepth_mm.registry import MODELS
from pandepth_mm.structures.vkitti2_meta import CLASSES

ROOT = Path(__file__).parents[2]
NAME = 'pandepth_lite0_minivkitti_long'
SHIPPED = ROOT / 'pandepth_mm/weights' / f'{NAME}.pth'


def make_checkpoint(path, cfg='secret'):
    weights = {
        'conv.weight': torch.randn(4, 3, 3, 3),
        'bn.running_var': torch.tensor([1e-9, 1e9]),
        'bn.num_batches_tracked': torch.tensor(70000),
    }
    torch.save(
        dict(
            state_dict=weights,
            optimizer=dict(a=1),
            meta=dict(
                seed=3, iter=7, cfg=cfg, dataset_meta=dict(classes=('a',), panoptic_ann_file='/x')
            ),
        ),
        path,
    )
    return weights


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('half', [False, True])
def test_keeps_the_weights_and_no_path(run_tool, tmp_path, suffix, half):
    weights = make_checkpoint(tmp_path / 'in.pth')
    out = tmp_path / f'out{suffix}'
    code, text, _ = run_tool('publish_model', tmp_path / 'in.pth', out, *['--half'] * half)
    assert code == 0 and 'the config is left out' in text
    if suffix == '.pth':
        found = torch.load(out, weights_only=True)
        found, meta = found['state_dict'], found['meta']
    else:  # by the library alone
        found = safetensors.torch.load_file(out)
        with safetensors.safe_open(out, 'pt') as f:
            meta = json.loads(f.metadata()['pandepth_mm'])
    assert list(meta['dataset_meta']) == ['classes'] and list(meta['dataset_meta']['classes']) == [
        'a'
    ]
    assert meta['seed'] == 3 and meta['iter'] == 7 and 'cfg' not in meta
    assert found.keys() == weights.keys()
    assert found['conv.weight'].dtype == (torch.float16 if half else torch.float32)
    for name, value in weights.items():
        rounded = half and name == 'conv.weight'
        torch.testing.assert_close(
            found[name].to(value), value, rtol=1e-3 * rounded, atol=1e-6 * rounded
        )
    # and it can be published once more
    code, _, err = run_tool('publish_model', out, tmp_path / 'again.pth')
    assert code == 0, err
    again = torch.load(tmp_path / 'again.pth', weights_only=True)['state_dict']
    assert all(torch.equal(again[name], found[name]) for name in found)


def test_a_published_file_alone_is_enough(run_tool, tmp_path):
    """By default .safetensors; with the classes and the config, and no more of it."""
    cfg = Config.fromfile(find_config(NAME).config)
    checkpoint = torch.load(SHIPPED, weights_only=True)
    checkpoint['message_hub'] = dict(runtime_info=dict(cfg=cfg.pretty_text))
    torch.save(checkpoint, tmp_path / 'epoch_1.pth')
    code, out, err = run_tool('publish_model', tmp_path / 'epoch_1.pth')
    assert code == 0 and 'left out' not in out, err
    path = tmp_path / 'epoch_1.safetensors'
    assert out.startswith(f'{path}: ')
    with safetensors.safe_open(path, 'pt') as f:
        stored = json.loads(f.metadata()['pandepth_mm'])['cfg']
    assert 'data_root' not in stored and 'optim' not in stored
    model, expected = init_model(weights=path), init_model(NAME)
    assert model.cfg.model == cfg.model
    assert model.dataset_meta['classes'] == expected.dataset_meta['classes'] == CLASSES
    assert all(map(torch.equal, model.state_dict().values(), expected.state_dict().values()))
    # the config of the shipped weights is known
    code, out, _ = run_tool('publish_model', SHIPPED, tmp_path / 'shipped.safetensors', '--half')
    assert code == 0 and 'left out' not in out
    assert init_model(weights=tmp_path / 'shipped.safetensors').cfg.model == cfg.model


def test_tools_take_a_published_file(run_tool, toy_config, tmp_path):
    work_dir = tmp_path / 'work'
    code, _, err = run_tool('train', toy_config, '--work-dir', work_dir)
    assert code == 0, err
    trained = work_dir / 'epoch_2.pth'
    path = tmp_path / 'toy.safetensors'
    code, _, err = run_tool('publish_model', trained, path)
    assert code == 0, err
    metrics = []
    for weights in (trained, path):
        code, _, err = run_tool(
            'test', toy_config, weights, '--work-dir', work_dir, '--out', tmp_path / 'm.json'
        )
        assert code == 0, err
        metrics.append(json.loads((tmp_path / 'm.json').read_text()))
    assert metrics[0] == metrics[1] and metrics[0]['toy/frames'] == 5
    code, _, err = run_tool(
        'train', toy_config, '--work-dir', tmp_path / 'more', '--cfg-options', f'load_from={path}'
    )
    assert code == 0, err
    code, _, err = run_tool('train', toy_config, '--work-dir', tmp_path / 'again', '--resume', path)
    (error,) = [line for line in err.splitlines() if line.startswith('error: ')]
    assert code == 2 and 'toy.safetensors: found no message_hub, optimizer' in error


def test_bad_input(run_tool, tmp_path):
    out = tmp_path / 'out.pth'
    torch.save(dict(state_dict=RunsCode(str(tmp_path / 'ran'))), tmp_path / 'evil.pth')
    torch.save([1], tmp_path / 'list.pth')
    (tmp_path / 'text.safetensors').write_text('text')
    for name in ('evil.pth', 'list.pth', 'none.pth', 'text.safetensors'):
        code, _, err = run_tool('publish_model', tmp_path / name, out)
        assert code == 2
        assert err.strip().splitlines()[-1].startswith('error: ')
        assert name in err
    assert not out.exists() and not (tmp_path / 'ran').exists()


@pytest.mark.parametrize(
    'out, message',
    [
        ('out.bin', "out.bin: suffix: found '.bin'; expected one of ['.safetensors', '.pth']"),
        ('in.pth', 'in.pth, which is there; expected the name of a new file'),
        ('.', 'a folder; expected the name of a file that can be written'),
    ],
)
def test_bad_output(run_tool, tmp_path, out, message):
    make_checkpoint(tmp_path / 'in.pth')
    before = (tmp_path / 'in.pth').read_bytes()
    code, _, err = run_tool('publish_model', tmp_path / 'in.pth', tmp_path / out)
    assert code == 2 and message in err
    assert [p.name for p in tmp_path.iterdir()] == ['in.pth']
    assert (tmp_path / 'in.pth').read_bytes() == before


def test_shipped_weights_fit_their_config():
    files = find_config(NAME)
    assert Path(files.weights).stat().st_size < 20e6
    content = torch.load(files.weights, weights_only=True)
    assert content['meta']['dataset_meta']['classes'] == CLASSES
    model = MODELS.build(Config.fromfile(files.config).model)
    load_checkpoint(model, files.weights, map_location='cpu', strict=True)
    name = 'neck.output_convs.0.pointwise_conv.conv.weight'
    assert model.state_dict()[name].dtype == torch.float32
    assert torch.equal(model.state_dict()[name], content['state_dict'][name].float())
