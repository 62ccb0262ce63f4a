"""Make a small file of a checkpoint's weights: ``publish_model.py IN OUT``."""

from pandepth_mm.cli.main import run

if __name__ == '__main__':
    run('publish')
