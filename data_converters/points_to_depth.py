"""Make sparse depth of point clouds: ``points_to_depth.py DATA_ROOT --out OUT``."""

import sys

from pandepth_mm.converters.points_to_depth import main

if __name__ == '__main__':
    sys.exit(main())
