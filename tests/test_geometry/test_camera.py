"""pandepth_mm.geometry.camera against brute force, cv2 and real calibration."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.camera import (
    back_project,
    crop_intrinsics,
    flip_intrinsics,
    fold_projection,
    nearest_indices,
    points_to_depth,
    project,
    resize_intrinsics,
    resize_nearest,
    transform_points,
)

KITTI = Path(__file__).parents[2] / '..' / 'shared' / 'data' / 'kitti_object_000000'
VKITTI_K = np.array([[725.0087, 0, 620.5], [0, 725.0087, 187], [0, 0, 1]])


@pytest.fixture
def points():
    rng = np.random.default_rng(0)
    return rng.uniform([-8, -2, 4], [8, 2, 60], (200, 3))


def random_sparse(rng, shape, fraction):
    depth = rng.uniform(2, 80, shape).astype(np.float32)
    return np.where(rng.random(shape) < fraction, depth, 0)


def test_project_inverts_back_project():
    rng = np.random.default_rng(1)
    depth = random_sparse(rng, (37, 124), 0.1)
    k = np.array([[70.0, 1.5, 61.2], [0, 75, 18.4], [0, 0, 1]])
    uv, z = project(back_project(depth, k), k)
    v, u = np.nonzero(depth)  # raster order
    np.testing.assert_allclose(uv, np.stack([u, v], -1), atol=1e-4)
    np.testing.assert_allclose(z, depth[v, u], rtol=1e-6)


def test_back_project_by_hand():
    depth = np.zeros((375, 1242), np.float32)
    depth[187, 1242 - 1] = 10
    point = back_project(depth, VKITTI_K)
    assert point.dtype == np.float32
    # (1241 - 620.5) / 725.0087 * 10 m to the right, at the camera's height
    np.testing.assert_allclose(point, [[8.558518, 0, 10]], atol=1e-5)


def test_points_behind_the_camera_have_no_pixel():
    uv, z = project(np.array([[1.0, 2, -5], [0, 0, 0], [0, 0, 2]]), VKITTI_K)
    assert np.isnan(uv[:2]).all() and uv[2].tolist() == [620.5, 187]
    assert z.tolist() == [-5, 0, 2]


def test_resized_intrinsics(points):
    scale = (1000 / 1242, 200 / 375)
    k = resize_intrinsics(VKITTI_K, scale)
    # the center of the image stays the center: cx = (w - 1) / 2
    assert k[0, 2] == pytest.approx(499.5) and k[0, 0] == pytest.approx(725.0087 * scale[0])
    before, after = project(points, VKITTI_K)[0], project(points, k)[0]
    np.testing.assert_allclose(after, (before + 0.5) * scale - 0.5)


def test_flipped_intrinsics(points):
    k = VKITTI_K.copy()
    k[:2, 2] = 600, 180  # off the center
    k[0, 1] = 3  # skew
    flipped = flip_intrinsics(k, 1242)
    assert flipped[0, 0] == k[0, 0] and flipped[0, 2] == 1241 - 600
    before, after = project(points, k)[0], project(points * [-1, 1, 1], flipped)[0]
    np.testing.assert_allclose(after[:, 0], 1241 - before[:, 0])
    np.testing.assert_allclose(after[:, 1], before[:, 1])


def test_cropped_intrinsics(points):
    k = crop_intrinsics(VKITTI_K, left=100, top=-7)
    np.testing.assert_allclose(project(points, k)[0], project(points, VKITTI_K)[0] - [100, -7])
    assert VKITTI_K[0, 2] == 620.5  # the argument is untouched


def test_fold_projection_on_real_calibration():
    if not KITTI.is_dir():
        pytest.skip(f'no {KITTI}')
    rows = dict(
        line.split(':', 1)
        for line in (KITTI / 'calib_000000.txt').read_text().splitlines()
        if ':' in line
    )
    p2 = np.array(rows['P2'].split(), dtype=float).reshape(3, 4)
    r0 = np.array(rows['R0_rect'].split(), dtype=float).reshape(3, 3)
    velo = np.array(rows['Tr_velo_to_cam'].split(), dtype=float).reshape(3, 4)
    scan = np.fromfile(KITTI / 'velodyne_000000.bin', '<f4').reshape(-1, 4)
    rect = (scan[:, :3] @ velo[:, :3].T + velo[:, 3]) @ r0.T
    image = np.c_[rect, np.ones(len(rect))] @ p2.T
    front = image[:, 2] > 0.1
    expected = image[front, :2] / image[front, 2:]

    cam2img, shift = fold_projection(p2)
    uv, z = project(rect[front] + shift, cam2img)
    assert len(uv) > 10000
    assert np.abs(uv - expected).max() < 0.01
    np.testing.assert_allclose(z, image[front, 2])
    # the fourth column matters: without it the pixels are others
    inside = ((expected >= 0) & (expected < [1224, 370])).all(1)
    unfolded = project(rect[front], cam2img)[0]
    off = np.linalg.norm(unfolded - expected, axis=1)[inside]
    assert np.median(off) > 2


def test_fold_projection_normalizes_scale():
    p = np.c_[VKITTI_K, [45.0, -3, 0.005]]
    cam2img, shift = fold_projection(2 * p)
    np.testing.assert_allclose(cam2img, VKITTI_K)
    np.testing.assert_allclose(cam2img @ shift, p[:, 3])


@pytest.mark.parametrize('bad', [np.eye(3), np.zeros((3, 4)), np.arange(12.0).reshape(3, 4)])
def test_fold_projection_refuses_what_is_no_camera(bad):
    with pytest.raises(InputError, match='projection'):
        fold_projection(bad)


@pytest.mark.parametrize(
    'source, target', [(375, 200), (1242, 1000), (7, 3), (3, 7), (5, 10), (10, 5), (4, 4)]
)
def test_nearest_takes_the_pixel_whose_center_is_nearest(source, target):
    centers = (np.arange(target) + 0.5) * source / target - 0.5
    taken = nearest_indices(source, target)
    distance = np.abs(centers[:, None] - np.arange(source))
    np.testing.assert_allclose(np.abs(centers - taken), distance.min(axis=1), atol=1e-9)
    # as cv2's exact one, which works in fixed point: 1/100 pixel beside it
    row = np.arange(source, dtype=np.float32)[None]
    exact = cv2.resize(row, (target, 1), interpolation=cv2.INTER_NEAREST_EXACT)[0]
    np.testing.assert_allclose(np.abs(centers - exact), distance.min(axis=1), atol=0.01)


def test_cv2_default_nearest_is_not_center_aligned():
    """The reason for `nearest_indices`."""
    row = np.arange(375, dtype=np.float32)[None]
    corner = cv2.resize(row, (200, 1), interpolation=cv2.INTER_NEAREST)[0]
    assert (corner != nearest_indices(375, 200)).mean() > 0.5


def test_resize_nearest_keeps_density_and_values():
    rng = np.random.default_rng(2)
    depth = random_sparse(rng, (375, 1242), 0.05)
    resized = resize_nearest(depth, (200, 1000))
    assert resized.shape == (200, 1000) and resized.dtype == depth.dtype
    assert np.isin(resized, depth).all()
    assert (resized > 0).mean() == pytest.approx(0.05, abs=0.003)
    stack = resize_nearest(np.stack([depth, 2 * depth]), (200, 1000))
    np.testing.assert_array_equal(stack[1], 2 * resized)


@pytest.mark.parametrize('size', [(200, 1000), (60, 400), (375, 1242)])
@pytest.mark.parametrize('flip', [False, True])
def test_points_stay_in_place_through_resize_and_flip(size, flip):
    """Back-projection with the updated intrinsics: same 3D place, up to half
    a source pixel."""
    rng = np.random.default_rng(3)
    depth = random_sparse(rng, (375, 1242), 0.05)
    # values that tell the points apart
    depth[depth > 0] = rng.permutation((depth > 0).sum()) * 1e-3 + 5
    resized = resize_nearest(depth, size)
    k = resize_intrinsics(VKITTI_K, (size[1] / 1242, size[0] / 375))
    if flip:
        resized, k = resized[:, ::-1], flip_intrinsics(k, size[1])
    before, after = back_project(depth, VKITTI_K), back_project(resized, k)
    if flip:
        after = after * [-1, 1, 1]
    place = {point[2]: point for point in before}
    assert len(after) > 1000
    origin = np.stack([place[z] for z in after[:, 2]])
    pixels = np.abs(after - origin)[:, :2] * 725.0087 / after[:, 2:]
    assert pixels.max() <= 0.5 + 1e-3
    if size == (375, 1242):
        assert pixels.max() < 1e-3


def test_points_to_depth_against_a_loop(points):
    points = np.r_[points, points * 1.5, -points, [[0, 0, 0.0]]]
    cam2img = np.array([[40.0, 0.5, 31.5], [0, 42, 15.5], [0, 0, 1]])
    expected = np.zeros((32, 64), np.float32)
    for x, y, z in points:
        if z <= 0:
            continue
        u = (40 * x + 0.5 * y) / z + 31.5
        v = 42 * y / z + 15.5
        col, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
        if 0 <= col < 64 and 0 <= row < 32 and (expected[row, col] == 0 or z < expected[row, col]):
            expected[row, col] = z
    found = points_to_depth(points, cam2img, (32, 64))
    assert found.dtype == np.float32 and (found > 0).sum() > 50
    np.testing.assert_array_equal(found, expected)
    assert not points_to_depth(np.zeros((0, 3)), cam2img, (32, 64)).any()


def test_points_to_depth_reverses_back_projection():
    depth = random_sparse(np.random.default_rng(3), (375, 1242), 0.05)
    points = back_project(depth, VKITTI_K)
    np.testing.assert_allclose(points_to_depth(points, VKITTI_K, depth.shape), depth, rtol=1e-6)


def test_transform_points_is_a_homogeneous_product(points):
    transform = np.eye(4)
    transform[:3] = np.random.default_rng(4).normal(size=(3, 4))
    expected = (np.c_[points, np.ones(len(points))] @ transform.T)[:, :3]
    np.testing.assert_allclose(transform_points(points, transform), expected)
