"""The lower floors do without the deep-learning stack."""

import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / 'pandepth_mm'
MODULES = [
    f'pandepth_mm.{path.parent.name}.{path.stem}'
    for room in ('geometry', 'structures')
    for path in sorted((PACKAGE / room).glob('*.py'))
]
BLOCK = """
import sys
for name in ('torch', 'mmcv', 'mmdet', 'mmengine', 'matplotlib', 'plyfile', 'yaml'):
    sys.modules[name] = None
"""


@pytest.mark.parametrize('room', ['geometry', 'structures'])
def test_imports_without_the_stack(room):
    modules = [name for name in MODULES if name.split('.')[1] == room]
    assert len(modules) > 3
    code = BLOCK + '\n'.join(f'import {name}' for name in modules)
    run = subprocess.run(
        [sys.executable, '-c', code], cwd=PACKAGE.parent, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
