"""Depth errors by hand and by loops; properties of the fills."""
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pandepth_mm.evaluation.functional import (
    MIN_DEPTH,
    ROW,
    classical_fill,
    depth_row,
    depth_summary,
    nearest_fill,
    resize_bilinear,
)


def row_dict(*args, **kwargs):
    return dict(zip(ROW, depth_row(*args, **kwargs).tolist(), strict=True))


def test_worked_example():
    # errors: +10 m at 10 m, -5 m at 10 m, 0 at 4 m; one pixel without truth
    gt = np.array([[10, 10], [0, 4]], np.float32)
    pred = np.array([[20, 5], [77, 4]], np.float32)
    row = row_dict(gt, pred)
    assert row['n_valid'] == 3
    assert row['n_clamped'] == 0
    assert row['mae'] == pytest.approx(5000)  # (10 + 5 + 0) / 3 m
    assert row['rmse'] == pytest.approx(6454.9722437)  # sqrt(125 / 3) m
    # inverse: 50 - 100, 200 - 100, 0 in 1/km
    assert row['imae'] == pytest.approx(50)
    assert row['irmse'] == pytest.approx(64.549722437)
    assert row['absrel'] == pytest.approx(0.5)  # (1 + 0.5 + 0) / 3
    # logs: ln 2, -ln 2, 0: mean 0, so the root of 2/3 ln(2)^2
    assert row['silog'] == pytest.approx(100 * math.sqrt(2 / 3) * math.log(2))


def test_equals_plain_loops():
    rng = np.random.default_rng(0)
    rows, pooled, clamped = [], [], 0
    loops = []
    for _ in range(5):
        gt = rng.uniform(0.5, 80, (12, 17)).astype(np.float32)
        gt[rng.random(gt.shape) < 0.8] = 0
        pred = (gt + rng.normal(0, 3, gt.shape)).astype(np.float32)
        pred[rng.random(gt.shape) < 0.05] = np.nan
        rows.append(depth_row(gt, pred))
        d2 = d1 = i2 = i1 = rel = n = 0.0
        logs = []
        for g, p in zip(gt.ravel().tolist(), pred.ravel().tolist(),
                        strict=True):
            if g <= 0:
                continue
            if not (math.isfinite(p) and p >= MIN_DEPTH):
                p = MIN_DEPTH
                clamped += 1
            n += 1
            d2 += (p - g)**2
            d1 += abs(p - g)
            i2 += (1 / p - 1 / g)**2
            i1 += abs(1 / p - 1 / g)
            rel += abs(p - g) / g
            logs.append(math.log(p) - math.log(g))
            pooled.append((p - g)**2)
        mean = sum(logs) / n
        silog = 100 * math.sqrt(sum(x * x for x in logs) / n - mean * mean)
        loops.append((1000 * math.sqrt(d2 / n), 1000 * d1 / n,
                      1000 * math.sqrt(i2 / n), 1000 * i1 / n, rel / n, silog))
    summary = depth_summary(np.array(rows))
    names = ('rmse', 'mae', 'irmse', 'imae', 'absrel', 'silog')
    for name, values in zip(names, zip(*loops, strict=True), strict=True):
        assert summary[name] == pytest.approx(sum(values) / 5, rel=1e-9)
    assert summary['rmse_pooled'] == pytest.approx(
        1000 * math.sqrt(sum(pooled) / len(pooled)), rel=1e-9)
    assert summary['n_clamped'] == clamped > 0
    assert summary['rmse_pooled'] != pytest.approx(summary['rmse'], rel=1e-6)


@pytest.mark.parametrize('bad', [0, -3, np.nan, np.inf, -np.inf, 1e-4])
def test_broken_predictions_are_counted_and_cost(bad):
    gt = np.array([[10, 10, 0]], np.float32)
    pred = np.array([[10, bad, bad]], np.float32)
    row = row_dict(gt, pred)
    assert row['n_valid'] == 2
    assert row['n_clamped'] == 1  # the one without ground truth is no matter
    assert row['mae'] == pytest.approx(500 * (10 - MIN_DEPTH))
    assert row['imae'] == pytest.approx(500 * (256 - 0.1))


def test_perfect_prediction():
    gt = np.array([[3, 0, 80]], np.float32)
    row = depth_row(gt, np.where(gt > 0, gt, 1))
    np.testing.assert_array_equal(row, [2, 0, 0, 0, 0, 0, 0, 0])


def test_images_without_ground_truth_are_left_out():
    gt = np.array([[10.0]])
    rows = [depth_row(gt, gt + 1), depth_row(gt * 0, gt), depth_row(gt, gt)]
    summary = depth_summary(np.array(rows))
    assert summary['rmse'] == 500
    assert summary['rmse_pooled'] == pytest.approx(1000 * math.sqrt(0.5))
    assert summary['n_images_without_gt'] == 1
    nothing = depth_summary(np.array(rows[1:2]))
    assert np.isnan(nothing['rmse']) and np.isnan(nothing['rmse_pooled'])
    assert nothing['n_images_without_gt'] == 1


def test_max_depth_selects_ground_truth_only():
    gt = np.array([[10, 60]], np.float32)
    pred = np.array([[100, 60]], np.float32)
    row = row_dict(gt, pred, max_depth=50)
    assert row['n_valid'] == 1
    assert row['mae'] == pytest.approx(90_000)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match='shape'):
        depth_row(np.ones((2, 2)), np.ones((2, 3)))


def sparse_scene(shape, density, seed=0):
    """A ground plane with two boxes, and a share of its pixels."""
    h, w = shape
    rng = np.random.default_rng(seed)
    rows = np.arange(h, dtype=np.float32)[:, None]
    dense = np.broadcast_to(60 - 50 * rows / max(h - 1, 1), (h, w)).copy()
    dense[h // 3:h // 2, w // 4:w // 2] = 9
    dense[h // 2:, 3 * w // 4:] = 4
    return dense, np.where(rng.random(shape) < density, dense, 0)


def test_nearest_fill_equals_brute_force():
    _, sparse = sparse_scene((23, 31), 0.05)
    filled = nearest_fill(sparse)
    points = np.argwhere(sparse > 0)
    for r, c in np.ndindex(sparse.shape):
        squared = ((points - (r, c))**2).sum(axis=1)
        nearest = points[squared == squared.min()]
        assert filled[r, c] in sparse[tuple(nearest.T)]
    np.testing.assert_array_equal(filled[sparse > 0], sparse[sparse > 0])


@pytest.mark.parametrize('fill', [nearest_fill, classical_fill])
@pytest.mark.parametrize('shape', [(200, 1000), (64, 208), (40, 7), (1, 1),
                                   (1, 50), (3, 2)])
def test_fills_are_dense_and_in_range(fill, shape):
    _, sparse = sparse_scene(shape, 0.05)
    sparse[shape[0] // 2, shape[1] // 2] = 5
    before = sparse.copy()
    dense = fill(sparse)
    np.testing.assert_array_equal(sparse, before)
    assert dense.shape == shape
    assert dense.dtype == np.float32
    valid = sparse[sparse > 0]
    assert dense.min() >= valid.min()
    assert dense.max() <= valid.max()


@pytest.mark.parametrize('fill', [nearest_fill, classical_fill])
def test_fills_special_inputs(fill):
    assert not fill(np.zeros((5, 9), np.float32)).any()
    one = np.zeros((90, 200), np.float32)
    one[80, 3] = 12.5
    np.testing.assert_array_equal(fill(one), np.full_like(one, 12.5))
    np.testing.assert_allclose(
        fill(np.full((20, 30), 7.25, np.float32)), 7.25, rtol=1e-6)


def test_fills_come_close_to_a_smooth_scene():
    dense, sparse = sparse_scene((200, 1000), 0.05)
    flat = depth_row(dense, np.full_like(dense, dense.mean()))
    for fill in (nearest_fill, classical_fill):
        row = depth_row(dense, fill(sparse))
        assert row[ROW.index('mae')] < 0.1 * flat[ROW.index('mae')]


def test_classical_fill_lets_near_surfaces_win():
    # a near and a far point: the diamonds of both reach column 21, which is
    # closer to the far one
    sparse = np.zeros((41, 41), np.float32)
    sparse[20, 19] = 5
    sparse[20, 22] = 50
    assert nearest_fill(sparse)[20, 21] == 50
    filled = classical_fill(sparse)
    assert filled[20, 21] < 27.5 < filled[20, 23]  # blurred between
    assert filled[20, 5] == pytest.approx(5)


def test_classical_fill_extends_columns_to_the_top():
    sparse = np.zeros((120, 60), np.float32)
    sparse[60:, :30] = 10
    sparse[80:, 30:] = 20
    filled = classical_fill(sparse)
    # far above the reach of the 31 x 31 kernel (15 pixels)
    np.testing.assert_allclose(filled[:40, :20], 10)
    np.testing.assert_allclose(filled[:40, 40:], 20)


@pytest.mark.parametrize(('source', 'target'),
                         [((20, 30), (37, 91)), ((40, 50), (13, 21)),
                          ((8, 8), (8, 8)), ((200, 1000), (375, 1242))])
def test_resize_equals_torch(source, target):
    depth = np.random.default_rng(0).uniform(1, 80, source)
    depth = depth.astype(np.float32)
    expected = F.interpolate(
        torch.from_numpy(depth)[None, None], target, mode='bilinear',
        align_corners=False)[0, 0].numpy()
    # float32 weights on differences of up to 79 m
    np.testing.assert_allclose(
        resize_bilinear(depth, target), expected, atol=5e-3)
    assert resize_bilinear(depth, target).dtype == np.float32
