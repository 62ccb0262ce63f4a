"""The planar fill against SciPy, against all Delaunay triangles, and on planes."""

from itertools import combinations

import numpy as np
import pytest
from scipy.interpolate import LinearNDInterpolator
from scipy.spatial import Delaunay

from pandepth_mm.evaluation.functional import nearest_fill, planar_fill


def sparse_map(shape, num_points, seed=0):
    rng = np.random.default_rng(seed)
    sparse = np.zeros(shape, np.float32)
    sparse.ravel()[rng.permutation(sparse.size)[:num_points]] = rng.uniform(1, 80, num_points)
    return sparse


def in_circle(a, b, c, p):
    """0 if p is on the circle through a, b and c; else its sign says inside or outside."""
    columns = np.stack([(*(q - p), (q - p) @ (q - p)) for q in (a, b, c)])
    return round(np.linalg.det(columns.astype(np.float64)))


@pytest.mark.parametrize('shape', [(375, 1242), (1242, 375), (90, 120)])
def test_equals_scipy(shape):
    sparse = sparse_map(shape, 900)
    points = np.argwhere(sparse > 0)
    triangles = Delaunay(points)
    expected = 1 / LinearNDInterpolator(triangles, 1 / sparse[sparse > 0].astype(np.float64))(
        *np.indices(shape)
    )
    # a corner beyond one of the sides on the same circle: Delaunay either way
    unique = np.ones(len(triangles.simplices), bool)
    for t, neighbors in enumerate(triangles.neighbors):
        for n in neighbors[neighbors >= 0]:
            (beyond,) = set(triangles.simplices[n]) - set(triangles.simplices[t])
            if in_circle(*points[triangles.simplices[t]], points[beyond]) == 0:
                unique[t] = False
    inside = np.isfinite(expected)
    compared = inside & unique[triangles.find_simplex(np.indices(shape).T)].T
    assert compared.sum() > 0.8 * inside.sum()

    filled = planar_fill(sparse)
    np.testing.assert_allclose(filled[compared], expected[compared], rtol=1e-6)
    np.testing.assert_array_equal(filled[~inside], nearest_fill(sparse)[~inside])


@pytest.mark.parametrize(
    ('shape', 'num_points'), [((12, 17), 3), ((12, 17), 9), ((9, 9), 25), ((3, 300), 12)]
)
@pytest.mark.parametrize('seed', range(3))
def test_each_pixel_is_on_a_delaunay_triangle(shape, num_points, seed):
    sparse = sparse_map(shape, num_points, seed)
    points = np.argwhere(sparse > 0)
    pixels = np.argwhere(np.ones(shape, bool))
    filled = planar_fill(sparse).ravel()
    covered, right = np.zeros((2, len(pixels)), bool)
    for corners in combinations(points, 3):
        sides = np.array([corners[1] - corners[0], corners[2] - corners[0]])
        area = round(np.linalg.det(sides.astype(np.float64)))
        if area == 0 or any(in_circle(*corners, p) * area > 0 for p in points):
            continue
        shares = (pixels - corners[0]) @ np.linalg.inv(sides)
        shares = np.column_stack([1 - shares.sum(axis=1), shares])
        inside = (shares > -1e-9).all(axis=1)
        values = shares @ [1 / sparse[tuple(c)] for c in corners]
        covered |= inside
        right |= inside & np.isclose(filled * values, 1, rtol=1e-5)
    assert covered.sum() > num_points
    np.testing.assert_array_equal(right, covered)
    np.testing.assert_array_equal(filled[~covered], nearest_fill(sparse).ravel()[~covered])


def test_restores_a_slanted_plane():
    # 3 X + 8 Y + 8 Z = 20 m in camera coordinates
    height, width, focal = 60, 80, 70.0
    v, u = np.indices((height, width))
    plane = 20 / (3 * (u - 40) / focal + 8 * (v - 20) / focal + 8)
    sparse = np.where(np.random.default_rng(1).random(plane.shape) < 0.05, plane, 0)
    sparse[[0, 0, -1, -1], [0, -1, 0, -1]] = plane[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_allclose(planar_fill(sparse), plane, rtol=2e-7)


@pytest.mark.parametrize(
    'pixels',
    [[(3, 4)], [(3, 4), (8, 1)], [(0, 0), (3, 4), (9, 12)], [(5, 0), (5, 7), (5, 19)]],
    ids=['one', 'two', 'on a slanted line', 'in a row'],
)
def test_without_a_triangle_the_nearest_counts(pixels):
    sparse = np.zeros((10, 20), np.float32)
    for depth, pixel in enumerate(pixels, 5):
        sparse[pixel] = depth
    np.testing.assert_array_equal(planar_fill(sparse), nearest_fill(sparse))


def test_measurements_stay():
    sparse = sparse_map((50, 70), 800)
    measured = sparse > 0
    np.testing.assert_array_equal(planar_fill(sparse)[measured], sparse[measured])
