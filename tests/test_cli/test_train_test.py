"""tools/train.py, tools/test.py and the dist_*.sh around them."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from tool_env import subprocess_env
from tool_toy import RunsCode, ToyModel

ROOT = Path(__file__).parents[2]


def last_epoch(path):
    return torch.load(path, weights_only=False)['meta']['epoch']


@pytest.fixture
def weights(tmp_path):
    """A checkpoint that fits the toy model."""
    path = tmp_path / 'weights.pth'
    torch.save(dict(state_dict=ToyModel().state_dict()), path)
    return path


def test_train_then_test(run_tool, toy_config, tmp_path):
    work = tmp_path / 'work'
    code, out, err = run_tool(
        'train', toy_config, '--work-dir', work, '--cfg-options', 'train_cfg.max_epochs=3'
    )
    assert code == 0
    assert (work / 'epoch_3.pth').is_file()
    assert 'stack ' in out + err and 'pandepth_mm ' in out + err

    metrics_file = tmp_path / 'sub' / 'metrics.json'
    code, out, _ = run_tool(
        'test',
        toy_config,
        work / 'epoch_3.pth',
        '--work-dir',
        work,
        '--out',
        metrics_file,
        '--figures',
        tmp_path / 'figures',
    )
    assert code == 0
    assert (tmp_path / 'figures' / 'toy_confusion.png').is_file()
    assert str(metrics_file) in out
    metrics = json.loads(metrics_file.read_text())
    assert metrics['toy/frames'] == 5
    assert metrics['toy/undefined'] is None
    assert metrics['details']['toy']['confusion']['counts'] == [[4, 1]]
    # the averaged weights (EMA) are the ones that a test loads
    saved = torch.load(work / 'epoch_3.pth', weights_only=False)
    weights = saved['state_dict']
    expected = (
        sum((weights['linear.weight'] * i / 5 + weights['linear.bias']).item() for i in range(5))
        / 5
    )
    assert metrics['toy/mean'] == pytest.approx(expected, abs=1e-6)


def test_resume_after_kill(run_tool, toy_config, tmp_path):
    work = tmp_path / 'work'
    process = subprocess.Popen(
        [
            sys.executable,
            ROOT / 'tools/train.py',
            toy_config,
            '--work-dir',
            work,
            '--cfg-options',
            'train_cfg.max_epochs=50',
            'model.delay=0.1',
        ],
        env=subprocess_env(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.time() + 120
        while not (work / 'epoch_2.pth').exists():
            assert process.poll() is None and time.time() < deadline
            time.sleep(0.02)
        time.sleep(0.2)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = max(int(re.search(r'\d+', f.name).group()) for f in work.glob('epoch_*.pth'))

    code, out, err = run_tool(
        'train',
        toy_config,
        '--work-dir',
        work,
        '--resume',
        '--cfg-options',
        f'train_cfg.max_epochs={done + 2}',
    )
    assert code == 0
    resumed = int(re.search(r'resumed epoch: (\d+)', out + err).group(1))
    assert resumed >= done - 1
    assert last_epoch(work / f'epoch_{done + 2}.pth') == done + 2
    # 3 iterations an epoch, none lost and none done twice
    saved = torch.load(work / f'epoch_{done + 2}.pth', weights_only=False)
    assert saved['meta']['iter'] == 3 * (done + 2)


def test_resume_passes_over_half_written_files(run_tool, toy_config, tmp_path):
    work = tmp_path / 'work'
    run_tool('train', toy_config, '--work-dir', work)
    good = (work / 'epoch_2.pth').read_bytes()
    (work / 'epoch_3.pth').write_bytes(good[: len(good) // 2])
    (work / 'last_checkpoint').write_text(str(work / 'epoch_3.pth'))
    code, out, err = run_tool(
        'train',
        toy_config,
        '--work-dir',
        work,
        '--resume',
        '--cfg-options',
        'train_cfg.max_epochs=3',
    )
    assert code == 0
    assert 'resumed epoch: 2' in out + err
    assert last_epoch(work / 'epoch_3.pth') == 3


def test_resume_with_nothing_there_starts_anew(run_tool, toy_config, tmp_path):
    code, out, err = run_tool('train', toy_config, '--work-dir', tmp_path / 'work', '--resume')
    assert code == 0
    assert 'nothing to resume' in out + err
    assert last_epoch(tmp_path / 'work' / 'epoch_2.pth') == 2


def poison(source, target, made):
    """Copy a checkpoint and add something that runs code on loading."""
    checkpoint = torch.load(source, weights_only=False)
    checkpoint['extra'] = RunsCode(str(made))
    torch.save(checkpoint, target)


def test_malicious_checkpoint_is_refused(run_tool, toy_config, tmp_path, weights):
    work, made = tmp_path / 'work', tmp_path / 'made'
    bad = tmp_path / 'bad.pth'
    poison(weights, bad, made)
    load_from = ('--cfg-options', f'load_from={bad}')
    init_cfg = (
        '--cfg-options',
        'model.init_cfg.type=Pretrained',
        f'model.init_cfg.checkpoint={bad}',
    )
    for args in (
        ('test', toy_config, bad),
        ('train', toy_config, '--resume', bad),
        ('train', toy_config, *load_from),
        ('train', toy_config, *init_cfg),
    ):
        code, _, err = run_tool(*args, '--work-dir', work)
        assert code == 2, args
        last = err.strip().split('\n')[-1]
        assert last.startswith('error: ')
        assert str(bad) in last and '--trust-checkpoint' in last
        assert 'mkdir' in last and 'Traceback' not in err
        assert not made.exists()

    # the file is as bad as it looks, and the flag lets it through
    code, _, _ = run_tool('test', toy_config, bad, '--work-dir', work, '--trust-checkpoint')
    assert code == 0
    assert made.is_dir()


def test_resume_does_not_execute_the_config_in_a_checkpoint(run_tool, toy_config, tmp_path):
    work, made = tmp_path / 'work', tmp_path / 'made'
    run_tool('train', toy_config, '--work-dir', work)
    checkpoint = torch.load(work / 'epoch_2.pth', weights_only=False)
    checkpoint['meta']['config'] = f'import os\nos.mkdir({str(made)!r})\n'
    bad = tmp_path / 'bad.pth'
    torch.save(checkpoint, bad)
    code, _, _ = run_tool(
        'train',
        toy_config,
        '--work-dir',
        work,
        '--resume',
        bad,
        '--cfg-options',
        'train_cfg.max_epochs=3',
    )
    assert code == 0
    assert not made.exists()
    assert last_epoch(work / 'epoch_3.pth') == 3


@pytest.mark.parametrize(
    'args, message',
    [
        (['train', 'nope.py'], 'nope.py: found no such file'),
        (['train', 'BROKEN'], 'SyntaxError'),
        (['train', 'CONFIG', '--amp'], '--amp: found no GPU'),
        (['train', 'CONFIG', '--auto-scale-lr'], 'auto_scale_lr.base_batch_size'),
        (['train', 'CONFIG', '--resume', 'nope.pth'], 'nope.pth'),
        (['train', 'CONFIG', '--resume', 'WEIGHTS'], 'no message_hub, meta'),
        (
            ['train', 'CONFIG', '--cfg-options', 'trian_cfg.max_epochs=3'],
            'found trian_cfg.max_epochs',
        ),
        (['train', 'CONFIG', '--cfg-options', 'log_level.x=3'], 'log_level.x'),
        (['train', 'CONFIG', '--work-dir', 'BROKEN'], 'a file'),
        (
            [
                'train',
                'CONFIG',
                '--cfg-options',
                'train_dataloader.dataset.broken=3',
                'train_dataloader.num_workers=1',
            ],
            'frame3.png: img: found no such file; expected an image',
        ),
        (['test', 'CONFIG', 'nope.pth'], 'nope.pth'),
        (['test', 'CONFIG', 'BROKEN'], 'no checkpoint'),
        (['test', 'CONFIG', 'HALF'], 'expected a complete checkpoint'),
        (
            ['test', 'CONFIG', 'WEIGHTS', '--cfg-options', 'model.width=2'],
            'linear.weight: found shape (1, 1); expected (1, 2)',
        ),
        (['test', 'CONFIG', 'EMPTY'], '0 of the 2 weights'),
        (['test', 'CONFIG', 'WEIGHTS', '--out', '.'], '--out: found ., a folder'),
        (['test', 'CONFIG', 'WEIGHTS', '--show-dir', 'BROKEN'], '--show-dir: found'),
        (['test', 'CONFIG', 'WEIGHTS', '--figures', 'BROKEN'], '--figures: found'),
        (['test', 'CONFIG', 'WEIGHTS', '--heuristic-fusion'], 'model.panoptic_fusion'),
        (
            ['test', 'CONFIG', 'WEIGHTS', '--format-only', 'D', '--out', 'F'],
            'it with --out or --figures',
        ),
        (['test', 'CONFIG', 'WEIGHTS', '--format-only', 'D'], 'test_dataloader.dataset: found'),
    ],
)
def test_bad_input(run_tool, toy_config, tmp_path, weights, args, message, monkeypatch):
    if '--amp' in args and torch.cuda.is_available():
        pytest.skip('needs a machine without a GPU')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'broken.py').write_text('model = dict(\n')
    (tmp_path / 'half.pth').write_bytes(weights.read_bytes()[:600])
    torch.save(dict(state_dict={}), tmp_path / 'empty.pth')
    names = dict(
        CONFIG=toy_config, BROKEN='broken.py', WEIGHTS=weights, HALF='half.pth', EMPTY='empty.pth'
    )
    args = [names.get(a, a) for a in args]
    if '--work-dir' not in args:
        args += ['--work-dir', tmp_path / 'work']
    code, _, err = run_tool(*args)
    last = err.strip().split('\n')[-1]
    assert code == 2, err
    assert last.startswith('error: ') and message in last
    assert 'Traceback' not in err


def test_one_kept_checkpoint_becomes_two(run_tool, toy_config, tmp_path):
    work = tmp_path / 'work'
    code, out, err = run_tool(
        'train',
        toy_config,
        '--work-dir',
        work,
        '--cfg-options',
        'train_cfg.max_epochs=3',
        'default_hooks.checkpoint.max_keep_ckpts=1',
    )
    assert code == 0
    assert 'max_keep_ckpts raised from 1 to 2' in out + err
    assert sorted(f.name for f in work.glob('epoch_*')) == ['epoch_2.pth', 'epoch_3.pth']


def test_two_processes_on_the_cpu(run_tool, toy_config, tmp_path):
    work = tmp_path / 'work'
    train = subprocess.run(
        [
            ROOT / 'tools/dist_train.sh',
            toy_config,
            '2',
            '--work-dir',
            work,
            '--cfg-options',
            'sync_bn=torch',
            'model.norm_cfg.type=SyncBN',
        ],
        env=subprocess_env(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    log = train.stdout + train.stderr
    assert train.returncode == 0, log[-3000:]
    assert log.count('SyncBN switched off') == 1
    # 6 frames, 2 per process and step: 2 steps per epoch
    assert torch.load(work / 'epoch_2.pth', weights_only=False)['meta']['iter'] == 4

    one, two = tmp_path / 'one.json', tmp_path / 'two.json'
    test = subprocess.run(
        [
            ROOT / 'tools/dist_test.sh',
            toy_config,
            work / 'epoch_2.pth',
            '2',
            '--work-dir',
            work,
            '--out',
            two,
        ],
        env=subprocess_env(),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert test.returncode == 0, (test.stdout + test.stderr)[-3000:]
    code, _, _ = run_tool(
        'test', toy_config, work / 'epoch_2.pth', '--work-dir', work, '--out', one
    )
    assert code == 0
    one, two = json.loads(one.read_text()), json.loads(two.read_text())
    assert one['toy/frames'] == two['toy/frames'] == 5
    assert one['toy/mean'] == pytest.approx(two['toy/mean'], abs=1e-6)


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh'])
def test_dist_scripts_state_their_usage(script):
    result = subprocess.run([ROOT / 'tools' / script], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith('usage: ')


def test_dist_train_refuses_a_bad_count(toy_config):
    result = subprocess.run(
        [ROOT / 'tools/dist_train.sh', toy_config, 'four'], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert "found 'four'" in result.stderr
