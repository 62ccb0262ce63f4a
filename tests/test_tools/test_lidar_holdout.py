"""tools/analysis_tools/lidar_holdout.py on the demo's frame."""

from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from pandepth_mm.fileio import read_points
from pandepth_mm.geometry.calibration import read_kitti_calibration
from pandepth_mm.geometry.camera import points_to_depth, resize_intrinsics, transform_points

NAME = 'analysis_tools/lidar_holdout'
FRAME = Path(__file__).parents[2] / 'demo' / 'frame'
ARGS = (FRAME / 'image.jpg', '--points', FRAME / 'points.bin', '--calib', FRAME / 'calib.txt')


def test_errors_at_held_out_points(run_tool):
    code, out, err = run_tool(NAME, *ARGS, '--seed', '3')
    assert code == 0, err
    lines = out.splitlines()[-6:]
    rows = {
        tuple(x[:9].split() + [x[10:24].strip()]): np.array(x[24:].split(), float)
        for x in lines[2:]
    }
    # the fill, by another way: a k-d tree over the pixels that have a point
    calib = read_kitti_calibration(FRAME / 'calib.txt')
    points = transform_points(read_points(FRAME / 'points.bin'), calib.lidar2cam)
    held = np.random.default_rng(3).random(len(points)) < 0.5
    given = points_to_depth(points[~held], calib.cam2img, (375, 1242))
    truth = points_to_depth(points[held], calib.cam2img, (375, 1242))
    truth[given > 0] = 0
    assert lines[0] == (f'{(given > 0).sum()} pixels given, {(truth > 0).sum()} held out; metres')
    small = points_to_depth(
        points[~held], resize_intrinsics(calib.cam2img, (416 / 1242, 128 / 375)), (128, 416)
    )
    v, u = np.nonzero(truth)
    pixel = np.c_[(v + 0.5) * 128 / 375 // 1, (u + 0.5) * 416 / 1242 // 1]
    measured = np.argwhere(small > 0)
    at = tuple(measured[cKDTree(measured).query(pixel)[1]].T)
    error = np.abs(small[at] - truth[v, u])
    found = rows['rasterize', 'nearest fill']
    # equally near measurements may be chosen differently
    assert found == pytest.approx(
        [np.sqrt((error**2).mean()), error.mean(), np.median(error)], rel=0.1
    )
    assert rows['rasterize', 'model'][0] < rows['nearest', 'model'][0]


@pytest.mark.parametrize(
    'args, message',
    [
        (('--share', '1'), '--share: found 1.0; expected between 0 and 1'),
        (('--config', 'nope'), 'nope: found no such file'),
    ],
)
def test_bad_arguments(run_tool, args, message):
    code, _, err = run_tool(NAME, *ARGS, *args)
    assert code == 2 and message in err
