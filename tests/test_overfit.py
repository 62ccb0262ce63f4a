"""The demo's model learns two frames by heart."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_dataset import make_tiny_dataset

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
ITERATIONS = 600
LOSSES = (
    'loss_semantic',
    'loss_joint',
    'loss_depth',
    'loss_rpn_cls',
    'loss_rpn_bbox',
    'loss_cls',
    'loss_bbox',
    'loss_mask',
)


def run_tool(name, *args):
    subprocess.run([sys.executable, ROOT / 'tools' / name, *map(str, args)], check=True, cwd=ROOT)


@pytest.mark.slow
def test_two_frames_by_heart(tmp_path):
    data = tmp_path / 'data'
    # of this seed no thing is hidden so far that the config's filter of tiny instances would keep
    # it from the training
    make_tiny_dataset(data, num_frames=2, size=(96, 192), splits=('train', 'val', 'test'), seed=1)
    options = ['--cfg-options']
    for split in ('train', 'val', 'test'):
        options += [
            f'{split}_dataloader.dataset.data_root={data}',
            f'{split}_dataloader.dataset.ann_file=annotations/panoptic_train.json',
            f'{split}_dataloader.dataset.img_scale=(192,96)',
        ]
    options += [
        'train_dataloader.batch_size=2',
        f'train_cfg.max_iters={ITERATIONS}',
        f'train_cfg.val_interval={2 * ITERATIONS}',
        f'param_scheduler.1.T_max={ITERATIONS}',
        f'default_hooks.checkpoint.interval={ITERATIONS}',
        'train_dataloader.dataset.pipeline.5.prob=0.0',  # the same two frames
    ]
    run_tool('train.py', CONFIG, '--work-dir', tmp_path / 'work', *options)
    run_tool(
        'test.py',
        CONFIG,
        tmp_path / f'work/iter_{ITERATIONS}.pth',
        '--work-dir',
        tmp_path / 'work',
        '--out',
        tmp_path / 'metrics.json',
        *options,
    )

    metrics = json.loads((tmp_path / 'metrics.json').read_text())
    (scalars,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    steps = [json.loads(line) for line in scalars.read_text().splitlines()]
    steps = [step for step in steps if 'loss' in step]
    for name in LOSSES:
        assert steps[-1][name] < 0.5 * steps[0][name], name
    assert metrics['panoptic/PQ'] >= 0.90
    assert metrics['depth/rmse'] <= 500
