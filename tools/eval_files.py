"""Evaluate predictions in files: ``python tools/eval_files.py GT PRED``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('eval-files')
