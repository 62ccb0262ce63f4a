"""tools/analysis_tools/lidar_holdout.py on the demo's frame."""

from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator
from scipy.ndimage import map_coordinates
from scipy.spatial import cKDTree

from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.camera import points_to_depth, resize_intrinsics, transform_points
from pandepth_mm.geometry.point_files import read_points
from pandepth_mm.structures.methods import METHODS

NAME = 'analysis_tools/lidar_holdout'
FRAME = Path(__file__).parents[2] / 'demo' / 'frame'
ARGS = (FRAME / 'image.jpg', '--points', FRAME / 'points.bin', '--calib', FRAME / 'calib.txt')


def test_errors_at_held_out_points(run_tool):
    code, out, err = run_tool(NAME, *ARGS, '--seed', '3')
    assert code == 0, err
    counts, head, *lines = out.splitlines()[-10:]
    assert head.split()[2:] == 'RMSE m MAE m median m iRMSE 1/km iMAE 1/km'.split()
    rows = {(x[:11].strip(), x[11:26].strip()): np.array(x[26:].split(), float) for x in lines}
    assert list(rows) == [
        (way, name) for way in ('rasterize', 'nearest') for name in METHODS.values()
    ]
    # the fills, by another way: a k-d tree over the pixels that have a point, and SciPy's triangles
    calib = read_calibration(FRAME / 'calib.txt')
    points = transform_points(read_points(FRAME / 'points.bin'), calib.lidar2cam)
    held = np.random.default_rng(3).random(len(points)) < 0.5
    given = points_to_depth(points[~held], calib.cam2img, (375, 1242))
    gt = points_to_depth(points[held], calib.cam2img, (375, 1242))
    gt[given > 0] = 0
    assert counts == f'{(given > 0).sum()} pixels given, {(gt > 0).sum()} held out'
    small = points_to_depth(
        points[~held], resize_intrinsics(calib.cam2img, (416 / 1242, 128 / 375)), (128, 416)
    )
    measured = np.argwhere(small > 0)
    depth = small[small > 0]
    pixels = np.argwhere(np.ones_like(small))
    nearest = depth[cKDTree(measured).query(pixels)[1]].reshape(small.shape)
    planar = 1 / LinearNDInterpolator(measured, 1 / depth)(pixels).reshape(small.shape)
    planar = np.where(np.isnan(planar), nearest, planar)
    v, u = np.nonzero(gt)
    y, x = (v + 0.5) * 128 / 375, (u + 0.5) * 416 / 1242
    for name, found in (
        ('nearest fill', nearest[y.astype(int), x.astype(int)]),
        ('planar fill', map_coordinates(planar, (y - 0.5, x - 0.5), order=1, mode='nearest')),
    ):
        error, inverse = found - gt[v, u], 1e3 * (1 / found - 1 / gt[v, u])
        expected = [
            np.sqrt((error**2).mean()),
            np.abs(error).mean(),
            np.median(np.abs(error)),
            np.sqrt((inverse**2).mean()),
            np.abs(inverse).mean(),
        ]
        # of equally near measurements either may be chosen
        assert rows['rasterize', name] == pytest.approx(expected, rel=0.1), name
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
