"""Convert Virtual KITTI 2: ``vkitti2.py DATA_ROOT --out OUT``."""

import sys

from pandepth_mm.converters.vkitti2 import main

if __name__ == '__main__':
    sys.exit(main())
