"""Predict for your own images: ``python tools/infer.py IMAGE_OR_DIR ...``."""

from pandepth_mm.cli.infer import main

if __name__ == '__main__':
    main()
