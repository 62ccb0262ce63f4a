"""Evaluate predictions in files: ``python tools/eval_files.py GT PRED``."""

from pandepth_mm.cli.eval_files import main

if __name__ == '__main__':
    main()
