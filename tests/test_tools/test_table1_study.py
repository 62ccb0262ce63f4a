"""tools/analysis_tools/table1_study.py: its variants, its runs, its tables."""

import copy
import json
import subprocess
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from random_batch import random_batch
from tiny_dataset import make_tiny_dataset

from pandepth_mm.cli import test as test_command
from pandepth_mm.cli import train as train_command
from pandepth_mm.errors import InputError
from pandepth_mm.registry import DATASETS, MODELS
from study.models.separate_backbones import merge_weights
from study.runs import Run, call, spaced
from study.tables import END, NOT_RUN, START, format_tables, read_results
from study.variants import (
    FAITHFUL,
    GROUPS,
    LITE,
    VARIANTS,
    Settings,
    get,
    put,
    run_config,
    shipped_config,
)

ROOT = Path(__file__).parents[2]
NAME = 'analysis_tools/table1_study'
SIZE = (64, 96)
FRAMES = 3
SETTINGS = Settings(steps=2, batch_size=2, processes=1, frames=2)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    root = tmp_path_factory.mktemp('data')
    return make_tiny_dataset(root, num_frames=FRAMES, size=SIZE, splits=('train', 'val', 'test'))


def small_config(name, data_root, settings=SETTINGS):
    """Config of a variant for the tiny images, without pretrained weights."""
    cfg = run_config(name, settings, str(data_root), 0)
    cfg['model']['backbone']['init_cfg'] = None
    for loader in ('train_dataloader', 'test_dataloader'):
        dataset = cfg[loader]['dataset']
        dataset['img_scale'] = SIZE[::-1]
        for transform in dataset['pipeline']:
            if transform['type'] == 'RandomCropPanopticDepth':
                transform['crop_size'] = SIZE
    return cfg


def build(name):
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(small_config(name, '')['model']))


@pytest.mark.parametrize('name', VARIANTS)
def test_every_variant_builds_with_metrics_for_its_heads(name):
    model = build(name)
    heads = dict(
        panoptic=('panoptic_fusion', 'panoptic_fusion_head'),
        semantic=('semantic_head',),
        instance=('instance_head', 'roi_head'),
        depth=('depth_head',),
    )
    expected = {k for k, names in heads.items() if any(getattr(model, n, None) for n in names)}
    metrics = [metric['type'] for metric in run_config(name, SETTINGS, '', 0)['test_evaluator']]
    found = {k for k in heads if f'{k.title()}Metric' in metrics}
    assert found == expected


EVERYTHING = {'semantic', 'instance', 'panoptic', 'depth'}


@pytest.mark.parametrize(
    'name, tasks',
    [
        ('separate', EVERYTHING - {'depth'}),
        ('panoptic-fpn', EVERYTHING - {'depth'}),
        ('candidates', EVERYTHING),
        ('depth-network', {'depth'}),
        ('depth-true', {'semantic', 'depth'}),
    ],
)
def test_models_of_the_study_take_a_training_and_a_test_step(name, tasks, data):
    cfg = small_config(name, data)
    model = MODELS.build(ConfigDict(cfg['model']))
    if not VARIANTS[name].parts:
        dataset = DATASETS.build(cfg['train_dataloader']['dataset'])
        batch = model.data_preprocessor(pseudo_collate([dataset[0], dataset[1]]), training=True)
        loss, _ = model.parse_losses(model(**batch, mode='loss'))
        loss.backward()
        assert torch.isfinite(loss)
    model.eval()
    dataset = DATASETS.build(cfg['test_dataloader']['dataset'])
    evaluator = Evaluator(cfg['test_evaluator'])
    evaluator.dataset_meta = dataset.metainfo
    batch = pseudo_collate([dataset[0]])
    with torch.no_grad():
        evaluator.process(data_samples=model.test_step(batch), data_batch=batch)
    assert {key.split('/')[0] for key in evaluator.evaluate(1)} == tasks


def test_groups_hold_every_variant():
    assert {name for _, rows in GROUPS.values() for name in rows} == set(VARIANTS)
    assert not set(GROUPS) & set(VARIANTS)  # --only takes both


def test_all_runs_have_the_same_steps_images_and_no_validation():
    for name in VARIANTS:
        cfg = run_config(name, Settings(400, 8, 2, 9), 'data', 100)
        assert cfg['train_cfg'] == dict(type='IterBasedTrainLoop', max_iters=400)
        assert cfg['train_dataloader']['batch_size'] == 4
        assert {s.get('T_max', 400) for s in cfg['param_scheduler']} == {400}
        assert all(s.get('end', 0) <= 100 for s in cfg['param_scheduler'])
        assert cfg['randomness'] == dict(seed=100)
        assert not [key for key in cfg if key.startswith('val')]
        roots = {cfg[f'{x}_dataloader']['dataset']['data_root'] for x in ('train', 'test')}
        assert roots == {'data'}


def without_none(cfg):
    return {key: value for key, value in cfg.items() if value is not None}


def test_the_recipe_leads_from_the_faithful_model_to_the_light_one():
    steps = list(GROUPS['recipe'][1])
    configs = {name: run_config(name, SETTINGS, '', 0) for name in steps}
    for before, name in zip(steps, steps[1:-1], strict=False):
        variant = VARIANTS[name]
        assert variant.after == before
        # nothing else differs
        changed, previous = copy.deepcopy(configs[name]), copy.deepcopy(configs[before])
        assert changed != previous
        for key in (*variant.values, *variant.take):
            put(changed, key, None)
            put(previous, key, None)
        for cfg in (changed, previous):
            cfg['model'] = without_none(cfg['model'])
        assert changed == previous
    last, light = configs[steps[-2]], configs[steps[-1]]
    assert 'custom_hooks' not in last
    assert light['custom_hooks'][0]['type'] == 'EMAHook'
    last['model'].pop('fusion_logits')  # its default
    for cfg in (last, light):
        cfg['model'] = without_none(cfg['model'])
    for key in ('custom_hooks', 'log_processor'):
        last[key] = light[key]
    assert last == light
    for name, path in (('faithful', FAITHFUL), ('all', LITE)):
        base = shipped_config(path)
        for key in ('model', 'optim_wrapper', 'train_dataloader.dataset.pipeline'):
            assert get(configs[name], key) == get(base, key)


@pytest.fixture
def inputs():
    def make(model):
        return model.data_preprocessor(random_batch(size=SIZE), training=False)['inputs']

    return make


@torch.no_grad()
def test_another_depth_reaches_the_semantics(inputs):
    usual = build('semantics-depth').eval()
    batch = inputs(usual)
    expected = usual.forward_dense(batch)
    true, sparse = (build(f'depth-{kind}').eval() for kind in ('true', 'sparse'))
    for model in (true, sparse):
        model.load_state_dict(usual.state_dict())
    # the usual model's own depth as the truth
    out = true.forward_dense(dict(batch, true_depth=expected.depth))
    torch.testing.assert_close(out.logits, expected.logits)
    torch.testing.assert_close(out.depth, expected.depth)
    # no truth is the end of the range
    out = true.forward_dense(dict(batch, true_depth=torch.zeros_like(expected.depth)))
    far = torch.full_like(expected.depth, usual.max_depth)
    logits = usual.semantic_head(expected.feats, far, batch['cam2img'])
    torch.testing.assert_close(out.logits, logits)
    # one measured depth everywhere is its own fill
    batch['sparse_depth'] = torch.where(batch['sparse_depth'] > 0, 7.0, 0.0)
    logits = usual.semantic_head(expected.feats, torch.full_like(far, 7), batch['cam2img'])
    torch.testing.assert_close(sparse.forward_dense(batch).logits, logits, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_separate_networks_predict_what_each_does_alone(inputs):
    semantics, instances = build('semantics').eval(), build('instances').eval()
    for parameter in instances.parameters():
        parameter.mul_(1.01)
    both = build('separate').eval()
    both.load_state_dict(merge_weights(semantics.state_dict(), instances.state_dict()))
    batch = inputs(both)
    out = both.forward_dense(batch)
    torch.testing.assert_close(out.logits, semantics.forward_dense(batch).logits)
    alone = instances.forward_dense(batch)
    for found, expected in zip(out.roi_feats, alone.roi_feats, strict=True):
        torch.testing.assert_close(found, expected)
    assert not torch.equal(out.roi_feats[0], out.feats[1])  # of a network of their own
    for head in ('rpn_head', 'roi_head'):
        found, expected = (getattr(model, head).state_dict() for model in (both, instances))
        torch.testing.assert_close(found, expected)


class FakeCommands:
    """Stands for the processes: writes what they would."""

    def __init__(self):
        self.calls = []
        self.stop_at = None

    def __call__(self, arguments, processes, log, run):
        arguments = [str(a) for a in arguments]
        kind = arguments[0] if arguments[0] == 'train' else Path(arguments[1]).stem
        self.calls.append((kind, run.variant, run.seed))
        if len(self.calls) == self.stop_at:
            raise KeyboardInterrupt
        cfg = Config.fromfile(arguments[1], import_custom_modules=False)
        folder = Path(arguments[arguments.index('--work-dir') + 1])
        if kind == 'train':
            assert '--resume' in arguments
            part = dict(semantics='semantic_head', instances='roi_head').get(run.variant, '')
            for step in (1, cfg.train_cfg.max_iters):
                weights = {f'{part}.x': torch.tensor(step), 'neck.x': torch.tensor(run.seed)}
                torch.save(dict(state_dict=weights), folder / f'iter_{step}.pth')
            return
        assert cfg.test_dataloader.dataset.indices == [0, 2]
        assert cfg.test_dataloader.dataset.ann_file == f'annotations/panoptic_{kind}.json'
        self.tested = torch.load(arguments[2])['state_dict']
        number = run.seed + (kind == 'test')
        metrics = {'panoptic/PQ': number / 1000, 'details': dict(many='numbers')}
        Path(arguments[arguments.index('--out') + 1]).write_text(json.dumps(metrics))


@pytest.fixture
def study(run_tool, monkeypatch, data, tmp_path):
    """Run the tool with arguments; returns code, stdout, stderr, calls, the results."""
    fake = FakeCommands()
    monkeypatch.setattr('study.runs.call', fake)

    def run(*args, stop_at=None, **changes):
        fake.calls, fake.stop_at = [], stop_at
        values = {
            'data-root': data,
            'steps': 2,
            'batch-size': 2,
            'frames': 2,
            'work-dir': tmp_path / 'work',
            'out': tmp_path / 'out',
            **changes,
        }
        flags = [x for key, value in values.items() for x in (f'--{key}', value)]
        code, out, err = run_tool(NAME, *flags, *args)
        results = {p.stem: json.loads(p.read_text()) for p in (tmp_path / 'out').glob('*.json')}
        return code, out, err, list(fake.calls), results

    run.fake = fake
    return run


def test_what_is_there_is_not_done_again(study, tmp_path):
    only = ('--only', 'all', 'depth', '--seeds', 0, 100)
    with pytest.raises(KeyboardInterrupt):
        study(*only, stop_at=5)  # while the second run is tested
    results = {p.stem for p in (tmp_path / 'out').glob('*.json')}
    assert results == {'depth_seed0'}
    code, out, err, calls, results = study(*only)
    assert code == 0, err
    assert calls == [
        ('val', 'all', 0),  # trained already
        ('test', 'all', 0),
        *((kind, name, 100) for name in ('depth', 'all') for kind in ('train', 'val', 'test')),
    ]
    assert '4/4' in err
    assert set(results) == {f'{n}_seed{s}' for n in ('depth', 'all') for s in (0, 100)}
    found = results['all_seed100']
    assert found['val'] == {'panoptic/PQ': 0.1} and found['test'] == {'panoptic/PQ': 0.101}
    assert (found['variant'], found['seed'], found['settings']['steps']) == ('all', 100, 2)
    assert '5.1 ± 7.1' in out  # of 0.1 and 10.1
    assert [p.name for p in (tmp_path / 'work/all_seed0').glob('*.pth')] == ['iter_2.pth']
    before = {p: p.read_bytes() for p in (tmp_path / 'out').glob('*.json')}
    code, again, err, calls, _ = study(*only)
    assert (code, again, calls) == (0, out, [])
    # results of another study stay
    code, _, err, calls, _ = study(*only, steps=3)
    assert code == 2 and calls == []
    assert "'steps': 2" in err and "'steps': 3" in err and err.count('\n') == 1
    # so do its checkpoints
    code, _, err, calls, _ = study(*only, steps=3, out=tmp_path / 'other')
    assert code == 2 and calls == [] and 'the config of another study' in err
    assert {p: p.read_bytes() for p in (tmp_path / 'out').glob('*.json')} == before


def test_separate_networks_are_trained_once(study, tmp_path):
    code, out, err, calls, results = study('--only', 'separate', '--seeds', 100)
    assert code == 0, err
    assert [c[:2] for c in calls] == [
        ('train', 'semantics'),
        ('train', 'instances'),
        ('val', 'separate'),
        ('test', 'separate'),
    ]
    assert study.fake.tested == {
        'semantic_head.x': 2,
        'neck.x': 100,
        'roi_head.x': 2,
        'second_neck.x': 100,
    }
    calls = study('--only', 'semantics', '--seeds', 100)[3]
    assert [c[0] for c in calls] == ['val', 'test']


@pytest.mark.parametrize(
    'args, changes, message',
    [
        ((), dict(steps=0), '--steps: found 0'),
        ((), {'batch-size': -1}, '--batch-size: found -1'),
        ((), dict(frames=4), '--frames: found 4; expected at most the 3 of'),
        (('--seeds', -1), {}, '--seeds: found -1'),
        (('--only', 'everything'), {}, "--only: found 'everything'; expected one of ['tasks'"),
        (('--processes', 2), {'batch-size': 3}, '--batch-size: found 3; expected a multiple of'),
        ((), {'data-root': 'nowhere'}, 'nowhere/annotations/panoptic_train.json: found no such'),
        ((), {'out': __file__}, '--out: found'),
    ],
)
def test_bad_input_is_one_line(study, args, changes, message):
    code, _, err, calls, _ = study(*args, **changes)
    assert code == 2 and calls == []
    assert err.startswith('error: ') and err.count('\n') == 1
    assert message in err


def test_a_command_that_fails_is_one_line(tmp_path):
    log = tmp_path / 'log'
    with pytest.raises(InputError, match="all_seed0: found \"error: found 'fly'; .*see .*log"):
        call(['fly'], 1, log, Run('all', 0))
    assert '"fly"' in log.read_text().splitlines()[0]


def test_two_processes_start_with_the_launcher(tmp_path, monkeypatch):
    seen = []

    def run(command, env, **kwargs):
        seen.append((command, env['PYTHONPATH']))
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, 'run', run)
    call(['train', Path('a.py')], 2, tmp_path / 'log', Run('all', 0))
    ((command, paths),) = seen
    text = ' '.join(command[1:])
    assert text == (
        '-m torch.distributed.run --standalone --nproc_per_node 2 '
        '-m pandepth_mm train a.py --launcher pytorch'
    )
    assert paths.startswith(str(ROOT / 'tools/analysis_tools'))


def test_a_run_with_the_real_commands(run_tool, monkeypatch, data, tmp_path):
    """In this process, on tiny images."""

    def run(arguments, *args):
        command = dict(train=train_command, test=test_command)[arguments[0]]
        command.main([str(a) for a in arguments[1:]])

    def config(name, settings, data_root, seed):
        cfg = small_config(name, data_root, settings)
        for loader in ('train_dataloader', 'test_dataloader'):
            cfg[loader].update(num_workers=0, persistent_workers=False)
        cfg['test_evaluator'] = [dict(type='DepthMetric', fills=[])]
        return cfg

    monkeypatch.setattr('study.runs.call', run)
    monkeypatch.setattr('study.runs.run_config', config)
    flags = ['--data-root', data, '--steps', 1, '--batch-size', 2, '--frames', 1, '--seeds', 0]
    flags += ['--work-dir', tmp_path / 'work', '--out', tmp_path / 'out']
    code, out, err = run_tool(NAME, *flags, '--only', 'depth-network')
    assert code == 0, err
    result = json.loads((tmp_path / 'out/depth-network_seed0.json').read_text())
    for split in ('val', 'test'):
        assert result[split]['depth/rmse'] > 0
        assert 'details' not in result[split]
    assert result['val']['depth/rmse'] != result['test']['depth/rmse']
    row = next(line for line in out.splitlines() if line.startswith('| depth network'))
    assert row.split(' | ')[1:3] == ['1', f'{result["test"]["depth/rmse"]:.0f}']


def test_frames_are_evenly_spaced():
    assert spaced(360, 4) == [0, 120, 239, 359]
    assert spaced(5, 5) == [0, 1, 2, 3, 4]


def write_result(out, variant, seed, val, test, steps=400):
    settings = dict(steps=steps, batch_size=8, processes=1, frames=120, config=variant)
    data = dict(variant=variant, seed=seed, settings=settings, val=val, test=test)
    out.mkdir(exist_ok=True)
    (out / f'{variant}_seed{seed}.json').write_text(json.dumps(data))


def test_tables_by_hand(run_tool, tmp_path):
    out, page = tmp_path / 'study', tmp_path / 'study.md'
    for seed, miou, rmse in ((0, 0.5, 3000), (100, 0.52, 3300), (200, 0.57, 3600)):
        metrics = {'semantic/mIoU': miou, 'depth/rmse': rmse, 'depth/n_clamped': 0}
        write_result(out, 'depth-true', seed, {'semantic/mIoU': miou / 2}, metrics)
    write_result(out, 'depth-nothing', 0, {}, {'semantic/mIoU': 0.4567, 'depth/rmse': None})
    page.write_text(f'# Study\n\n{START}\nold\n{END}\n\nThe end.\n')
    code, printed, err = run_tool(NAME, '--tables', '--out', out)
    assert code == 0, err
    text = page.read_text()
    assert text.startswith('# Study\n\n') and text.endswith('\n\nThe end.\n') and 'old' not in text
    # mean 53 and deviations -3, -1, 4: the root of 26 / 2
    expected = """\
Test scene:

|  | seeds | mIoU % | RMSE mm |
| --- | ---: | ---: | ---: |
| none | 1 | 45.7 | - |
| smooth fill of the sparse depth | 0 | - | - |
| predicted | 0 | - | - |
| true | 3 | 53.0 ± 3.6 | 3300 ± 300 |

Validation scene, by which to choose:

|  | seeds | mIoU % |
| --- | ---: | ---: |
| none | 1 | - |
| smooth fill of the sparse depth | 0 | - |
| predicted | 0 | - |
| true | 3 | 26.5 ± 1.8 |
"""
    assert expected in text
    assert text.count(NOT_RUN) == 4  # the other groups
    assert '400 steps of 8 images by 1 process(es); 120 frames' in text
    assert printed.startswith(format_tables(read_results(out)))


def test_results_that_do_not_belong_together(run_tool, tmp_path):
    out = tmp_path / 'study'
    write_result(out, 'all', 0, {}, {})
    write_result(out, 'depth', 0, {}, {}, steps=300)
    code, _, err = run_tool(NAME, '--tables', '--out', out)
    assert code == 2 and "'steps': 300" in err and 'as in the others' in err
    (out / 'depth_seed0.json').write_text('{"PQ": 1}')
    code, _, err = run_tool(NAME, '--tables', '--out', out)
    assert code == 2 and 'depth_seed0.json: found something else' in err
    (out / 'depth_seed0.json').unlink()
    (tmp_path / 'study.md').write_text('no markers')
    code, _, err = run_tool(NAME, '--tables', '--out', out)
    assert code == 2 and 'study.md: found no such lines' in err


def test_the_page_shows_the_results_that_are_there():
    tables = format_tables(read_results(ROOT / 'docs' / 'study'))
    assert f'{START}\n\n{tables}\n\n{END}' in (ROOT / 'docs' / 'study.md').read_text()
