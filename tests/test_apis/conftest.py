"""The demo's model and its frame, shared by the tests of the API."""

from pathlib import Path

import pytest

from pandepth_mm.apis import PanDepthInferencer

FRAME = Path(__file__).parents[2] / 'demo' / 'frame'


@pytest.fixture(scope='session')
def inferencer():
    """The demo's model with the shipped weights."""
    return PanDepthInferencer(device='cpu', show_progress=False)


@pytest.fixture(scope='session')
def frame():
    """The paths of the demo's frame, as keyword arguments of a call."""
    return dict(inputs=FRAME / 'image.jpg', points=FRAME / 'points.bin', calib=FRAME / 'calib.txt')


@pytest.fixture(scope='session')
def result(inferencer, frame):
    """What the demo's model makes of the demo's frame."""
    return inferencer(**frame)
