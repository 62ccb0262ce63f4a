"""The inputs of an exported model, against what the model makes itself."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from pandepth_mm.export import export_inputs
from pandepth_mm.models.depth_heads.nearest_fill import nearest_fill
from pandepth_mm.models.layers.point_graph import build_point_graph

FILE = Path(__file__).parents[2] / 'pandepth_mm/export/inputs.py'
SIZE = (24, 40)
CAMERA = np.array([[31.7, 0.3, 19.1], [0, 29.9, 12.3], [0, 0, 1]])


def frame(count, seed=0):
    """Image, sparse depth with ``count`` measurements, intrinsics."""
    rng = np.random.default_rng(seed)
    depth = np.zeros(SIZE, np.float32)
    depth.flat[rng.permutation(depth.size)[:count]] = rng.uniform(1, 60, count)
    return rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8), depth, CAMERA


def make(count, num_points=200, k=3, residual='nearest', seed=0):
    return export_inputs(*frame(count), num_points, k, 60.0, residual=residual, seed=seed)


@pytest.mark.parametrize('k', [1, 3, 9])
@pytest.mark.parametrize('count', [0, 1, 2, 6, 150, 200])
def test_points_are_those_of_the_model(count, k):
    found = make(count, k=k)
    image, depth, cam2img = frame(count)
    graph = build_point_graph(
        torch.from_numpy(depth)[None, None], torch.from_numpy(cam2img)[None], k
    )
    assert len(graph.points) == count
    assert np.array_equal(found['points'][:count], graph.points)
    assert np.array_equal(found['pixels'][:count, 0], graph.row)
    assert np.array_equal(found['pixels'][:count, 1], graph.col)
    assert np.array_equal(found['knn_indices'][:count], graph.knn_indices)
    # the rest is padding
    assert (found['points'][count:] == 0).all()
    assert (found['pixels'][count:] == -1).all()
    assert (found['knn_indices'][count:] == -1).all()
    fill = nearest_fill(torch.from_numpy(depth)[None, None], default=30.0)
    assert np.array_equal(found['fill'], fill)
    assert np.array_equal(found['img'][0, 2], image[..., 2])


def test_names_types_and_shapes():
    expected = dict(
        img=('float32', (1, 3, *SIZE)),
        sparse_depth=('float32', (1, 1, *SIZE)),
        points=('float32', (200, 3)),
        pixels=('int64', (200, 2)),
        knn_indices=('int64', (200, 3)),
        fill=('float32', (1, 1, *SIZE)),
    )
    for residual in ('nearest', None):
        found = make(50, residual=residual)
        if residual is None:
            del expected['fill']
        assert {n: (a.dtype.name, a.shape) for n, a in found.items()} == expected


def test_depth_out_of_range_is_no_measurement():
    image, depth, cam2img = frame(100)
    spoilt = depth.copy()
    spoilt[0, :5] = np.nan, np.inf, -np.inf, -3, 60.5
    depth[0, :5] = 0
    found = export_inputs(image, spoilt, cam2img, 200, 3, 60.0, 'nearest')
    clean = export_inputs(image, depth, cam2img, 200, 3, 60.0, 'nearest')
    for name, array in clean.items():
        assert np.array_equal(found[name], array), name


def test_too_many_points_are_drawn_by_the_seed():
    every, sampled = make(300, num_points=300), make(300, num_points=120)
    assert np.array_equal(sampled['pixels'], make(300, 120)['pixels'])
    assert not np.array_equal(sampled['pixels'], make(300, 120, seed=1)['pixels'])
    # a subset, each point once, in raster order, neighbors among themselves
    place = {tuple(p): i for i, p in enumerate(every['pixels'].tolist())}
    rows = [place[tuple(p)] for p in sampled['pixels'].tolist()]
    assert len(rows) == 120 and rows == sorted(set(rows))
    assert rows != list(range(120))
    assert np.array_equal(sampled['points'], every['points'][rows])
    away = np.linalg.norm(sampled['points'][:, None] - sampled['points'][None], axis=-1)
    np.fill_diagonal(away, np.inf)
    assert np.array_equal(sampled['knn_indices'], away.argsort(axis=1)[:, :3])
    # the maps keep every measurement
    for name in ('sparse_depth', 'fill'):
        assert np.array_equal(sampled[name], every[name])


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(image=np.zeros((3, *SIZE))), 'image must be'),
        (dict(image=np.zeros((20, 40, 3))), 'image must be'),
        (dict(sparse_depth=np.zeros((1, *SIZE))), 'image must be'),
        (dict(cam2img=np.eye(4)), 'cam2img must be'),
        (dict(num_points=0), 'must be positive'),
        (dict(k=0), 'must be positive'),
        (dict(max_depth=0.0), 'must be positive'),
        (dict(residual='linear'), 'residual must be'),
    ],
)
def test_bad_arguments(change, message):
    image, depth, cam2img = frame(10)
    arguments = dict(
        image=image, sparse_depth=depth, cam2img=cam2img, num_points=20, k=3, max_depth=60.0
    )
    with pytest.raises(ValueError, match=message):
        export_inputs(**dict(arguments, **change))


def test_file_runs_alone():
    """Without the package, PyTorch and OpenMMLab."""
    code = f"""
import runpy, sys
for name in ('torch', 'mmcv', 'mmengine', 'mmdet', 'cv2', 'pandepth_mm'):
    sys.modules[name] = None
import numpy as np
make = runpy.run_path({str(FILE)!r})['export_inputs']
depth = np.zeros((8, 9))
depth[2, 3] = 5
print(make(np.zeros((8, 9, 3)), depth, np.eye(3), 4, 2, 60.)['points'][0])
"""
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    assert out.stdout.split() == ['[15.', '10.', '5.]']
