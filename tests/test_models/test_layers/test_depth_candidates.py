"""Guesses of depth without weights, against direct sums, numpy and brute force."""

import numpy as np
import pytest
import torch

from pandepth_mm.models.layers.depth_candidates import (
    NUM_CANDIDATES,
    PLANE_FITS,
    PlaneFit,
    _gather,
    _solve,
    cell_moments,
    coarser_moments,
    depth_candidates,
    extreme_fill,
    plane_fill,
    smooth_fill,
)

KERNEL = (0.5, 1.0, 0.5)


def random_sparse(size=(26, 36), density=0.1, seed=0, batch=1, least=2.0, most=60.0):
    rng = np.random.default_rng(seed)
    depth = rng.uniform(least, most, (batch, 1, *size))
    depth[rng.random(depth.shape) >= density] = 0
    return torch.from_numpy(depth.astype(np.float32))


def pyramid_of(sparse):
    levels = [cell_moments(sparse)]
    while max(levels[-1].shape[-2:]) > 1:
        levels.append(coarser_moments(levels[-1]))
    return levels


def measurements(sparse):
    """Rows, columns and inverse depths of the first image."""
    depth = sparse[0, 0].double().numpy()
    rows, cols = np.nonzero(depth)
    return rows, cols, 1 / depth[rows, cols]


def candidates(sparse, default=10.0, least=0.5, most=80.0):
    return depth_candidates(sparse, torch.full((len(sparse),), default), least, most)


# ---- sums


@pytest.mark.parametrize('level', range(6))
def test_moments_are_direct_sums(level):
    """26 x 36: levels 1 and later have odd sides, the last is one cell."""
    sparse = random_sparse(density=0.3)
    moments = pyramid_of(sparse.double())[level][0].numpy()
    side = 2 ** (level + 1)
    rows, cols, q = measurements(sparse)
    expected = np.zeros_like(moments)
    for row, col, value in zip(rows, cols, q, strict=True):
        i, j = row // side, col // side
        x, y = (col + 0.5) / side - j - 0.5, (row + 0.5) / side - i - 0.5
        expected[:, i, j] += [1, x, y, x * x, x * y, y * y, value, x * value, y * value]
    np.testing.assert_allclose(moments, expected, atol=1e-10)


@pytest.mark.parametrize('level', range(5))
@pytest.mark.parametrize('ridge', [fit.ridge for fit in PLANE_FITS])
def test_planes_are_least_squares(level, ridge):
    """The ridge is a penalty of the slopes, in units of the weight of all measurements."""
    sparse = random_sparse(density=0.3)
    planes = _solve(_gather(pyramid_of(sparse)[level]), ridge)[0].numpy()
    side = 2 ** (level + 1)
    rows, cols, q = measurements(sparse)
    compared = 0
    for i in range(planes.shape[1]):
        for j in range(planes.shape[2]):
            # the weight is that of the measurement's cell, not of its distance
            steps = np.stack([rows // side - i, cols // side - j])
            near = (abs(steps) <= 1).all(axis=0)
            if not near.any():
                assert (planes[:, i, j] == 0).all()
                continue
            weight = np.prod(np.take(KERNEL, steps[:, near] + 1), axis=0)
            x = (cols[near] + 0.5) / side - j - 0.5
            y = (rows[near] + 0.5) / side - i - 0.5
            lines = np.stack([x, y, np.ones_like(x)], axis=1) * np.sqrt(weight)[:, None]
            # about the weighted mean, which the penalty does not touch
            penalty = np.sqrt(weight.sum() * ridge) * np.eye(3)[:2]
            right = np.concatenate([q[near] * np.sqrt(weight), [0, 0]])
            expected = np.linalg.lstsq(np.concatenate([lines, penalty]), right, rcond=None)[0]
            np.testing.assert_allclose(planes[:, i, j], expected, atol=2e-4)
            compared += 1
    assert compared > 0


# ---- planes in space


def plane_depth(size, normal, offset, focal=60.0):
    """Depth of the plane n x = offset in a pinhole camera."""
    rows, cols = np.mgrid[: size[0], : size[1]]
    rays = np.stack(
        [(cols - size[1] / 2) / focal, (rows - size[0] / 2) / focal, np.ones(size)], axis=-1
    )
    depth = offset / (rays @ np.asarray(normal))
    assert depth.min() > 0
    return torch.from_numpy(depth.astype(np.float32))[None, None]


@pytest.mark.parametrize('normal', [(0.1, 0.4, 0.6), (-0.3, 0.1, 0.6), (0.0, 0.0, 1.0)])
def test_plane_in_space_is_recovered(normal):
    """From one pixel of twenty; the fit that trusts slopes is 2 % off inside, mostly 0.2 %."""
    truth = plane_depth((64, 96), normal, 5.0)
    sparse = torch.where(random_sparse((64, 96), 0.05) > 0, truth, 0.0)
    inverse = plane_fill(pyramid_of(sparse), (64, 96), PLANE_FITS[1])
    # beside the border the planes of the outermost cells are not extrapolated
    error = (inverse * truth - 1).abs()[..., 8:-8, 8:-8]
    assert error.max() < 0.02
    assert error.median() < 2e-3
    # what bounds it is the ridge
    exact = plane_fill(pyramid_of(sparse.double()), (64, 96), PlaneFit(5.0, 1e-9))
    assert (exact * truth - 1).abs()[..., 16:-16, 16:-16].median() < 1e-4


def test_dense_plane_is_exact_without_ridge():
    truth = plane_depth((32, 48), (0.1, 0.4, 0.6), 5.0).double()
    inverse = plane_fill(pyramid_of(truth), (32, 48), PlaneFit(5.0, 1e-9))
    torch.testing.assert_close(
        inverse[..., 2:-2, 2:-2], 1 / truth[..., 2:-2, 2:-2], rtol=1e-5, atol=0
    )


def test_scale_of_depth_is_free():
    """A scene ten times as far gives planes ten times as far, in float32."""
    sparse = random_sparse(density=0.05)
    near, far = (
        torch.cat([plane_fill(pyramid_of(sparse * scale), (26, 36), fit) for fit in PLANE_FITS])
        * scale
        for scale in (0.3, 300.0)
    )
    torch.testing.assert_close(near, far, rtol=1e-4, atol=1e-5)


# ---- fills by brute force


def cells_of(values, side, reduce):
    """Values of cells ``side`` times as large, their last ones partial."""
    height, width = (-(-n // side) for n in values.shape)
    blocks = [
        [values[i * side : (i + 1) * side, j * side : (j + 1) * side] for j in range(width)]
        for i in range(height)
    ]
    return np.array([[reduce(block) for block in row] for row in blocks])


def around(values, i, j):
    """(value, binomial weight) of the 3x3 cells around one."""
    for y in (-1, 0, 1):
        for x in (-1, 0, 1):
            if 0 <= i + y < values.shape[0] and 0 <= j + x < values.shape[1]:
                yield values[i + y, j + x], KERNEL[y + 1] * KERNEL[x + 1]


def coarse_value(coarse, i, j):
    """Bilinear value of a coarser map at a cell of half its side, clamped at the border."""
    y, x = ((n + 0.5) / 2 - 0.5 for n in (i, j))
    total = 0
    for row in (int(np.floor(y)), int(np.floor(y)) + 1):
        for col in (int(np.floor(x)), int(np.floor(x)) + 1):
            weight = (1 - abs(y - row)) * (1 - abs(x - col))
            inside = [min(max(k, 0), n - 1) for k, n in zip((row, col), coarse.shape, strict=True)]
            total += weight * coarse[tuple(inside)]
    return total


@pytest.mark.parametrize('density', [0.02, 0.3])
def test_smooth_fill_by_brute_force(density):
    rng = np.random.default_rng(0)
    weights = (rng.random((7, 10)) < density).astype(float)
    weights[2, 3] = 2
    sums = weights * rng.uniform(0, 4, weights.shape)
    fill = None
    for side in (16, 8, 4, 2, 1):
        w, s = (cells_of(v, side, np.sum) for v in (weights, sums))
        level = np.zeros_like(w)
        for i, j in np.ndindex(w.shape):
            weight = sum(value * k for value, k in around(w, i, j))
            mean = sum(value * k for value, k in around(s, i, j)) / max(weight, 1e-6)
            if fill is not None:  # the share of the own mean is the weight, at most 1
                coarse = coarse_value(fill, i, j)
                mean = coarse + (mean - coarse) * min(weight, 1)
            level[i, j] = mean
        fill = level
    found = smooth_fill(*(torch.from_numpy(v)[None, None] for v in (sums, weights)))
    np.testing.assert_allclose(found[0, 0].numpy(), fill, atol=1e-10)


@pytest.mark.parametrize('density', [0.02, 0.3])
def test_extremes_by_brute_force(density):
    rng = np.random.default_rng(1)
    depth = rng.uniform(1, 80, (13, 18)) * (rng.random((13, 18)) < density)
    depth[5, 7], depth[12, 0] = 20.0, 30.0
    least, greatest = (np.zeros_like(depth) for _ in range(2))
    for i, j in np.ndindex(depth.shape):
        for level in range(6):
            size = 2**level
            top, left = (i // size - 1) * size, (j // size - 1) * size
            window = depth[max(top, 0) : top + 3 * size, max(left, 0) : left + 3 * size]
            if (window > 0).sum() >= 2:
                least[i, j], greatest[i, j] = window[window > 0].min(), window.max()
                break
    found = extreme_fill(torch.from_numpy(depth)[None, None])
    assert (least > 0).all()
    np.testing.assert_allclose(found[0][0, 0].numpy(), least, rtol=1e-9)
    np.testing.assert_allclose(found[1][0, 0].numpy(), greatest, rtol=1e-9)


def test_extremes_of_one_and_of_none():
    depth = torch.zeros(2, 1, 6, 9)
    depth[1, 0, 4, 7] = 12.0
    least, greatest = extreme_fill(depth)
    assert (least[0] == 0).all() and (greatest[0] == 0).all()
    torch.testing.assert_close(least[1], torch.full((1, 6, 9), 12.0))
    assert (greatest[1] == 12).all()


# ---- all together


def test_shapes_and_bounds():
    sparse = random_sparse((64, 96), batch=2)
    result = candidates(sparse)
    assert result.log_depth.shape == (2, NUM_CANDIDATES, 64, 96)
    assert result.weight.shape == (2, 1, 32, 48)
    assert result.known.flatten().tolist() == [True, True]
    assert torch.equal(result.measured, sparse > 0)
    depth = result.log_depth.exp()
    assert depth.min() > 0.499 and depth.max() < 80.01
    # the fills stay within the measurements, extremes enclose what they are of
    smooth, _, _, nearest, least, greatest = depth.unbind(1)
    for fill in (smooth, nearest, least, greatest):
        assert fill.min() > sparse[sparse > 0].min() - 1e-3
        assert fill.max() < sparse.max() + 1e-3
    assert (least <= greatest + 1e-4).all()
    measured = sparse[:, 0] > 0
    torch.testing.assert_close(nearest[measured], sparse[:, 0][measured])


def test_nearest_guess_by_brute_force():
    """Of the cells of 2x2, whose value is their nearest depth."""
    sparse = random_sparse((16, 20), 0.05)
    cells = cells_of(sparse[0, 0].numpy(), 2, lambda b: b[b > 0].min() if b.any() else 0)
    found = candidates(sparse).log_depth[0, 3].exp().numpy()
    spots = np.argwhere(cells)
    for i, j in np.ndindex(16, 20):
        if sparse[0, 0, i, j]:
            continue
        distance = ((spots - (i // 2, j // 2)) ** 2).sum(axis=1)
        equally_near = spots[distance == distance.min()]
        assert np.isclose(found[i, j], cells[tuple(equally_near.T)], rtol=1e-5).any()


def test_without_a_measurement_every_guess_is_the_default():
    sparse = random_sparse((32, 32), batch=2)
    sparse[0] = 0
    result = depth_candidates(sparse, torch.tensor([7.0, 9.0]), 0.5, 80.0)
    torch.testing.assert_close(result.log_depth[0].exp(), torch.full((6, 32, 32), 7.0))
    assert result.known.flatten().tolist() == [False, True]
    assert not result.measured[0].any() and (result.weight[0] == 0).all()


@pytest.mark.parametrize('place', [(0, 0), (31, 63), (13, 22)])
def test_one_measurement_is_every_guess(place):
    sparse = torch.zeros(1, 1, 32, 64)
    sparse[0, 0, place[0], place[1]] = 17.0
    result = candidates(sparse)
    expected = torch.full((1, 6, 32, 64), 17.0).log()
    torch.testing.assert_close(result.log_depth, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    'depth', [1e-6, 0.5, 80.0], ids=['too near', 'at the least', 'at the greatest']
)
@pytest.mark.parametrize('density', [0.001, 1.0])
def test_never_nan(depth, density):
    sparse = random_sparse((64, 96), density, least=depth, most=depth)
    sparse[0, 0, 3, 5] = depth
    result = candidates(sparse)
    assert all(torch.isfinite(x).all() for x in result)
    expected = torch.full((1, 6, 64, 96), max(depth, 0.5)).log()
    torch.testing.assert_close(result.log_depth, expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize('least, most', [(0.5, 1.0), (70.0, 80.0)])
def test_float32_suffices(least, most):
    """Near and far, on a large image with every pixel measured."""
    sparse = random_sparse((192, 320), 1.0, least=least, most=most)
    single, double = (candidates(x).log_depth for x in (sparse, sparse.double()))
    torch.testing.assert_close(single, double.float(), rtol=0, atol=2e-3)


def test_other_images_do_not_matter():
    sparse = random_sparse((32, 64), batch=3)
    sparse[1] = 0
    together = candidates(sparse)
    for i in range(3):
        alone = candidates(sparse[i : i + 1])
        for a, b in zip(alone, together, strict=True):
            torch.testing.assert_close(a[0], b[i], rtol=1e-6, atol=1e-6)


def test_pattern_moves_with_the_image():
    """By a side of the coarsest cells that are used; far from the borders the guesses move too."""
    part = random_sparse((32, 32), 0.3)
    images = torch.zeros(2, 1, 96, 128)
    images[0, :, 32:64, 32:64] = part[0]
    images[1, :, 32:64, 64:96] = part[0]
    first, second = candidates(images).log_depth
    torch.testing.assert_close(first[:, 40:56, 40:56], second[:, 40:56, 72:88], rtol=0, atol=1e-3)


def test_no_gradient_reaches_the_input():
    sparse = random_sparse((32, 32)).requires_grad_()
    assert not candidates(sparse).log_depth.requires_grad
