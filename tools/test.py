"""Test a model: ``python tools/test.py CONFIG CKPT [flags]``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('test')
