"""Data that may not be read: one clear line, and no frame left out in silence."""

import os
import shutil
import subprocess
import sys

import pytest
import street
from raw_drive import DAY, write_drive
from tool_env import ROOT, subprocess_env

CAPABILITIES = '-dac_override,-dac_read_search'
# root reads everything, unless it gives these up
AS_USER = ['setpriv', f'--bounding-set={CAPABILITIES}', f'--inh-caps={CAPABILITIES}']


def class_image(root):
    street.make_street(root)
    return street.paths(root)['semantic']


def folder_of_class_images(root):
    return class_image(root).parent


def depth_map(root):
    street.make_street(root)
    return street.paths(root)['depth']


def day(root):
    write_drive(root, frames=1)
    write_drive(root.parent, frames=1)
    (root.parent / DAY).rename(root / '2011_09_28')
    drive = next((root / '2011_09_28').glob('*_drive_*'))
    drive.rename(drive.with_name('2011_09_28_drive_0001_sync'))
    return root / DAY


@pytest.mark.parametrize(
    'make', [class_image, folder_of_class_images, depth_map, day], ids=lambda f: f.__name__
)
def test_no_access(tmp_path, make):
    prefix = AS_USER if hasattr(os, 'geteuid') and os.geteuid() == 0 else []
    if prefix and shutil.which(prefix[0]) is None:
        pytest.skip('no setpriv to give up the rights of root')
    path = make(tmp_path / 'street')
    street.write_classes(tmp_path / 'street_classes.yaml')
    if make is day:
        command = ['kitti_raw', 'street', '--out', 'data', '--neighbors', '0']
    else:
        command = ['semantic_instance', *street.command()]
    mode = path.stat().st_mode
    path.chmod(0)
    try:
        result = subprocess.run(
            [*prefix, sys.executable, '-m', 'pandepth_mm', 'convert', *command, '--workers', '1'],
            cwd=tmp_path,
            env=dict(subprocess_env(), PYTHONPATH=str(ROOT)),
            capture_output=True,
            text=True,
        )
    finally:
        path.chmod(mode)
    denied = 'found no access (Permission denied); expected access to it'
    assert result.stderr == f'error: {path.relative_to(tmp_path)}: {denied}\n'
    assert result.returncode == 2
    assert not (tmp_path / 'data').exists()
