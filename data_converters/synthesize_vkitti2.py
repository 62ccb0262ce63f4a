"""Render road scenes: ``synthesize_vkitti2.py OUT --frames N``."""

import sys
from pathlib import Path

# runnable from anywhere, installed or not; the renderer is no part of the package
ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / 'demo'), str(ROOT)]

from scenes.command import main  # noqa: E402

if __name__ == '__main__':
    sys.exit(main())
