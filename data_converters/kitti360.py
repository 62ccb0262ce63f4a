"""Convert KITTI-360: ``kitti360.py DATA_ROOT --out OUT``."""

import sys

from pandepth_mm.converters.kitti360 import main

if __name__ == '__main__':
    sys.exit(main())
