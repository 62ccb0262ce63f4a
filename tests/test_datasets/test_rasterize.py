"""ResizePanopticDepth(depth_resize='rasterize'): measurements as points."""

import numpy as np
import pytest
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.camera import back_project
from pandepth_mm.registry import DATASETS, TRANSFORMS

SIZE, NEW = (48, 96), (31, 70)  # height, width
FLIP = dict(type='FlipPanopticDepth', prob=1.0)
RESIZE = dict(type='ResizePanopticDepth', depth_resize='rasterize')
CAMERA = np.array([[60.0, 0, 40], [0, 55, 20], [0, 0, 1]])
ORDERS = pytest.mark.parametrize('order', [1, -1], ids=['resize, flip', 'flip, resize'])


def record(**more):
    return dict(
        img=np.zeros((*SIZE, 3), np.uint8), img_scale=NEW[::-1], cam2img=CAMERA.tolist(), **more
    )


def transformed(results, order):
    for transform in [RESIZE, FLIP][::order]:
        results = TRANSFORMS.build(transform)(results)
    return results


def loop(points):
    """The map of points of the original camera, resized and then flipped."""
    depth = np.zeros(NEW, np.float32)
    for x, y, z in points.astype(np.float64):
        u = (CAMERA[0, 0] * x / z + CAMERA[0, 2] + 0.5) * NEW[1] / SIZE[1] - 0.5
        v = (CAMERA[1, 1] * y / z + CAMERA[1, 2] + 0.5) * NEW[0] / SIZE[0] - 0.5
        row, col = int(np.floor(v + 0.5)), int(np.floor(u + 0.5))
        if 0 <= row < NEW[0] and 0 <= col < NEW[1] and not 0 < depth[row, col] < z:
            depth[row, col] = z
    return depth[:, ::-1]


@ORDERS
def test_a_depth_map_against_a_loop(order):
    rng = np.random.default_rng(0)
    sparse = np.where(rng.random(SIZE) < 0.3, rng.uniform(2, 70, SIZE), 0).astype(np.float32)
    found = transformed(record(sparse_depth=sparse), order)
    # no point lies on the edge of a pixel, where rounding would decide
    np.testing.assert_allclose(found['sparse_depth'], loop(back_project(sparse, CAMERA)), rtol=1e-6)
    assert found['sparse_depth'].dtype == np.float32
    # the nearest pixel instead keeps the density and so loses more
    nearest = TRANSFORMS.build(dict(type='ResizePanopticDepth'))(record(sparse_depth=sparse))
    assert (nearest['sparse_depth'] > 0).sum() < 0.8 * (found['sparse_depth'] > 0).sum()


@ORDERS
def test_points_come_before_the_map(order):
    """LiDAR points, of which several share a pixel of the map."""
    rng = np.random.default_rng(1)
    z = rng.uniform(2, 70, 3000)
    points = np.stack([rng.uniform(-0.9, 0.9, 3000) * z, rng.uniform(-0.5, 0.5, 3000) * z, z], -1)
    given = points.copy()
    found = transformed(record(points=points, sparse_depth=np.zeros(SIZE, np.float32)), order)
    np.testing.assert_allclose(found['sparse_depth'], loop(points), rtol=1e-6)
    assert np.array_equal(points, given)


def test_in_a_training_pipeline(tmp_path):
    """Every measured pixel lies at a point of the original map, up to half a pixel."""
    root = make_tiny_dataset(tmp_path, num_frames=2)
    load = [
        dict(type='LoadImageFromFile'),
        dict(type='LoadDepthMap', key='sparse_depth'),
        dict(type='LoadPanopticMap'),
        dict(type='LoadDepthMap', key='gt_depth_map'),
    ]
    pipeline = [*load, RESIZE, FLIP, dict(type='PackPanopticDepthInputs')]
    raw = DATASETS.build(tiny_config(root, pipeline=load))[1]
    packed = DATASETS.build(tiny_config(root, pipeline=pipeline, img_scale=NEW[::-1]))[1]['inputs']
    depth, cam2img = packed['sparse_depth'][0].numpy(), packed['cam2img'].numpy()
    after = back_project(depth, cam2img) * (-1, 1, 1)
    before = back_project(raw['sparse_depth'], raw['cam2img'])
    assert 0.5 * len(before) < len(after) <= len(before)
    pixel = after[:, 2:] / cam2img[[0, 1], [0, 1]]  # meters
    for point, half in zip(after, pixel / 2, strict=True):
        same_depth = before[np.isclose(before[:, 2], point[2], rtol=1e-6)]
        off = np.abs(same_depth[:, :2] - point[:2])
        assert (off <= half * 1.001).all(axis=1).any()


def test_a_way_that_does_not_exist():
    with pytest.raises(InputError, match="depth_resize: found 'splat'; expected one of"):
        TRANSFORMS.build(dict(RESIZE, depth_resize='splat'))
