"""Train a model: ``python tools/train.py CONFIG [flags]``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('train')
