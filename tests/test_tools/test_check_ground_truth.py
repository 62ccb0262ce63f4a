"""The outliers of a drive's ground truth, in a world that is known."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest
from raw_drive import DRIVE, write_drive

NAME = 'analysis_tools/check_ground_truth'
TOOL = Path(__file__).parents[2] / 'tools' / f'{NAME}.py'


@pytest.fixture
def run(tmp_path, run_tool):
    write_drive(tmp_path, frames=4, moving=True)
    return lambda *flags: run_tool(NAME, tmp_path, '--drive', *flags)


def test_tables(run):
    """A car that moves fools scans alone; stereo does not let it."""
    code, out, err = run(DRIVE)
    assert not code, err
    shares = {
        line[:24].strip(): [float(x) for x in re.findall(r'([\d.]+)%', line)]
        for line in out.splitlines()[1:]
    }
    assert list(shares) == [
        'all scans', 'what is visible', 'and confirmed by stereo', 'stereo alone'
    ]  # fmt: skip
    assert shares['all scans'][0] > 5 > 0.5 > shares['and confirmed by stereo'][0]


def test_report_by_hand():
    """Two of four pixels are off by more than 10 %, one of them within 10 m."""
    errors = dict(scans=np.array([[0.0, 0.2, 0.05, 0.5], [5, 5, 15, 30]]))
    text = runpy.run_path(str(TOOL))['report'](errors, 0.1)
    assert re.search(r'scans +50\.00% +50\.00% +0\.00% +100\.00% +- +4\.188 +4', text)


def test_bad_input(run):
    code, _, err = run(f'{DRIVE}:2-2', '--neighbors', '0')
    assert code == 2 and 'no frame with a neighboring scan' in err
    code, _, err = run(DRIVE, '--outlier', '0')
    assert code == 2 and '--outlier: found 0.0' in err
