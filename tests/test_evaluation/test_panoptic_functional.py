"""PQ against panopticapi and against a loop over segments and pixels."""

import numpy as np
import pytest
from panoptic_pairs import (
    CATEGORIES,
    IS_THING,
    NUM_CLASSES,
    assert_same_pq,
    loop_stats,
    panopticapi_stat,
    random_map,
    random_pair,
    segments_of,
)

from pandepth_mm.evaluation.functional import (
    class_confusion,
    overlap_table,
    panoptic_stats,
    panoptic_summary,
)


def test_equals_a_loop_over_segments():
    rng = np.random.default_rng(0)
    seen = np.zeros(4)
    for _ in range(300):
        pair = random_pair(rng)
        stats = panoptic_stats(*pair, NUM_CLASSES)
        np.testing.assert_allclose(stats, loop_stats(*pair), atol=1e-9)
        seen += stats.sum(axis=0)
    assert (seen > 100).all()  # the pairs have TP, FP and FN


def special_pairs():
    """Every special case of the rules, one a pair."""
    block = np.ones((4, 4), int)
    half = np.repeat([[1, 2]], 4, axis=0).repeat(2, axis=1)
    void_half = np.where(half == 2, 0, half)
    one, two = dict(id=1, category=0), dict(id=2, category=3)
    right_of = dict(id=2, category=0)

    def gt_of(*segments, ids=block, **more):
        return [dict(s, area=int(np.sum(ids == s['id'])), iscrowd=0, **more) for s in segments]

    crowd = [dict(gt_of(two, ids=half)[0], iscrowd=1)]
    return dict(
        all_void=(block * 0, [], block * 0, []),
        nothing_predicted=(block, gt_of(one), block * 0, []),
        only_void_in_gt=(block * 0, [], block, [one]),
        perfect=(half, gt_of(one, two, ids=half), half, [one, two]),
        iou_of_one_half=(half, gt_of(one, right_of, ids=half), block, [one]),
        half_on_void=(void_half, gt_of(right_of, ids=void_half), block, [dict(one, category=3)]),
        more_than_half_on_void=(np.eye(4, dtype=int), gt_of(two), block, [dict(one, category=3)]),
        void_is_out_of_the_union=(void_half, gt_of(one, ids=void_half), block, [one]),
        crowd_is_not_missed=(half, gt_of(one, ids=half) + crowd, void_half, [one]),
        crowd_forgives_its_class=(half, gt_of(one, ids=half) + crowd, half, [one, two]),
        crowd_forgives_no_other=(
            half,
            gt_of(one, ids=half) + crowd,
            half,
            [one, dict(id=2, category=1)],
        ),
        last_crowd_of_two_counts=(
            half,
            [dict(s, iscrowd=1) for s in gt_of(one, right_of, ids=half)],
            half,
            [one, right_of],
        ),
        unlisted_gt=(half, gt_of(one, ids=half), half, [one, two]),
        listed_without_a_pixel=(block, gt_of(one, two), block, [one]),
        area_of_the_annotation=(block, [dict(one, area=40, iscrowd=0)], block, [one]),
        largest_id=(
            block * (256**3 - 1),
            [dict(one, id=256**3 - 1, area=16, iscrowd=0)],
            block,
            [one],
        ),
    )


@pytest.mark.parametrize('name', special_pairs())
def test_special_cases_equal_panopticapi(name, tmp_path):
    pair = special_pairs()[name]
    stats = panoptic_stats(*pair, NUM_CLASSES)
    np.testing.assert_array_equal(stats, loop_stats(*pair))
    stat = panopticapi_stat([pair], tmp_path)
    for label in CATEGORIES:
        theirs = stat[label]
        np.testing.assert_array_equal(
            stats[label - 1], [theirs.iou, theirs.tp, theirs.fp, theirs.fn]
        )


def test_equals_panopticapi(tmp_path):
    rng = np.random.default_rng(1)
    pairs = [random_pair(rng) for _ in range(500)]
    total = sum(panoptic_stats(*pair, NUM_CLASSES) for pair in pairs)
    ours = panoptic_summary(total, IS_THING)
    assert_same_pq(ours, panopticapi_stat(pairs, tmp_path))
    assert total[-1].sum() == 0  # the last class never occurs
    assert np.isnan(ours['per_class']['PQ'][-1])


def test_confusion_counts_every_pixel_once():
    rng = np.random.default_rng(3)
    for _ in range(20):
        gt, gt_segments, pred, pred_segments = random_pair(rng)
        table = overlap_table(
            gt, pred, [s['id'] for s in gt_segments], [s['id'] for s in pred_segments]
        )[0]
        confusion = class_confusion(table, gt_segments, pred_segments, NUM_CLASSES)
        expected = np.zeros((NUM_CLASSES + 1,) * 2)
        row = {s['id']: s['category'] for s in gt_segments}
        column = {s['id']: s['category'] for s in pred_segments}
        for g, p in zip(gt.ravel(), pred.ravel(), strict=True):
            expected[row.get(g, NUM_CLASSES), column.get(p, NUM_CLASSES)] += 1
        np.testing.assert_array_equal(confusion, expected)


def test_worked_example():
    # class 0: 8 pixels, of which the prediction has 6, and 1 more on void class 3: 8 pixels,
    # predicted void -> missed; class 1: false positive
    gt = np.array([[1] * 8, [2] * 8, [0] * 8, [3] * 8])
    pred = np.array([[5] * 6 + [0] * 2, [0] * 8, [5] + [0] * 7, [6] * 5 + [0] * 3])
    gt_segments = [
        dict(id=1, category=0, area=8, iscrowd=0),
        dict(id=2, category=3, area=8, iscrowd=0),
        dict(id=3, category=2, area=8, iscrowd=1),
    ]
    pred_segments = [dict(id=5, category=0), dict(id=6, category=1)]
    stats = panoptic_stats(gt, gt_segments, pred, pred_segments, NUM_CLASSES)
    expected = np.zeros((NUM_CLASSES, 4))
    expected[0] = 6 / 8, 1, 0, 0
    expected[1] = 0, 0, 1, 0  # the crowd is of another class
    expected[3] = 0, 0, 0, 1
    np.testing.assert_array_equal(stats, expected)
    summary = panoptic_summary(stats, IS_THING)
    assert summary['PQ'] == 0.75 / 3
    assert summary['PQ_th'] == 0.75 / 2
    assert summary['SQ_st'] == summary['PQ_st'] == 0

    # the same on the crowd of its own class is forgiven
    pred_segments[1]['category'] = 2
    stats = panoptic_stats(gt, gt_segments, pred, pred_segments, NUM_CLASSES)
    assert stats[:, 2].sum() == 0


def test_iou_of_one_half_is_no_match():
    gt = np.array([[1, 1, 2, 2]])
    pred = np.array([[1, 1, 1, 1]])
    gt_segments = segments_of(gt, {1: 0, 2: 1})
    stats = panoptic_stats(gt, gt_segments, pred, [dict(id=1, category=0)], NUM_CLASSES)
    np.testing.assert_array_equal(stats[0], [0, 0, 1, 1])


def test_half_on_void_is_a_false_positive():
    gt = np.array([[0, 0, 2, 2]])
    stats = panoptic_stats(
        gt, segments_of(gt, {2: 1}), np.ones((1, 4), int), [dict(id=1, category=0)], NUM_CLASSES
    )
    assert stats[0, 2] == 1


def test_perfect_and_empty():
    rng = np.random.default_rng(2)
    gt = random_map(rng, (30, 40), [0, 1, 2, 3, 4])
    segments = segments_of(gt, {1: 0, 2: 0, 3: 1, 4: 4})
    stats = panoptic_stats(gt, segments, gt, segments, NUM_CLASSES)
    summary = panoptic_summary(stats, IS_THING)
    assert summary['PQ'] == summary['PQ_th'] == summary['PQ_st'] == 1
    nothing = panoptic_stats(gt * 0, [], gt * 0, [], NUM_CLASSES)
    assert nothing.sum() == 0
    assert np.isnan(panoptic_summary(nothing, IS_THING)['PQ'])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(pred_segments=[]), 'not listed'),
        (dict(pred_segments=[dict(id=1, category=99)]), 'categories'),
        (dict(pred_ids=np.ones((3, 3), int)), 'shape'),
        (dict(pred_ids=-np.ones((2, 2), int)), 'ids'),
        (dict(pred_segments=[dict(id=1, category=0), dict(id=2, category=0)]), 'no pixel'),
    ],
)
def test_wrong_predictions_raise(change, message):
    arguments = dict(
        gt_ids=np.ones((2, 2), int),
        gt_segments=[dict(id=1, category=0, area=4, iscrowd=0)],
        pred_ids=np.ones((2, 2), int),
        pred_segments=[dict(id=1, category=0)],
        num_classes=NUM_CLASSES,
    )
    assert panoptic_stats(**arguments)[0, 1] == 1
    with pytest.raises(ValueError, match=message):
        panoptic_stats(**{**arguments, **change})
