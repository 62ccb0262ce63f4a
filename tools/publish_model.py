"""Make a small file of a checkpoint's weights: ``publish_model.py IN OUT``."""

from pandepth_mm.cli.publish import main

if __name__ == '__main__':
    main()
