"""Look through a data set: ``python tools/check_dataset.py CONFIG|JSON [flags]``."""

import sys

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    sys.exit(run('check-dataset'))
