"""Convert KITTI's raw drives: ``kitti_raw.py DATA_ROOT --out OUT``."""

import sys

from pandepth_mm.converters.kitti_raw import main

if __name__ == '__main__':
    sys.exit(main())
