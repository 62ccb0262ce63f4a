"""Environment of tools that the tests start as processes."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]


def subprocess_env():
    paths = [str(ROOT / 'tests'), os.environ.get('PYTHONPATH', '')]
    return dict(
        os.environ,
        PYTHONPATH=os.pathsep.join(p for p in paths if p),
        PYTHON=sys.executable,
        OMP_NUM_THREADS='1',
        MPLBACKEND='Agg',
    )
