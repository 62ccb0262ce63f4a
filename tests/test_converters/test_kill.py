"""Every converter, killed with SIGKILL and started again: nothing is lost, nothing is left over."""

import importlib
import os
import signal
import subprocess
import sys

import kitti360_tree
import kitti_depth_tree
import kitti_step_tree
import points_tree
import pytest
import raw_drive
import street
from vkitti2_frames import REPO, make_frame, tree

# The process ends as by `kill -9` before the N-th file below a folder gets its name: that file is
# complete then, under its temporary name; in the middle of a write there is less in it.
KILLED = """
import os, runpy, signal, sys
folder, left = sys.argv[1], int(sys.argv[2])
replace = os.replace

def replace_or_die(source, target):
    global left
    left -= str(target).startswith(folder)
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    replace(source, target)

os.replace = replace_or_die
sys.argv = sys.argv[3:]
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def vkitti2(folder):
    for scene in ('Scene01', 'Scene18'):
        make_frame(folder / 'in', scene)
    return [folder / 'in']


def kitti_raw(folder):
    raw_drive.write_drive(folder / 'in', frames=2)
    return [folder / 'in']


def kitti_depth(folder):
    kitti_depth_tree.make_tree(folder / 'in', folder / 'raw')
    return [folder / 'in', '--raw', folder / 'raw']


def kitti360(folder):
    return [kitti360_tree.make_tree(folder / 'in', scans=2, labeled=(0, 1))]


def kitti_step(folder):
    return [kitti_step_tree.make_tree(folder / 'in', frames=2, labeled=(0, 1))]


def semantic_instance(folder):
    street.make_street(folder / 'street')
    street.write_classes(folder / 'street_classes.yaml')
    words = street.command()
    del words[words.index('--out') : words.index('--out') + 2]
    return [folder / word if 'street' in word and '{' not in word else word for word in words]


def points_to_depth(folder):
    return [points_tree.make_tree(folder / 'in'), '--calib', 'calib.json']


CONVERTERS = [
    vkitti2, kitti_raw, kitti_depth, kitti360, kitti_step, semantic_instance, points_to_depth,
]  # fmt: skip


def hidden(out):
    """Files of a temporary name; what a restart needs lies in a folder of such a name."""
    return [path for path in out.rglob('.*') if path.is_file()]


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='no SIGKILL')
@pytest.mark.parametrize('make', CONVERTERS, ids=lambda make: make.__name__)
def test_killed_and_started_again(tmp_path, make, capsys):
    words = [str(word) for word in make(tmp_path)]
    script = REPO / 'data_converters' / f'{make.__name__}.py'
    main = importlib.import_module(f'pandepth_mm.converters.{make.__name__}').main
    out = tmp_path / 'out'

    def kill(*where):
        """Run it until there; returns the temporary files that it leaves."""
        command = [script, *words, '--out', out, '--workers', 1]
        process = subprocess.run(
            [sys.executable, '-c', KILLED, *map(str, (*where, *command))],
            capture_output=True,
            text=True,
            env=dict(os.environ, OMP_NUM_THREADS='1'),
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
        return [path.relative_to(out).parts[0] for path in hidden(out)]

    def run(out):
        capsys.readouterr()
        assert main([*words, '--out', str(out), '--workers', '1']) == 0, capsys.readouterr().err
        return capsys.readouterr().out

    # the first file of the second frame's depth is written, and not named yet
    state = out / f'.{make.__name__}' / 'frames'
    folder = out / 'sparse_depth' if make is not kitti_depth else state  # which refers to its maps
    assert kill(folder, 2) == [folder.relative_to(out).parts[0]]
    assert not list(out.glob('annotations/*.json'))
    (first,) = folder.rglob('[!.]*.*')
    stamp = first.stat().st_mtime_ns
    # all frames are done, and half of the annotations
    assert kill(out / 'annotations', 2) == ['annotations']
    total = len(list(state.rglob('*.json')))
    assert total > 1 and f'({total} done before)' in run(out)
    assert first.stat().st_mtime_ns == stamp
    run(tmp_path / 'fresh')
    assert tree(out) == tree(tmp_path / 'fresh')
    assert not hidden(out)
