"""Convert KITTI-STEP: ``kitti_step.py DATA_ROOT --out OUT``."""

import sys

from pandepth_mm.converters.kitti_step import main

if __name__ == '__main__':
    sys.exit(main())
