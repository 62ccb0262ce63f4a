"""Train a model: ``python tools/train.py CONFIG [flags]``."""

from pandepth_mm.cli.train import main

if __name__ == '__main__':
    main()
