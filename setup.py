"""Puts the configs and tools into the wheel; all else is in pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
CARRIED = ('configs', 'demo', 'tools', 'model-index.yml')


class BuildPyWithMim(build_py):
    """Copies what OpenMMLab's tools look for to ``pandepth_mm/.mim``."""

    def run(self) -> None:
        """Build, then copy."""
        super().run()
        if self.editable_mode:
            return
        mim = Path(self.build_lib) / 'pandepth_mm' / '.mim'
        shutil.rmtree(mim, ignore_errors=True)
        mim.mkdir(parents=True)
        for name in CARRIED:
            if (ROOT / name).is_dir():
                shutil.copytree(
                    ROOT / name,
                    mim / name,
                    ignore=shutil.ignore_patterns('__pycache__', '*.pyc', '.ipynb_checkpoints'),
                )
            else:
                shutil.copy2(ROOT / name, mim / name)


setup(cmdclass={'build_py': BuildPyWithMim})
