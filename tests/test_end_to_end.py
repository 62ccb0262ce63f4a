"""The real model through the tools: train, test on one and two processes."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tiny_dataset import make_tiny_dataset

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
FRAMES = 3  # odd: two processes share them unevenly


ENV = dict(os.environ, OMP_NUM_THREADS='1', PYTHON=sys.executable)


def run(*command):
    return subprocess.run(
        [str(c) for c in command], cwd=ROOT, env=ENV, capture_output=True, text=True, timeout=600
    )


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Data, checkpoint, and the options that point the config at them."""
    root = tmp_path_factory.mktemp('end_to_end')
    data = make_tiny_dataset(
        root / 'data', num_frames=FRAMES, splits=('train', 'val', 'test'), empty_frames=(1,)
    )
    options = [
        'train_cfg.max_iters=2',
        'default_hooks.checkpoint.interval=2',
        'train_dataloader.batch_size=2',
    ]
    for split in ('train', 'val', 'test'):
        loader = f'{split}_dataloader'
        options += [
            f'{loader}.dataset.data_root={data}',
            f'{loader}.dataset.img_scale=(96,48)',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        ]
    result = run(
        sys.executable,
        'tools/train.py',
        CONFIG,
        '--work-dir',
        root / 'work',
        '--cfg-options',
        *options,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return root, root / 'work' / 'iter_2.pth', options


def run_test(trained, count, *flags):
    """Run the test on so many processes; return what it prints."""
    root, checkpoint, options = trained
    start = [sys.executable, 'tools/test.py', CONFIG, checkpoint]
    if count > 1:
        start = ['tools/dist_test.sh', CONFIG, checkpoint, count]
    result = run(
        *start,
        '--work-dir',
        root / 'work',
        *flags,
        '--cfg-options',
        *options,
        'test_evaluator.0.classwise=True',
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


def evaluated(trained, count):
    """The metrics of a test on so many processes."""
    root = trained[0]
    out, pictures = root / f'{count}.json', root / f'pictures_{count}'
    printed = run_test(trained, count, '--out', out, '--show-dir', pictures)
    assert 'RMSE' in printed and str(pictures) in printed
    assert re.search(r'^class .*PQ %.*\n-+\n(.+\n)*Sky ', printed, re.MULTILINE)
    assert len(list(pictures.glob('*.png'))) == FRAMES
    return json.loads(out.read_text())


@pytest.fixture(scope='module')
def one(trained):
    """The metrics of a test on one process."""
    return evaluated(trained, 1)


def test_one_process_and_two_give_one_table(trained, one):
    two = evaluated(trained, 2)
    for key in (
        'panoptic/PQ',
        'panoptic/SQ_th',
        'panoptic/RQ_st',
        'semantic/mIoU',
        'instance/bbox_mAP',
        'instance/segm_mAP',
        'depth/rmse',
        'depth/mae',
        'depth/irmse',
        'depth/imae',
        'depth/nearest_fill/rmse',
        'depth/classical_fill/rmse',
    ):
        assert key in one
    assert one['depth/rmse'] > 0 and one['semantic/mIoU'] > 0
    assert one.keys() == two.keys()
    for key, value in one.items():
        if value is None or key == 'details':  # None: nothing to measure
            assert two[key] == value, key
        else:
            assert two[key] == pytest.approx(value, rel=1e-12, abs=1e-12), key


def test_files_of_two_processes_give_the_table(trained, one):
    """--format-only, then eval_files.py: no model any more."""
    root, checkpoint, options = trained
    pred, out = root / 'pred', root / 'files.json'
    printed = run_test(trained, 2, '--format-only', pred)
    assert f'predictions: {pred}' in printed and 'PQ %' not in printed
    for kind in ('panoptic', 'semantic', 'depth'):
        assert len(list((pred / kind).iterdir())) == FRAMES
    gt = root / 'data/annotations/panoptic_test.json'
    result = run(sys.executable, 'tools/eval_files.py', gt, pred, '--out', out)
    assert result.returncode == 0, result.stderr[-3000:]
    assert 'PQ %' in result.stdout and 'depth_lambdas' in result.stdout
    files = json.loads(out.read_text())
    assert files.keys() == one.keys()
    for key, value in one.items():
        depth = key.startswith('depth/') and '_fill/' not in key
        if depth or 'DPQ' in key or key == 'details':
            continue  # from rounded depth: tests/test_tools
        assert files[key] == pytest.approx(value, abs=1e-6), key
    for key in ('depth/rmse', 'depth/mae', 'depth/rmse_pooled'):
        assert abs(files[key] - one[key]) <= 1000 / 512, key
    assert files['depth/n_clamped'] == one['depth/n_clamped']

    result = run(
        sys.executable,
        'tools/test.py',
        CONFIG,
        checkpoint,
        '--work-dir',
        root / 'work',
        '--format-only',
        pred,
        '--cfg-options',
        *options,
    )
    assert result.returncode == 2 and 'Traceback' not in result.stderr
    assert 'empty folder' in result.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_a_wrong_class_count_is_one_clear_line(trained, tool):
    root, checkpoint, options = trained
    command = [sys.executable, f'tools/{tool}', CONFIG]
    if tool == 'test.py':
        command.append(checkpoint)
    result = run(
        *command, '--work-dir', root / 'other', '--cfg-options', *options, 'model.num_things=4'
    )
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('error: ')
    assert 'num_things' in last or 'shape' in last
    assert 'Traceback' not in result.stderr


def test_missing_data_is_one_clear_line(trained):
    root, _, options = trained
    result = run(
        sys.executable,
        'tools/train.py',
        CONFIG,
        '--work-dir',
        root / 'other',
        '--cfg-options',
        *options,
        f'train_dataloader.dataset.data_root={root}/nowhere',
    )
    assert result.returncode == 2
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith('error: ')
    assert 'nowhere' in last and 'panoptic_train.json' in last
    assert 'Traceback' not in result.stderr


def test_kill_and_resume(trained):
    """A kill -9 loses at most the two iterations since a checkpoint."""
    root, _, options = trained
    work, end = root / 'killed', 40
    command = [
        sys.executable,
        'tools/train.py',
        CONFIG,
        '--work-dir',
        work,
        '--cfg-options',
        *options,
        f'train_cfg.max_iters={end}',
    ]
    process = subprocess.Popen(
        [str(c) for c in command],
        cwd=ROOT,
        env=ENV,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.time() + 300
        while not (work / 'iter_4.pth').exists():
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.02)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    names = [re.search(r'\d+', f.name) for f in work.glob('iter_*.pth')]
    done = max(int(name.group()) for name in names)
    assert done < end

    command[-1] = f'train_cfg.max_iters={done + 2}'
    result = run(*command, '--resume')
    assert result.returncode == 0, result.stderr[-3000:]
    resumed = re.search(r'resumed epoch: \d+, iter: (\d+)', result.stdout + result.stderr)
    assert int(resumed.group(1)) >= done - 2
    saved = torch.load(work / f'iter_{done + 2}.pth', weights_only=False)
    assert saved['meta']['iter'] == done + 2
    steps = {
        state['step'].item() if hasattr(state['step'], 'item') else state['step']
        for state in saved['optimizer']['state'].values()
    }
    assert steps == {done + 2}  # none lost and none done twice
