"""Running the command line tools inside the test's process."""

import runpy
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner.checkpoint import CheckpointLoader
from prediction_run import FRAMES, all_frames, write
from tiny_dataset import make_tiny_dataset

from pandepth_mm.engine.model_zoo import find_config
from pandepth_mm.registry import MODELS, set_default_scope

ROOT = Path(__file__).parents[1]
TOY_CONFIG = Path(__file__).with_name('toy_config.py')


@pytest.fixture
def fresh_loading(monkeypatch):
    """Undo afterwards what set_checkpoint_trust changes for a process."""
    for name in ('TORCH_FORCE_WEIGHTS_ONLY_LOAD', 'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', 'LOCAL_RANK'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    monkeypatch.setattr(CheckpointLoader, '_schemes', dict(CheckpointLoader._schemes))
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
        monkeypatch.setattr(sys, 'argv', [f'{name}.py', *(str(a) for a in args)])
        capsys.readouterr()
        code = 0
        try:
            runpy.run_path(str(ROOT / 'tools' / f'{name}.py'), run_name='__main__')
        except SystemExit as e:
            code = e.code
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def toy_config(tmp_path):
    """The toy config under a name of its own.

    mmengine names its loggers and message hubs after the config and the second, and tests are
    quicker than that.
    """
    path = tmp_path / f'toy_{tmp_path.name}.py'
    path.write_text(TOY_CONFIG.read_text())
    return path


@pytest.fixture
def faithful(tmp_path):
    """Name of the config of the paper's parts in small, and a file of random weights for it."""
    name = 'pandepth_effb0_minivkitti'
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(find_config(name).config).model)
    torch.save(model.state_dict(), tmp_path / 'faithful.pth')
    return name, tmp_path / 'faithful.pth'


@pytest.fixture(scope='module')
def tiny_root(tmp_path_factory):
    return make_tiny_dataset(
        tmp_path_factory.mktemp('tiny'),
        num_frames=FRAMES,
        splits=('val', 'test'),
        empty_frames=(1,),
    )


@pytest.fixture
def run(tiny_root):
    """Annotations, samples with predictions, meta information."""
    return (tiny_root / 'annotations/panoptic_test.json', *all_frames(tiny_root))


@pytest.fixture(scope='module')
def files(tiny_root, tmp_path_factory):
    """Files of all predictions, not to be changed."""
    set_default_scope()
    out = tmp_path_factory.mktemp('files') / 'pred'
    write(*all_frames(tiny_root), out)
    return out
