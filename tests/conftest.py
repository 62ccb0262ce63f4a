"""Shared set-up of the tests."""

import os
import sys
import tempfile
from pathlib import Path

# before torch and OpenCV start their pools
os.environ.setdefault('OMP_NUM_THREADS', '1')

import cv2  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from extend_page import write_listings  # noqa: E402

from pandepth_mm.registry import set_default_scope  # noqa: E402

pytest_plugins = ['tool_fixtures']
torch.set_num_threads(1)


def pytest_configure(config):
    """Put the listings of docs/extend.md on the path, as a package of somebody else."""
    config.listings = tempfile.TemporaryDirectory()
    write_listings(Path(config.listings.name))
    sys.path.insert(0, config.listings.name)


def pytest_unconfigure(config):
    """Remove them."""
    config.listings.cleanup()


@pytest.fixture
def extension(request):
    """The folder of those listings."""
    return Path(request.config.listings.name)


cv2.setNumThreads(1)


@pytest.fixture(autouse=True)
def default_scope():
    """Resolve our names and mmdet's without a prefix.

    The registries import the modules that fill them when they are asked.
    """
    set_default_scope()
