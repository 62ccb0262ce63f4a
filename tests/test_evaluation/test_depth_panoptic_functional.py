"""DPQ against voiding by hand, followed by the oracles of PQ."""

import numpy as np
import pytest
from panoptic_pairs import (
    IS_THING,
    NUM_CLASSES,
    assert_same_pq,
    loop_stats,
    panopticapi_stat,
    random_pair,
)

from pandepth_mm.evaluation.functional import (
    depth_error_bins,
    depth_panoptic_stats,
    depth_panoptic_summary,
    overlap_table,
    panoptic_stats,
    panoptic_summary,
)

LAMBDAS = (0.1, 0.25, 0.5)


def random_depth(rng, shape):
    """Depth with holes in the ground truth and all kinds of wrong predictions."""
    gt_depth = rng.uniform(1, 80, shape).astype(np.float32)
    pred = gt_depth * rng.normal(1, rng.uniform(0, 0.5), shape)
    pred = np.where(rng.random(shape) < 0.3, gt_depth, pred).astype(np.float32)
    bad = np.array([0, -1, np.nan, np.inf, -np.inf], np.float32)
    pred = np.where(rng.random(shape) < 0.02, rng.choice(bad, shape), pred)
    share = rng.choice([0, 0.2, 0.7, 1])
    return np.where(rng.random(shape) < share, gt_depth, 0), pred


def void_by_hand(pred, pred_segments, gt_depth, depth, limit):
    """Set the pixels to void one by one; drop what has none left."""
    pred = pred.copy()
    for index in np.ndindex(pred.shape):
        if gt_depth[index] > 0:
            error = abs(depth[index] - gt_depth[index]) / gt_depth[index]
            good = depth[index] > 0 and np.isfinite(depth[index]) and error <= np.float32(limit)
            if not good:
                pred[index] = 0
    left = set(pred.ravel().tolist())
    return pred, [dict(s) for s in pred_segments if s['id'] in left]


def one_pass(pair, gt_depth, depth, lambdas=LAMBDAS):
    gt, gt_segments, pred, pred_segments = pair
    gt_segments = list({s['id']: s for s in gt_segments}.values())
    table = overlap_table(
        gt,
        pred,
        [s['id'] for s in gt_segments],
        [s['id'] for s in pred_segments],
        depth_error_bins(gt_depth, depth, lambdas),
        2 + len(lambdas),
    )
    return depth_panoptic_stats(table, gt_segments, pred_segments, NUM_CLASSES)


def test_equals_voiding_by_hand(tmp_path):
    rng = np.random.default_rng(0)
    total = np.zeros((1 + len(LAMBDAS), NUM_CLASSES, 4))
    voided = {limit: [] for limit in LAMBDAS}
    for _ in range(150):
        pair = random_pair(rng)
        gt_depth, depth = random_depth(rng, pair[0].shape)
        stats = one_pass(pair, gt_depth, depth)
        np.testing.assert_array_equal(stats[0], panoptic_stats(*pair, NUM_CLASSES))
        for at_limit, limit in zip(stats[1:], LAMBDAS, strict=True):
            pred, left = void_by_hand(*pair[2:], gt_depth, depth, limit)
            voided[limit].append((*pair[:2], pred, left))
            np.testing.assert_allclose(at_limit, loop_stats(*voided[limit][-1]), atol=1e-9)
        total += stats
    summary = depth_panoptic_summary(total, IS_THING, LAMBDAS)
    plain = panoptic_summary(total[0], IS_THING)
    assert summary['PQ'] == plain['PQ']
    for limit in LAMBDAS:
        stat = panopticapi_stat(voided[limit], tmp_path / str(limit))
        assert_same_pq(summary, stat, f'DPQ@{limit}')
    for suffix in ('', '_th', '_st'):
        values = [summary[f'DPQ@{limit}{suffix}'] for limit in LAMBDAS]
        assert values == sorted(values) and values[0] < values[-1]
        assert summary[f'DPQ{suffix}'] == pytest.approx(np.mean(values), abs=1e-12)


def perfect_pair(rng):
    pair = random_pair(rng)
    while not any(s['iscrowd'] == 0 for s in pair[1]):
        pair = random_pair(rng)
    gt = pair[0]
    segments = [dict(s, iscrowd=0) for s in pair[1] if (gt == s['id']).any()]
    gt = np.where(np.isin(gt, [s['id'] for s in segments]), gt, 0)
    return gt, segments, gt, segments


def test_right_labels_with_wrong_and_with_right_depth():
    rng = np.random.default_rng(1)
    wrong = right = 0
    for _ in range(20):
        pair = perfect_pair(rng)
        gt_depth = rng.uniform(1, 80, pair[0].shape).astype(np.float32)
        wrong = wrong + one_pass(pair, gt_depth, 2 * gt_depth)
        right = right + one_pass(pair, gt_depth, gt_depth)
    summary = depth_panoptic_summary(wrong, IS_THING, LAMBDAS)
    assert summary['PQ'] == summary['SQ'] == 1
    for suffix in ('', '_th', '_st'):
        for name in ('DPQ', *(f'DPQ@{limit}' for limit in LAMBDAS)):
            assert summary[f'{name}{suffix}'] == 0
    summary = depth_panoptic_summary(right, IS_THING, LAMBDAS)
    assert summary['DPQ'] == summary['DPQ@0.1'] == summary['PQ'] == 1
    np.testing.assert_array_equal(summary['per_class']['DPQ'], summary['per_class']['PQ'])


def test_without_truth_the_prediction_stays():
    pair = random_pair(np.random.default_rng(2))
    nothing = np.zeros(pair[0].shape, np.float32)
    stats = one_pass(pair, nothing, nothing - 1)
    for at_limit in stats[1:]:
        np.testing.assert_array_equal(at_limit, stats[0])


def test_bins():
    gt_depth = np.array([[0, 10, 10, 10, 10, 10, 10, 10, 10]], np.float32)
    depth = np.array([[5, 10, 11, 11.01, 7.5, 7.4, 15, 15.1, np.nan]], np.float32)
    bins = depth_error_bins(gt_depth, depth, LAMBDAS)
    # an error of exactly lambda does not exceed it
    assert bins.tolist() == [[0, 1, 1, 2, 2, 3, 3, 4, 4]]
    bad = np.array([[0, -1, np.inf, -np.inf]], np.float32)
    # whatever the lambda, even one that 0 m for 10 m does not exceed
    bins = depth_error_bins(gt_depth[:, 1:5], bad, (0.1, 2.0))
    assert bins.tolist() == [[3, 3, 3, 3]]
    with pytest.raises(ValueError, match='depth ground truth of shape'):
        depth_error_bins(gt_depth, depth[:, 1:], LAMBDAS)


def test_vanished_false_positive_counts_no_longer():
    """DPQ can exceed PQ: voided pixels predict nothing."""
    gt, pred = np.array([[1, 1, 2, 2]]), np.array([[1, 1, 3, 3]])
    gt_segments = [
        dict(id=1, category=0, area=2, iscrowd=0),
        dict(id=2, category=1, area=2, iscrowd=0),
    ]
    pred_segments = [dict(id=1, category=0), dict(id=3, category=0)]
    gt_depth = np.array([[1, 1, 1, 1]], np.float32)
    depth = np.array([[1, 1, 1.3, 1.3]], np.float32)
    stats = one_pass((gt, gt_segments, pred, pred_segments), gt_depth, depth)
    summary = depth_panoptic_summary(stats, IS_THING, LAMBDAS)
    assert summary['per_class']['PQ'][0] == 1 / 1.5
    assert summary['per_class']['DPQ@0.25'][0] == 1
    assert summary['per_class']['DPQ@0.5'][0] == 1 / 1.5
    assert summary['per_class']['DPQ'][0] == pytest.approx((1 + 1 + 1 / 1.5) / 3)


def test_class_that_vanishes_has_the_mean_of_the_rest():
    stats = np.zeros((4, NUM_CLASSES, 4))
    stats[:, 0] = 1, 1, 0, 0
    stats[0, 3] = stats[3, 3] = 0, 0, 1, 0  # false positives at 0.5 only
    per_class = depth_panoptic_summary(stats, IS_THING, LAMBDAS)['per_class']
    assert np.isnan(per_class['DPQ@0.1'][3])
    assert per_class['DPQ'][3] == per_class['DPQ@0.5'][3] == 0
    assert np.isnan(per_class['DPQ'][6])


def test_no_lambda_is_plain_pq():
    pair = random_pair(np.random.default_rng(5))
    gt, gt_segments, pred, pred_segments = pair
    table = overlap_table(
        gt, pred, [s['id'] for s in gt_segments], [s['id'] for s in pred_segments]
    )
    stats = depth_panoptic_stats(table, gt_segments, pred_segments, NUM_CLASSES)
    assert stats.shape == (1, NUM_CLASSES, 4)
    summary = depth_panoptic_summary(stats, IS_THING, ())
    assert not any('DPQ' in name for name in summary)


def test_bins_of_another_shape_are_refused():
    ids = np.ones((2, 2), int)
    with pytest.raises(ValueError, match='bins'):
        overlap_table(ids, ids, [1], [1], np.zeros((2, 3), np.uint8), 2)
