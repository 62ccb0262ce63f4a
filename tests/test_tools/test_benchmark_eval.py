"""tools/analysis_tools/benchmark_eval.py."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tool_env import subprocess_env

TOOL = Path(__file__).parents[2] / 'tools/analysis_tools/benchmark_eval.py'


def run(*args):
    return subprocess.run(
        [sys.executable, TOOL, *map(str, args)],
        env=subprocess_env(),
        capture_output=True,
        text=True,
    )


def test_numbers_are_equal_and_all_is_timed():
    pytest.importorskip('panopticapi', reason='pip install --no-deps panopticapi-lite')
    result = run('--frames', 2, '--repeats', 1)
    assert result.returncode == 0, result.stderr
    assert '(equal)' in result.stdout
    for row, numbers in (
        ('PQ + DPQ at 3 lambdas, from files', 3),
        ('PQ, from arrays', 3),
        ('depth errors', 1),
        ('nearest_fill', 3),
        ('classical_fill', 3),
        ('planar_fill', 3),
    ):
        line = next(x for x in result.stdout.splitlines() if x.startswith(row))
        values = re.findall(r'\d+\.\d+', line[38:])
        assert len(values) == numbers and float(values[0]) > 0


def test_share_of_a_test_run(toy_config, tmp_path):
    result = run('--config', toy_config, '--work-dir', tmp_path)
    assert result.returncode == 0, result.stderr
    shares = re.findall(r'^(.+?) +\d+\.\d+ +(\d+\.\d)%$', result.stdout, re.M)
    names = [name for name, _ in shares]
    assert names == ['toy.process', 'toy.evaluate', 'all metrics', 'test run']
    assert 0 <= float(shares[2][1]) <= float(shares[3][1]) == 100


def test_bad_input(tmp_path):
    result = run('--frames', 0)
    assert result.returncode == 2 and '--frames: found 0' in result.stderr
    result = run('--config', tmp_path / 'no.py')
    assert result.returncode == 2 and 'no such file' in result.stderr
