"""Converters, and the rooms below them, do without torch and OpenMMLab's packages."""

import os
import subprocess
import sys

import pytest
from vkitti2_frames import REPO, SCRIPT, load, make_root

# as sitecustomize.py, which worker processes run too
BLOCK = """
import sys
for name in ('torch', 'mmcv', 'mmengine', 'mmdet', 'mmseg'):
    sys.modules[name] = None
"""
IMPORT_ALL = """
import importlib, pkgutil
for room in ('geometry', 'structures', 'converters'):
    room = importlib.import_module(f'pandepth_mm.{room}')
    for module in pkgutil.walk_packages(room.__path__, f'{room.__name__}.'):
        print(importlib.import_module(module.name).__name__)
"""


@pytest.fixture
def run(tmp_path):
    """Run Python in a process in which they are blocked."""
    (tmp_path / 'sitecustomize.py').write_text(BLOCK)
    path = os.pathsep.join([str(tmp_path), str(REPO)])

    def run(*args):
        return subprocess.run(
            [sys.executable, *map(str, args)],
            cwd=tmp_path,
            env=dict(os.environ, PYTHONPATH=path, OMP_NUM_THREADS='1'),
            capture_output=True,
            text=True,
        )

    return run


def test_imports(run):
    assert 'ModuleNotFoundError' in run('-c', 'import torch').stderr
    result = run('-c', IMPORT_ALL)
    assert result.returncode == 0, result.stderr
    assert {'pandepth_mm.geometry.camera', 'pandepth_mm.structures.annotations'} <= set(
        result.stdout.split()
    )
    assert 'pandepth_mm.converters.vkitti2.converter' in result.stdout.split()


@pytest.mark.parametrize('how', [[SCRIPT], ['-m', 'pandepth_mm', 'convert', 'vkitti2']])
def test_conversion(run, tmp_path, how):
    make_root(tmp_path / 'in', frames=1)
    result = run(*how, tmp_path / 'in', '--out', tmp_path / 'out', '--workers', 2)
    assert result.returncode == 0, result.stderr
    assert 'train 6, val 2, test 2 (0 done before)' in result.stdout
    assert len(load(tmp_path / 'out')['images']) == 6
