"""One line for bad input, a traceback for a bug."""

import pickle

import pytest
from torch.utils.data import DataLoader, Dataset

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError


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
