"""Planes between measurements; tests/test_evaluation/test_planar_fill.py compares with SciPy."""

import numpy as np

from pandepth_mm.geometry.planes import interpolate_planes


def test_a_plane_comes_back_within_the_hull_and_nothing_outside():
    rows, columns = np.indices((30, 50))
    plane = (1 / (0.02 + 0.002 * rows + 0.001 * columns)).astype(np.float32)
    sparse = np.zeros_like(plane)
    for row, column in ((5, 10), (5, 40), (25, 10), (25, 40)):
        sparse[row, column] = plane[row, column]
    filled = interpolate_planes(sparse)
    inside = (rows >= 5) & (rows <= 25) & (columns >= 10) & (columns <= 40)
    np.testing.assert_allclose(filled[inside], plane[inside], rtol=1e-6)
    assert not filled[~inside].any()


def test_measurements_on_a_line_have_no_plane():
    sparse = np.zeros((10, 10), np.float32)
    sparse[3, [2, 5, 7]] = 10, 20, 30
    np.testing.assert_array_equal(interpolate_planes(sparse), sparse)
