"""tools/analysis_tools/lidar_holdout.py on the demo's frame."""

import json
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
KEYS = ('rmse', 'mae', 'median', 'irmse', 'imae')
ARGS = (FRAME / 'image.jpg', '--points', FRAME / 'points.bin', '--calib', FRAME / 'calib.txt')


def table(out):
    """Numbers by (held out, method, grid)."""
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if line.startswith('held out'))
    assert lines[head].split()[4:] == 'RMSE m MAE m median m iRMSE 1/km iMAE 1/km'.split()
    return {
        (x[:13].strip(), x[13:28].strip(), x[28:36].strip()): np.array(x[36:].split(), float)
        for x in lines[head + 1 :]
    }


def expect_errors(found, gt):
    """The five numbers of a row, of depths (N,)."""
    error, inverse = found - gt, 1e3 * (1 / found - 1 / gt)
    return [
        np.sqrt((error**2).mean()),
        np.abs(error).mean(),
        np.median(np.abs(error)),
        np.sqrt((inverse**2).mean()),
        np.abs(inverse).mean(),
    ]


def nearest_and_planar(sparse, pixels):
    """The fills by another way: a k-d tree over the measured pixels, and SciPy's triangles."""
    measured = np.argwhere(sparse > 0)
    depth = sparse[sparse > 0]
    nearest = depth[cKDTree(measured).query(pixels)[1]]
    planar = 1 / LinearNDInterpolator(measured, 1 / depth)(pixels)
    return nearest, np.where(np.isnan(planar), nearest, planar)


def elevation_bands(points, band):
    """Which points are in every other band of 64 rings."""
    elevation = np.arctan2(points[:, 2], np.hypot(points[:, 0], points[:, 1]))
    edges = np.linspace(elevation.max(), elevation.min(), 65)
    ring = np.searchsorted(-edges, -elevation, side='right') - 1
    return np.minimum(ring, 63) // band % 2 == 1


def test_errors_at_held_out_points(run_tool, tmp_path):
    out_file = tmp_path / 'holdout.json'
    code, out, err = run_tool(NAME, *ARGS, '--seed', '3', '--band', '3', '--out', out_file)
    assert code == 0, err
    rows = table(out)
    grids = [(name, 'network') for name in METHODS.values()]
    grids += [(name, 'image') for name in METHODS.values() if name != 'model']
    assert list(rows) == [(p, *grid) for p in ('50 % random', 'bands of 3') for grid in grids]
    assert '64 rings of elevation' in out  # no scan: the points are in raster order

    calib = read_calibration(FRAME / 'calib.txt')
    scan = read_points(FRAME / 'points.bin').astype(np.float64)
    points = transform_points(scan, calib.lidar2cam)
    size = 375, 1242
    small_cam = resize_intrinsics(calib.cam2img, (416 / 1242, 128 / 375))
    small_pixels = np.argwhere(np.ones((128, 416)))
    for protocol, held in (
        ('50 % random', np.random.default_rng(3).random(len(points)) < 0.5),
        ('bands of 3', elevation_bands(scan, 3)),
    ):
        given = points_to_depth(points[~held], calib.cam2img, size)
        gt = points_to_depth(points[held], calib.cam2img, size)
        gt[given > 0] = 0
        counts = f'{(given > 0).sum()} pixels given, {(gt > 0).sum()} held out'
        assert f'{protocol}: {counts}' in out
        pixels = np.argwhere(gt)
        y, x = (pixels + 0.5).T * [[128 / 375], [416 / 1242]]
        nearest, planar = (
            depth.reshape(128, 416)
            for depth in nearest_and_planar(
                points_to_depth(points[~held], small_cam, (128, 416)), small_pixels
            )
        )
        expected = {
            ('nearest fill', 'network'): nearest[y.astype(int), x.astype(int)],
            ('planar fill', 'network'): map_coordinates(
                planar, (y - 0.5, x - 0.5), order=1, mode='nearest'
            ),
        }
        nearest, planar = nearest_and_planar(given, pixels)
        expected |= {('nearest fill', 'image'): nearest, ('planar fill', 'image'): planar}
        for (name, grid), depth in expected.items():
            # of equally near measurements either may be chosen, and either diagonal of a square
            approx = pytest.approx(expect_errors(depth, gt[gt > 0]), rel=0.1, abs=0.02)
            assert rows[protocol, name, grid] == approx, (protocol, name, grid)
        assert rows[protocol, 'model', 'network'][0] < rows[protocol, 'nearest fill', 'image'][0]
    written = json.loads(out_file.read_text())
    for row, printed in zip(written['results'], rows.values(), strict=True):
        assert [row[key] for key in KEYS] == pytest.approx(list(printed), abs=6e-4)
    assert written['settings']['band'] == 3 and written['frames'][0]['ordered'] is False


def test_frames_of_several_folders(run_tool, tmp_path):
    """The table has the means over the frames; every second one of each folder counts."""
    for number in range(2):
        for name in ('image.jpg', 'points.bin'):
            folder = tmp_path / f'drive_{number}' / Path(name).stem
            folder.mkdir(parents=True)
            for frame in range(2):
                file = folder / f'{frame}{Path(name).suffix}'
                file.write_bytes((FRAME / name).read_bytes() if frame == 0 else b'not read')
    # the second drive: a thinner scan
    points = np.fromfile(FRAME / 'points.bin', np.float32).reshape(-1, 4)[::3]
    points.tofile(tmp_path / 'drive_1' / 'points' / '0.bin')
    drives = [tmp_path / f'drive_{number}' for number in range(2)]
    out_file = tmp_path / 'out.json'
    code, out, err = run_tool(
        NAME,
        *(drive / 'image' for drive in drives),
        '--points',
        *(drive / 'points' for drive in drives),
        '--calib',
        FRAME / 'calib.txt',
        '--every',
        '2',
        '--out',
        out_file,
    )
    assert code == 0, err
    assert out.splitlines()[-19].startswith('2 frames, means over them')
    for row in json.loads(out_file.read_text())['results']:
        first, second = row['per_frame']
        assert first['rmse'] != second['rmse']
        for key in KEYS:
            assert row[key] == pytest.approx((first[key] + second[key]) / 2)


@pytest.mark.parametrize(
    'args, message',
    [
        (('--share', '1'), '--share: found 1.0; expected between 0 and 1'),
        (('--band', '0'), '--band: found 0; expected a whole number, at least 1'),
        (('--every', '0'), '--every: found 0; expected a whole number, at least 1'),
        (('--calib', 'a', 'b'), '--calib: found 2 of them; expected 1, one per image or folder'),
        (('--config', 'nope'), 'nope: found no such file'),
    ],
)
def test_bad_arguments(run_tool, args, message):
    code, _, err = run_tool(NAME, *ARGS, *args)
    assert code == 2 and message in err
