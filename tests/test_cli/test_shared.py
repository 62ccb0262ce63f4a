"""One line for bad input, a traceback for a bug."""

import pickle
import subprocess
import sys

import pytest
from tool_env import subprocess_env
from torch.utils.data import DataLoader, Dataset

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError

# a model in its wrapper, in a circle as mmengine's runner is with its hooks
DISTRIBUTED = """
import weakref
from types import SimpleNamespace
import torch
from torch import distributed, nn
from pandepth_mm.cli.shared import cli_main

@cli_main
def main():
    distributed.init_process_group('gloo', init_method='file://{path}', rank=0, world_size=1)
    runner = SimpleNamespace(model=nn.parallel.DistributedDataParallel(nn.Linear(1, 1)))
    runner.hook = SimpleNamespace(runner=runner)
    return weakref.ref(runner.model)

wrapper = main()
print(distributed.is_initialized(), wrapper())
"""


def test_input_error_becomes_one_line(capsys):

    @cli_main
    def main():
        raise InputError('a.png', 'two\nlines', 'one', 'depth')

    with pytest.raises(SystemExit) as error:
        main()
    assert error.value.code == 2
    assert capsys.readouterr().err == ('error: a.png: depth: found two lines; expected one\n')


def test_other_errors_and_results_pass():

    @cli_main
    def main(x):
        return 1 / x

    assert main(2) == 0.5
    with pytest.raises(ZeroDivisionError):
        main(0)


def test_input_error_survives_pickling():
    error = pickle.loads(pickle.dumps(InputError('a', 'b', 'c', 'd')))
    assert str(error) == 'a: d: found b; expected c'
    assert error.args == ('a', 'b', 'c', 'd')


class Broken(Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, index):
        raise InputError('a.png', 'no such file', 'an image', 'img')


@pytest.mark.parametrize('workers', [0, 1])
def test_input_error_survives_a_dataloader(workers):
    with pytest.raises(InputError) as error:
        next(iter(DataLoader(Broken(), num_workers=workers)))
    assert str(error.value) == 'a.png: img: found no such file; expected an image'


def test_nothing_of_a_process_group_outlives_a_command(tmp_path):
    """Its threads can abort the process at its end."""
    command = [sys.executable, '-c', DISTRIBUTED.format(path=tmp_path / 'meeting')]
    run = subprocess.run(command, env=subprocess_env(), capture_output=True, text=True)
    assert run.stdout == 'False None\n', run.stderr
