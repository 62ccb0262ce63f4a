"""Convert KITTI depth completion: ``kitti_depth.py DATA_ROOT --out OUT --raw RAW_ROOT``."""

import sys

from pandepth_mm.converters.kitti_depth import main

if __name__ == '__main__':
    sys.exit(main())
