"""A training asks for huge pages before torch has a map."""

import importlib
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pandepth_mm.cli.main import run

VARIABLE = 'THP_MEM_ALLOC_ENABLE'


@pytest.fixture
def commands(monkeypatch):
    """Commands that do nothing."""
    monkeypatch.setattr(
        importlib, 'import_module', lambda name: SimpleNamespace(main=lambda argv: 0)
    )
    monkeypatch.setenv(VARIABLE, '')  # the environment is that of before after the test
    monkeypatch.delenv(VARIABLE)


def test_a_training_asks_for_them(commands):
    run('train', [])
    assert os.environ[VARIABLE] == '1'


def test_what_the_user_says_stays(commands, monkeypatch):
    monkeypatch.setenv(VARIABLE, '0')
    run('train', [])
    assert os.environ[VARIABLE] == '0'


def test_other_commands_do_not(commands):
    run('test', [])
    assert VARIABLE not in os.environ


def test_torch_is_not_there_yet():
    """It reads the variable once, before its first map."""
    code = "import sys; import pandepth_mm.cli.main; print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, '-c', code], text=True) == 'False\n'
