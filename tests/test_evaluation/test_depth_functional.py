"""Depth errors by hand and by loops; properties of the fills."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pandepth_mm.evaluation.functional import (
    ERRORS,
    FILLS,
    MIN_DEPTH,
    ROW,
    classical_fill,
    depth_means,
    depth_pooled,
    depth_row,
    depth_summary,
    nearest_fill,
    resize_bilinear,
    seen_pixels,
)


def row_dict(*args, **kwargs):
    return dict(zip(ROW, depth_row(*args, **kwargs).tolist(), strict=True))


def test_worked_example():
    # errors: +10 m at 10 m, -5 m at 10 m, 0 at 4 m; one pixel without gt
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
    # (1 + 0.25 + 0) / 3; (100 / 10 + 25 / 10 + 0) / 3 m
    assert row['sqrel_kitti'] == pytest.approx(1.25 / 3)
    assert row['sqrel_eigen'] == pytest.approx(12.5 / 3)
    # logs: ln 2, -ln 2, 0: mean 0, so the root of 2/3 ln(2)^2
    assert row['silog'] == pytest.approx(100 * math.sqrt(2 / 3) * math.log(2))
    assert row['log_bias'] == pytest.approx(0)
    # ratios 2, 2, 1 against 1.25, 1.5625, 1.953125
    assert [row[f'delta{k}'] for k in (1, 2, 3)] == [1 / 3] * 3


@pytest.mark.parametrize(
    ('ratio', 'deltas'),
    [
        (1.2, [1, 1, 1]),
        (1.25, [0, 1, 1]),
        (1.5625, [0, 0, 1]),
        (1.9, [0, 0, 1]),
        (1.953125, [0, 0, 0]),
    ],
)
def test_delta_is_below_the_limit_on_both_sides(ratio, deltas):
    gt = np.array([[8.0]])
    for pred in (gt * ratio, gt / ratio):
        row = row_dict(gt, pred)
        assert [row[f'delta{k}'] for k in (1, 2, 3)] == deltas


def loop_errors(pairs):
    """Errors of (gt, prediction) pairs, one at a time."""
    d2 = d1 = i2 = i1 = rel = rel2 = eigen = n = 0
    logs, below, clamped = [], [0, 0, 0], 0
    for g, p in pairs:
        if not (math.isfinite(p) and p >= MIN_DEPTH):
            p = MIN_DEPTH
            clamped += 1
        n += 1
        d2 += (p - g) ** 2
        d1 += abs(p - g)
        i2 += (1 / p - 1 / g) ** 2
        i1 += abs(1 / p - 1 / g)
        rel += abs(p - g) / g
        rel2 += ((p - g) / g) ** 2
        eigen += (p - g) ** 2 / g
        logs.append(math.log(p / g))
        for k in range(3):
            below[k] += max(p / g, g / p) < 1.25 ** (k + 1)
    mean = sum(logs) / n
    return dict(
        rmse=1000 * math.sqrt(d2 / n),
        mae=1000 * d1 / n,
        irmse=1000 * math.sqrt(i2 / n),
        imae=1000 * i1 / n,
        absrel=rel / n,
        sqrel_kitti=rel2 / n,
        sqrel_eigen=eigen / n,
        silog=100 * math.sqrt(sum((x - mean) ** 2 for x in logs) / n),
        delta1=below[0] / n,
        delta2=below[1] / n,
        delta3=below[2] / n,
    ), clamped


def test_equals_plain_loops():
    rng = np.random.default_rng(0)
    rows, loops, everything, clamped = [], [], [], 0
    for density in (0.2, 0.5, 0.05, 0.9, 0.3):  # so that pooled is no mean
        gt = rng.uniform(0.5, 80, (12, 17)).astype(np.float32)
        gt[rng.random(gt.shape) > density] = 0
        pred = gt * rng.uniform(0.6, 1.4) + rng.normal(0, 3, gt.shape)
        pred = pred.astype(np.float32)
        pred[rng.random(gt.shape) < 0.05] = np.nan
        rows.append(depth_row(gt, pred))
        pairs = [
            (g, p) for g, p in zip(gt.ravel().tolist(), pred.ravel().tolist(), strict=True) if g > 0
        ]
        errors, broken = loop_errors(pairs)
        loops.append(errors)
        everything += pairs
        clamped += broken
    rows = np.array(rows)
    means, pooled = depth_means(rows), depth_pooled(rows)
    expected, _ = loop_errors(everything)
    assert tuple(means) == tuple(pooled) == ERRORS == tuple(expected)
    for name in ERRORS:
        mean = sum(errors[name] for errors in loops) / len(loops)
        assert means[name] == pytest.approx(mean, rel=1e-9), name
        assert pooled[name] == pytest.approx(expected[name], rel=1e-9), name
        assert pooled[name] != pytest.approx(means[name], rel=1e-6), name
    summary = depth_summary(rows)
    assert {**summary, **means} == summary
    assert summary['rmse_pooled'] == pooled['rmse']
    assert summary['n_clamped'] == clamped > 0


@pytest.mark.parametrize(
    ('network', 'shape'), [((4, 5), (9, 14)), ((9, 14), (4, 5)), ((6, 6), (6, 6)), ((1, 3), (5, 7))]
)
def test_seen_pixels_equals_a_loop(network, shape):
    sparse = np.random.default_rng(0).random(network)
    sparse[sparse < 0.6] = 0
    seen = seen_pixels(sparse, shape)
    assert seen.shape == shape
    for v, u in np.ndindex(shape):
        row = math.floor((v + 0.5) * network[0] / shape[0])
        column = math.floor((u + 0.5) * network[1] / shape[1])
        assert seen[v, u] == (sparse[row, column] > 0)


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
    row = row_dict(gt, np.where(gt > 0, gt, 1))
    assert row.pop('n_valid') == 2
    assert [row.pop(f'delta{k}') for k in (1, 2, 3)] == [1, 1, 1]
    assert not any(row.values())


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
    dense[h // 3 : h // 2, w // 4 : w // 2] = 9
    dense[h // 2 :, 3 * w // 4 :] = 4
    return dense, np.where(rng.random(shape) < density, dense, 0)


def test_nearest_fill_equals_brute_force():
    _, sparse = sparse_scene((23, 31), 0.05)
    filled = nearest_fill(sparse)
    points = np.argwhere(sparse > 0)
    for r, c in np.ndindex(sparse.shape):
        squared = ((points - (r, c)) ** 2).sum(axis=1)
        nearest = points[squared == squared.min()]
        assert filled[r, c] in sparse[tuple(nearest.T)]
    np.testing.assert_array_equal(filled[sparse > 0], sparse[sparse > 0])


@pytest.mark.parametrize('fill', FILLS.values(), ids=FILLS)
@pytest.mark.parametrize('shape', [(200, 1000), (64, 208), (40, 7), (1, 1), (1, 50), (3, 2)])
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


@pytest.mark.parametrize('fill', FILLS.values(), ids=FILLS)
def test_fills_special_inputs(fill):
    assert not fill(np.zeros((5, 9), np.float32)).any()
    one = np.zeros((90, 200), np.float32)
    one[80, 3] = 12.5
    np.testing.assert_array_equal(fill(one), np.full_like(one, 12.5))
    np.testing.assert_allclose(fill(np.full((20, 30), 7.25, np.float32)), 7.25, rtol=1e-6)


def test_fills_come_close_to_a_smooth_scene():
    dense, sparse = sparse_scene((200, 1000), 0.05)
    flat = depth_row(dense, np.full_like(dense, dense.mean()))
    for fill in FILLS.values():
        row = depth_row(dense, fill(sparse))
        assert row[ROW.index('mae')] < 0.1 * flat[ROW.index('mae')]


def test_classical_fill_lets_near_surfaces_win():
    # a near and a far point: the diamonds of both reach column 21, which is closer to the far one
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


@pytest.mark.parametrize(
    ('source', 'target'),
    [((20, 30), (37, 91)), ((40, 50), (13, 21)), ((8, 8), (8, 8)), ((200, 1000), (375, 1242))],
)
def test_resize_equals_torch(source, target):
    depth = np.random.default_rng(0).uniform(1, 80, source)
    depth = depth.astype(np.float32)
    expected = F.interpolate(
        torch.from_numpy(depth)[None, None], target, mode='bilinear', align_corners=False
    )[0, 0].numpy()
    # float32 weights on differences of up to 79 m
    np.testing.assert_allclose(resize_bilinear(depth, target), expected, atol=5e-3)
    assert resize_bilinear(depth, target).dtype == np.float32
