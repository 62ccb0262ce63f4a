"""Running the command line tools inside the test's process."""
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import CheckpointLoader

ROOT = Path(__file__).parents[2]
TOY_CONFIG = Path(__file__).with_name('toy_config.py')


@pytest.fixture
def fresh_loading(monkeypatch):
    """Undo afterwards what set_checkpoint_trust changes for a process."""
    for name in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD',
                 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    monkeypatch.setattr(CheckpointLoader, '_schemes',
                        dict(CheckpointLoader._schemes))
    before = torch.serialization.get_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(before)


@pytest.fixture
def run_tool(monkeypatch, capsys, fresh_loading):
    """Run ``tools/NAME.py`` with arguments.

    Returns a function that gives (exit code, stdout, stderr).
    """

    def run(name, *args):
        spec = importlib.util.spec_from_file_location(
            f'tool_{name}', ROOT / 'tools' / f'{name}.py')
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        monkeypatch.setattr(sys, 'argv',
                            [f'{name}.py', *(str(a) for a in args)])
        capsys.readouterr()
        code = 0
        try:
            module.main()
        except SystemExit as e:
            code = e.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def toy_config(tmp_path):
    """The toy config under a name of its own.

    mmengine names its loggers and message hubs after the config and the
    second, and tests are quicker than that.
    """
    path = tmp_path / f'toy_{tmp_path.name}.py'
    path.write_text(TOY_CONFIG.read_text())
    return path
