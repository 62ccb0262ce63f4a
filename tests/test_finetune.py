"""Training on from other weights: what is loaded, what stays frozen, and docs/finetune.md."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from tiny_dataset import make_tiny_dataset
from torch import nn

from pandepth_mm.engine.hooks import StartWeightsHook
from pandepth_mm.engine.model_zoo import find_weights
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_json
from pandepth_mm.registry import MODELS, set_default_scope

ROOT = Path(__file__).parents[1]
LIGHT = ROOT / 'configs' / 'pandepth_lite'
DEPTH = LIGHT / 'pandepth_lite0_kitti_raw_depth.py'
FROZEN = ('backbone', 'neck', 'semantic_head', 'instance_neck', 'rpn_head', 'roi_head')
SIZE = (96, 192)


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
    """Of the light model with its 14 classes, at random."""
    set_default_scope()
    torch.manual_seed(3)
    model = MODELS.build(Config.fromfile(LIGHT / 'pandepth_lite0_minivkitti.py').model)
    path = tmp_path_factory.mktemp('weights') / 'light.pth'
    torch.save(dict(state_dict=model.state_dict(), meta={}), path)
    return path


def write_config(config, folder, root, weights):
    """A config of one small step over tiny data, under a name of its own."""
    cfg = Config.fromfile(config)
    cfg.load_from = str(weights)
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg[name]
        if loader is None:
            continue
        loader.update(num_workers=0, persistent_workers=False)
        loader.dataset.data_root = str(root)
    cfg.train_dataloader.batch_size = 2
    for step in cfg.train_dataloader.dataset.pipeline:
        if step.type == 'RandomCropPanopticDepth':
            step.crop_size = (64, 96)
    cfg.train_cfg.update(max_iters=1, val_interval=2)
    path = folder / f'finetune_{folder.name}.py'
    cfg.dump(path)
    return path


def train(run_tool, path, tmp_path):
    """What is printed, and the weights that are saved."""
    code, out, err = run_tool('train', path, '--work-dir', tmp_path / 'work')
    assert code == 0, err
    file = tmp_path / 'work' / 'iter_1.pth'
    return out + err, torch.load(file, weights_only=False)['state_dict'], file


def test_depth_config_names_a_model_of_its_family():
    cfg = Config.fromfile(DEPTH)
    assert (LIGHT / f'{cfg.load_from}.py').is_file()
    assert cfg.param_scheduler[-1].T_max == cfg.train_cfg.max_iters < cfg.train_cfg.val_interval


def test_depth_alone_is_trained_and_tested(run_tool, tmp_path, weights):
    """The other branches keep every number; the table has model and fills."""
    root = make_tiny_dataset(
        tmp_path / 'data', num_frames=2, size=SIZE, splits=('train', 'test'), panoptic=False
    )
    path = write_config(DEPTH, tmp_path, root, weights)
    log, trained, file = train(run_tool, path, tmp_path)
    before = torch.load(weights)['state_dict']
    assert f'{weights}: {len(before)} of the {len(before)} tensors of the model' in log
    assert 'Not loaded' not in log and 'do not match' not in log
    same = {name for name in before if torch.equal(before[name], trained[name])}
    assert {name for name in before if name.startswith(FROZEN)} <= same
    learned = {name for name in before if name.startswith('depth_head')}
    weight_tensors = {name for name in learned if name.endswith('weight')}
    assert learned and not weight_tensors & same

    out = tmp_path / 'metrics.json'
    code, printed, err = run_tool('test', path, file, '--work-dir', tmp_path, '--out', out)
    assert code == 0, err
    assert 'planar fill' in printed and 'PQ' not in printed
    metrics = read_json(out)
    assert metrics['depth/rmse'] > 0 and metrics['depth/planar_fill/unseen_rmse'] > 0


def test_other_classes_of_the_page(run_tool, tmp_path, weights):
    """Its config trains; the log names the layers of the classes, and no other."""
    page = (ROOT / 'docs' / 'finetune.md').read_text()
    blocks = re.findall(r'^```python\n(.*?)^```', page, re.M | re.S)
    code = next(block for block in blocks if 'metainfo' in block)
    config = tmp_path / 'page.py'
    config.write_text(code.replace('/path/to/', f'{ROOT}/'))
    classes = Config.fromfile(config).train_dataloader.dataset.metainfo
    root = make_tiny_dataset(
        tmp_path / 'data', num_frames=2, size=SIZE, splits=('train', 'val', 'test'), **classes
    )
    path = write_config(config, tmp_path, root, weights)
    log, trained, _ = train(run_tool, path, tmp_path)
    before = torch.load(weights)['state_dict']
    other = {name for name in before if before[name].shape != trained[name].shape}
    assert {name.split('.')[0] for name in other} == {'semantic_head', 'roi_head'}
    report = re.search(r'Not loaded, since of another shape: (.*)\.\n', log)[1]
    assert {text.split()[0] for text in report.split('; ')} == other
    assert f'{len(before) - len(other)} of the {len(before)} tensors' in log
    for name in other:  # the page shows what is printed
        assert name in page
    same = {name for name in before if torch.equal(before[name], trained[name])}
    stages = Config.fromfile(path).model.backbone.frozen_stages
    assert {n for n in before if n.startswith(f'backbone.layers.{stages - 1}')} <= same
    assert f'backbone.layers.{stages}.0.depthwise_conv.conv.weight' not in same


@pytest.mark.parametrize(
    'frozen, message',
    [
        (['decoder'], "model.frozen: found 'decoder'; expected one of"),
        (['joint_head'], "model.frozen: found 'joint_head', which the model lacks"),
        ([*FROZEN, 'depth_head'], 'model.frozen: found .*; expected a branch left to train'),
    ],
)
def test_what_cannot_be_frozen(frozen, message):
    with pytest.raises(InputError, match=message):
        MODELS.build(dict(Config.fromfile(DEPTH).model, frozen=frozen))


def test_norms_of_frozen_branches_stay_in_eval_mode():
    model = MODELS.build(Config.fromfile(DEPTH).model)
    assert model.train() is model and model.depth_head.training
    assert not any(m.training for name in FROZEN for m in getattr(model, name).modules())


# ---- what is loaded


def load(model, weights):
    """The checkpoint after the hook, and what it says."""
    lines = []
    runner = SimpleNamespace(model=model, logger=SimpleNamespace(info=lines.append))
    checkpoint = dict(state_dict=weights)
    StartWeightsHook('some.pth').after_load_checkpoint(runner, checkpoint)
    return checkpoint['state_dict'], lines[0]


def test_report_of_what_fits():
    model = nn.ModuleDict(dict(a=nn.Linear(2, 3), b=nn.Linear(3, 4)))
    given = {
        'module.a.weight': torch.ones(3, 2),
        'b.weight': torch.ones(5, 3),
        'b.bias': torch.ones(4),
        'c.x.weight': torch.ones(1),
        'c.y.weight': torch.ones(1),
    }
    loaded, text = load(model, given)
    assert text.splitlines() == [
        'The training starts from some.pth: 2 of the 4 tensors of the model.',
        'Not loaded, since of another shape: b.weight (4, 3), there (5, 3).',
        'Not loaded, since not in the file: a (1).',
        'Not used, since not in the model: c (2).',
    ]
    assert set(loaded) == set(model.state_dict())
    assert loaded['a.weight'].eq(1).all() and loaded['b.bias'].eq(1).all()
    assert loaded['b.weight'] is not given['b.weight']
    model.load_state_dict(loaded)


def test_weights_of_another_model_are_refused():
    with pytest.raises(InputError, match='some.pth: load_from: found none of the 2 tensors'):
        load(nn.Linear(2, 3), {'other.weight': torch.ones(3, 2)})


def test_names_of_shipped_weights():
    name = 'pandepth_lite0_minivkitti_long'
    assert Path(find_weights(name)).samefile(ROOT / 'pandepth_mm' / 'weights' / f'{name}.pth')
    assert find_weights('https://example.org/x.pth') == 'https://example.org/x.pth'
    with pytest.raises(InputError, match=f'no such file; expected a checkpoint, or .*{name}'):
        find_weights(f'{name}er')
