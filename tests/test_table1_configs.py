"""The five rows of the paper's Table 1: one model with fewer branches."""

import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from tiny_dataset import make_tiny_dataset

from pandepth_mm.converters import vkitti2
from pandepth_mm.registry import DATASETS, MODELS
from scenes.jobs import synthesize

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs' / 'pandepth'
FULL = CONFIGS / 'pandepth_effb5_vkitti2.py'
DEMO = CONFIGS / 'pandepth_effb0_minivkitti.py'

INSTANCE_LOSSES = {'loss_rpn_cls', 'loss_rpn_bbox', 'loss_cls', 'loss_bbox', 'loss_mask'}
# a row: its branches, losses, predictions, groups of metrics
IMAGE = {'backbone', 'neck'}
ROWS = {
    'semantic-only': ({*IMAGE, 'semantic_head'}, {'loss_semantic'}, {'pred_sem_seg'}, {'semantic'}),
    'instance-only': (
        {*IMAGE, 'rpn_head', 'roi_head'},
        INSTANCE_LOSSES,
        {'pred_instances'},
        {'instance'},
    ),
    'depth-only': ({'depth_head'}, {'loss_depth'}, {'pred_depth_map'}, {'depth'}),
    'semsegdepth': (
        {*IMAGE, 'semantic_head', 'depth_head', 'joint_head'},
        {'loss_semantic', 'loss_depth', 'loss_joint'},
        {'pred_sem_seg', 'pred_depth_map'},
        {'semantic', 'depth'},
    ),
    'pandepth': (
        {
            *IMAGE,
            'semantic_head',
            'rpn_head',
            'roi_head',
            'depth_head',
            'joint_head',
            'panoptic_fusion',
        },
        {'loss_semantic', 'loss_depth', 'loss_joint', *INSTANCE_LOSSES},
        {'pred_sem_seg', 'pred_instances', 'pred_depth_map', 'pred_panoptic_seg'},
        {'semantic', 'instance', 'depth', 'panoptic'},
    ),
}
BRANCHES = ROWS['pandepth'][0]
# the column of Table 1 by which the best checkpoint is kept
BEST = {
    'semantic-only': ('semantic/mIoU', 'greater'),
    'instance-only': ('instance/bbox_mAP', 'greater'),
    'depth-only': ('depth/rmse', 'less'),
    'semsegdepth': ('semantic/mIoU', 'greater'),
    'pandepth': ('panoptic/PQ', 'greater'),
}


def load(row):
    return Config.fromfile(CONFIGS / 'table1' / f'{row}.py')


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_tiny_dataset(
        tmp_path_factory.mktemp('table1'), num_frames=2, splits=('train', 'val', 'test')
    )


def test_the_folder_holds_these_rows():
    found = {p.stem for p in (CONFIGS / 'table1').glob('*.py')}
    assert found == set(ROWS)


@pytest.mark.parametrize('row', ROWS)
def test_rows_differ_only_in_their_branches(row):
    full, cfg = Config.fromfile(FULL).to_dict(), load(row).to_dict()
    for name in BRANCHES:
        branch = cfg['model'].pop(name)
        wanted = full['model'].pop(name)
        assert branch == (wanted if name in ROWS[row][0] else None)
    kinds = tuple(group.title() for group in ROWS[row][3])
    metrics = [metric for metric in full['val_evaluator'] if metric['type'].startswith(kinds)]
    assert len(metrics) == len(kinds) + ('Depth' in kinds)  # which has two
    assert cfg['val_evaluator'] == cfg['test_evaluator'] == metrics
    checkpoint = cfg['default_hooks']['checkpoint']
    assert (checkpoint['save_best'], checkpoint['rule']) == BEST[row]
    for one in (full, cfg):
        for key in ('val_evaluator', 'test_evaluator'):
            del one[key]
        for key in ('save_best', 'rule'):
            del one['default_hooks']['checkpoint'][key]
    assert cfg == full  # data, schedule, seeds, everything else


@pytest.mark.parametrize('row', ROWS)
def test_rows_take_a_training_and_a_test_step(row, data):
    """The B5 models of the paper, on the data set's own samples."""
    _, losses_wanted, predictions, groups = ROWS[row]
    cfg = load(row)
    if cfg.model.backbone is not None:
        cfg.model.backbone.init_cfg = None  # no download
    if cfg.model.depth_head is not None:
        cfg.model.depth_head.num_blocks = 2  # all the same, and slow
    samples = {}
    for split in ('train', 'test'):
        dataset_cfg = cfg[f'{split}_dataloader'].dataset
        dataset_cfg.update(data_root=str(data), img_scale=(96, 48))
        samples[split] = DATASETS.build(dataset_cfg)

    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    batch = pseudo_collate([samples['train'][i] for i in range(2)])
    inputs = model.data_preprocessor(batch, training=True)
    losses = model(**inputs, mode='loss')
    assert {k for k in losses if 'loss' in k} == losses_wanted
    total, _ = model.parse_losses(losses)
    total.backward()
    assert torch.isfinite(total)
    # so that DDP needs no find_unused_parameters
    unused = [n for n, p in model.named_parameters() if p.grad is None]
    assert unused == [] and not cfg.get('find_unused_parameters', False)

    model.eval()
    evaluator = Evaluator(cfg.test_evaluator)
    evaluator.dataset_meta = samples['test'].metainfo
    for i in range(2):
        batch = pseudo_collate([samples['test'][i]])
        with torch.no_grad():
            outputs = model.test_step(batch)
        found = {k for k in outputs[0].all_keys() if k.startswith('pred_')}
        assert found == predictions
        evaluator.process(data_samples=outputs, data_batch=batch)
    metrics = evaluator.evaluate(2)
    assert {name.split('/')[0] for name in metrics} == groups
    assert cfg.default_hooks.checkpoint.save_best in metrics


def test_depth_alone_needs_no_other_gt(data):
    cfg = load('depth-only')
    cfg.model.depth_head.num_blocks = 1
    dataset_cfg = cfg.train_dataloader.dataset
    dataset_cfg.update(data_root=str(data), img_scale=(96, 48))
    batch = pseudo_collate([DATASETS.build(dataset_cfg)[0]])
    model = MODELS.build(cfg.model)
    inputs = model.data_preprocessor(batch, training=True)
    (sample,) = inputs['data_samples']
    for key in ('gt_instances', 'ignored_instances', 'gt_sem_seg'):
        delattr(sample, key)
    losses = model(**inputs, mode='loss')
    assert losses['loss_depth'] > 0


def on_the_demo(row, folder):
    """A row's config on the demo's small model instead of the paper's."""
    text = (CONFIGS / 'table1' / f'{row}.py').read_text()
    base = "_base_ = '../pandepth_effb5_vkitti2.py'\n"
    assert text.count(base) == 1
    path = folder / f'{row}.py'
    path.write_text(text.replace(base, f'_base_ = {str(DEMO)!r}\n'))
    return path


@pytest.fixture(scope='module')
def rendered(tmp_path_factory):
    """Road scenes of our own, two frames per scene."""
    root = tmp_path_factory.mktemp('rendered')
    variations = ('clone', 'fog')
    synthesize(root / 'raw', 1, (96, 48), 0, variations=variations, progress=False)
    command = [root / 'raw', '--out', root / 'data', '--variations', *variations, '--workers', '1']
    assert vkitti2.main(list(map(str, command))) == 0
    return root / 'data'


def run_tool(name, *args):
    env = dict(os.environ, OMP_NUM_THREADS='1')
    result = subprocess.run(
        [sys.executable, f'tools/{name}', *map(str, args)],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.slow
@pytest.mark.parametrize('row', ROWS)
def test_rows_train_and_test_through_the_tools(row, rendered, tmp_path):
    config, work = on_the_demo(row, tmp_path), tmp_path / 'work'
    options = [
        'train_cfg.max_iters=4',
        'train_cfg.val_interval=4',
        'default_hooks.checkpoint.interval=4',
        'train_dataloader.batch_size=2',
        'default_hooks.logger.interval=1',
    ]
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.data_root={rendered}',
            f'{loader}.dataset.img_scale=(96,48)',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        ]
    run_tool('train.py', config, '--work-dir', work, '--cfg-options', *options)
    best = BEST[row][0].replace('/', '_')
    assert [p.name for p in work.glob('best_*.pth')] == [f'best_{best}_iter_4.pth']
    (scalars,) = work.glob('*/vis_data/scalars.json')
    steps = [json.loads(line) for line in scalars.read_text().splitlines()]
    logged = {k for step in steps for k in step if 'loss_' in k}
    assert logged == ROWS[row][1]

    out = tmp_path / 'metrics.json'
    table = run_tool(
        'test.py',
        config,
        work / 'iter_4.pth',
        '--work-dir',
        work,
        '--out',
        out,
        '--show-dir',
        tmp_path / 'pictures',
        '--cfg-options',
        *options,
    )
    metrics = json.loads(out.read_text())
    assert set(metrics.pop('details')) == ROWS[row][3]
    assert {name.split('/')[0] for name in metrics} == ROWS[row][3]
    assert math.isfinite(metrics[BEST[row][0]])
    blocks = {
        group for group in ROWS['pandepth'][3] if re.search(rf'^{group}  ', table, re.MULTILINE)
    }
    assert blocks == ROWS[row][3]
    assert len(list((tmp_path / 'pictures').glob('*.png'))) == 2
