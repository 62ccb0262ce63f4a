"""tools/dist_infer.sh and slurm_infer.sh: frames shared by processes."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import cv2
import pytest
from tool_env import subprocess_env
from torch import distributed

from pandepth_mm.cli import infer
from pandepth_mm.engine.ranks import Ranks, join_ranks

ROOT = Path(__file__).parents[2]
FRAME = ROOT / 'demo' / 'frame'
MODEL = 'pandepth_lite0_minivkitti_long'
SAVE = ('--save', 'panoptic', 'depth')


@pytest.fixture
def drive(tmp_path):
    """The arguments for three frames, the second one mirrored."""
    (tmp_path / 'image').mkdir()
    image = cv2.imread(str(FRAME / 'image.jpg'))
    for i in range(3):
        cv2.imwrite(str(tmp_path / f'image/{i:03d}.png'), image[:, ::-1] if i == 1 else image)
        (tmp_path / 'points').mkdir(exist_ok=True)
        shutil.copy(FRAME / 'points.bin', tmp_path / f'points/{i:03d}.bin')
    lidar = ('--points', tmp_path / 'points', '--calib', FRAME / 'calib.txt')
    return (tmp_path / 'image', *lidar, *SAVE)


def run(*command, **env):
    return subprocess.run(
        [str(c) for c in command],
        env=dict(subprocess_env(), **env),
        capture_output=True,
        text=True,
        timeout=600,
    )


def files(out):
    return {p.relative_to(out): p.read_bytes() for p in out.rglob('*') if p.is_file()}


def test_two_processes_write_the_files_of_one(run_tool, drive, tmp_path):
    one, two = tmp_path / 'one', tmp_path / 'two'
    code, _, err = run_tool('infer', *drive, '--config', MODEL, '--out', one)
    assert code == 0, err
    done = run(ROOT / 'tools/dist_infer.sh', MODEL, 2, *drive, '--out', two)
    assert done.returncode == 0, done.stderr
    # the stack's own line and its end come apart where two processes write it
    lines = [line for line in done.stdout.splitlines() if line and 'OneDL' not in line]
    assert sorted(line.split(':')[0] for line in lines[:3]) == ['000', '001', '002']
    assert lines[3:] == ['3 frames by 2 processes', f'results: {two}']
    assert files(one) == files(two)
    assert len(files(two)) == 1 + 3 * 3

    # as after a kill; any number of processes goes on
    (two / '001/result.json').unlink()
    before = {path: path.stat().st_mtime_ns for path in two.glob('00[02]/*')}
    code, text, _ = run_tool('infer', *drive, '--config', MODEL, '--out', two)
    assert code == 0 and '2 of 3 frames are there already' in text
    assert {path: path.stat().st_mtime_ns for path in two.glob('00[02]/*')} == before
    assert files(one) == files(two)


@pytest.mark.parametrize('rank', [0, 1])
def test_bad_input_is_told_once(run_tool, drive, tmp_path, monkeypatch, rank):
    """By process 0 of two."""
    monkeypatch.setattr(infer, 'join_ranks', lambda _: Ranks(rank, 2))
    (tmp_path / 'points/001.bin').write_bytes(b'123')
    code, out, err = run_tool('infer', *drive, '--config', MODEL, '--out', tmp_path / 'out')
    assert (code, out) == (2, '')
    if rank == 0:
        first, second = err.splitlines()
        assert first.startswith('error: ') and '001.bin' in first
        assert '--skip-bad goes on' in second
    else:
        assert err == ''
    assert not (tmp_path / 'out').exists()


def make_tool(folder, name, script):
    path = folder / name
    path.write_text(f'#!/bin/bash\n{script}\n')
    path.chmod(0o755)
    return f'{folder}{os.pathsep}{os.environ["PATH"]}'


def test_slurm_script(tmp_path):
    """What it hands to srun, and srun to Python."""
    path = make_tool(tmp_path, 'srun', 'echo "$@"')
    done = run(
        *(ROOT / 'tools/slurm_infer.sh', 'part', 'job', MODEL, 'images', '--out', 'o'),
        PATH=path,
        PYTHON='PY',
        GPUS='3',
    )
    assert done.returncode == 0, done.stderr
    words = done.stdout.split()
    assert words[:3] == ['-p', 'part', '--job-name=job'] and '--ntasks=3' in words
    command = words[words.index('PY') :]
    assert command[:2] == ['PY', '-u'] and Path(command[2]).samefile(ROOT / 'tools/infer.py')
    rest = ['images', '--out', 'o', '--config', MODEL, '--launcher', 'slurm']
    assert command[3:] == rest


def test_slurm_process(tmp_path, monkeypatch):
    """It meets the others at the first node of the job."""
    path = make_tool(tmp_path, 'scontrol', 'printf "127.0.0.1\\nother\\n"; echo "$@" > "$0.args"')
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = str(s.getsockname()[1])
    names = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR')
    for name in names:  # so that they are taken away again
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    slurm = dict(PROCID='0', NTASKS='1', LOCALID='0', NODELIST='n[1-2]')
    for name, value in slurm.items():
        monkeypatch.setenv(f'SLURM_{name}', value)
    monkeypatch.setenv('PATH', path)
    monkeypatch.setenv('MASTER_PORT', port)
    try:
        ranks = join_ranks('slurm')
        assert ranks[:2] == (0, 1)
        assert ranks.from_first('x') == 'x' and ranks.collect('x') == ['x']
        assert os.environ['MASTER_ADDR'] == '127.0.0.1'
    finally:
        distributed.destroy_process_group()
    assert (tmp_path / 'scontrol.args').read_text() == 'show hostnames n[1-2]\n'


@pytest.mark.parametrize('script', ['dist_infer.sh', 'slurm_infer.sh'])
def test_usage(script):
    done = run(ROOT / 'tools' / script, MODEL)
    assert done.returncode == 2 and done.stderr.startswith('usage: ')


def test_without_its_launcher(run_tool, drive, monkeypatch, tmp_path):
    monkeypatch.delenv('RANK', raising=False)
    code, _, err = run_tool('infer', *drive, '--out', tmp_path / 'out', '--launcher', 'pytorch')
    assert code == 2
    assert 'error: --launcher: found pytorch, and no RANK in the environment' in err


@pytest.mark.parametrize('count', [1, 2, 5])
def test_shares_are_all_frames_once(count):
    frames = list(range(7))
    shares = [Ranks(rank, count).share(frames) for rank in range(count)]
    assert sorted(sum(shares, [])) == frames
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
