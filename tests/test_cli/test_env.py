"""pandepth env."""

import subprocess
import sys

import pytest

from pandepth_mm import version
from pandepth_mm.cli.main import run
from pandepth_mm.mmcv_ops import ops_in_use


def test_tells_versions_ops_and_devices(capsys):
    assert run('env', []) == 0
    out = capsys.readouterr().out
    assert version.stack_summary() in out
    assert f"mmcv's ops: {ops_in_use()}" in out
    assert 'cpu' in out and out.splitlines()[-1] == 'no problem found'


@pytest.mark.parametrize(
    'break_it, message',
    [
        (
            lambda patch: patch.setitem(sys.modules, 'torch', None),
            'problem: torch cannot be imported',
        ),
        (
            lambda patch: patch.setattr('torch.version.cuda', '12'),
            'problem: torch was built for CUDA 12, and sees no GPU',
        ),
    ],
)
def test_tells_what_is_wrong(monkeypatch, capsys, break_it, message):
    break_it(monkeypatch)
    assert run('env', []) == 1
    assert message in capsys.readouterr().out


def test_a_part_of_a_stack():
    code = (
        "from pandepth_mm import version; version._installed = {'mmcv': '2.1.0'}.get; "
        "from pandepth_mm.cli.main import run; raise SystemExit(run('env', []))"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 1
    assert 'problem: pandepth_mm needs mmengine' in done.stdout


def test_a_torchvision_of_another_build(monkeypatch, tmp_path, capsys):
    (tmp_path / 'torchvision.py').write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'torchvision', raising=False)
    assert run('env', []) == 1
    assert 'problem: torchvision does not fit torch (operator nms' in capsys.readouterr().out
