"""Predict for your own images: ``python tools/infer.py IMAGE_OR_DIR ...``."""

import sys

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    sys.exit(run('infer'))
