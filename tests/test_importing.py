"""Importing the package changes nothing for the rest of the process."""

import ast
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / 'pandepth_mm'
# What others change when they are imported is not ours: they come first.
CODE = """
import importlib, logging, os, sys, warnings
import cv2, matplotlib, torch
from pandepth_mm import mmcv_ops
mmcv_ops.install()  # as the registries do
others, ours = (part.split(',') for part in sys.argv[1:])
def state():
    return dict(
        # as plain dict: RcParams chooses a backend when it is asked for it
        matplotlib=dict(dict.items(matplotlib.rcParams)),
        threads=(cv2.getNumThreads(), torch.get_num_threads(), torch.get_num_interop_threads()),
        logging=(logging.root.level, list(logging.root.handlers)),
        warnings=list(warnings.filters),
        environment=dict(os.environ),
        path=list(sys.path),
    )
for name in others:
    importlib.import_module(name)
before = state()
for name in ours:
    importlib.import_module(name)
changed = {k: (v, before[k]) for k, v in state().items() if v != before[k]}
sys.exit(str(changed) if changed else 0)
"""


def modules():
    """Modules of the package, and what they import from outside at once."""
    ours, others = set(), set()
    for path in PACKAGE.rglob('*.py'):
        ours.add('.'.join(path.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__'))
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import):
                others |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                others.add(node.module)
    ours.discard('pandepth_mm.__main__')  # runs the command line
    return sorted(ours), sorted(name for name in others if name.split('.')[0] != 'pandepth_mm')


def test_importing_has_no_side_effects():
    ours, others = modules()
    assert len(ours) > 80 and 'mmdet.structures' in others
    result = subprocess.run(
        [sys.executable, '-c', CODE, ','.join(others), ','.join(ours)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
