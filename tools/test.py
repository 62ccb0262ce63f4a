"""Test a model: ``python tools/test.py CONFIG CKPT [flags]``."""

from pandepth_mm.cli.test import main

if __name__ == '__main__':
    main()
