"""Convert images of class and instance ids: ``semantic_instance.py DATA_ROOT --out OUT ...``."""

import sys

from pandepth_mm.converters.semantic_instance import main

if __name__ == '__main__':
    sys.exit(main())
