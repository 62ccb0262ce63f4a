"""PQ against panopticapi and against a loop over segments and pixels."""
import contextlib
import io

import numpy as np
import pytest

from pandepth_mm.evaluation.functional import (
    decode_panoptic,
    panoptic_stats,
    panoptic_summary,
)
from pandepth_mm.fileio import write_panoptic_png

IS_THING = [True, True, True, False, False, False, False]
NUM_CLASSES = len(IS_THING)
CATEGORIES = {
    c + 1: dict(id=c + 1, isthing=int(t))
    for c, t in enumerate(IS_THING)
}


def random_map(rng, shape, ids):
    """Blocks of ids, so that segments have extent and can overlap."""
    cell = rng.integers(2, 6)
    grid = rng.choice(ids, size=(shape[0] // cell + 1, shape[1] // cell + 1))
    return np.kron(grid, np.ones((cell, cell), int))[:shape[0], :shape[1]]


def segments_of(ids, categories, crowd=()):
    values, areas = np.unique(ids, return_counts=True)
    return [
        dict(
            id=int(v),
            category=categories[int(v)],
            area=int(a),
            iscrowd=int(int(v) in crowd))
        for v, a in zip(values, areas, strict=True) if v != 0
    ]


def random_pair(rng):
    """One image pair with void, crowd, unlisted ids and missing classes."""
    shape = tuple(rng.integers(8, 40, size=2))
    # some classes never occur
    classes = rng.choice(NUM_CLASSES - 1, size=rng.integers(1, 6))
    n = rng.integers(1, 9)
    ids = [0] * rng.integers(0, 3) + [
        int(i) for i in rng.integers(1, 256**3, size=n)
    ]
    categories = {i: int(rng.choice(classes)) for i in ids}
    gt = random_map(rng, shape, ids)
    crowd = {i for i in ids if rng.random() < 0.2}
    gt_segments = segments_of(gt, categories, crowd)
    if len(gt_segments) > 1 and rng.random() < 0.2:
        gt_segments.pop(rng.integers(len(gt_segments)))
    if rng.random() < 0.1:  # listed, but without a pixel
        gt_segments.append(dict(id=7, category=0, area=5, iscrowd=0))
    rng.shuffle(gt_segments)

    # the prediction: the ground truth with changes, under other ids
    offset = int(rng.integers(0, 5))
    pred = np.where(gt > 0, gt + offset, 0) % 256**3
    noise = random_map(rng, shape, list(pred.ravel()[:3]) + [0, 11, 12])
    pred = np.where(rng.random(shape) < 0.1, 11, pred)
    rows = slice(0, int(shape[0] * rng.random() * 0.7))
    pred[rows] = noise[rows]
    renamed = {(i + offset) % 256**3: c for i, c in categories.items() if i}
    for i in np.unique(pred):
        if int(i) not in renamed or rng.random() < 0.15:
            renamed[int(i)] = int(rng.choice(classes))
    pred_segments = segments_of(pred, renamed)
    return gt, gt_segments, pred, pred_segments


def loop_stats(gt, gt_segments, pred, pred_segments):
    """PQ's definition, spelled out with a mask per segment."""
    stats = np.zeros((NUM_CLASSES, 4))
    void = gt == 0
    taken = set()
    for g in gt_segments:
        if g['iscrowd']:
            continue
        hit = False
        for p in pred_segments:
            if p['category'] != g['category']:
                continue
            pixels = pred == p['id']
            inter = np.sum(pixels & (gt == g['id']))
            union = g['area'] + np.sum(pixels & ~void) - inter
            if inter / union > 0.5:
                stats[g['category'], :2] += inter / union, 1
                taken.add(p['id'])
                hit = True
        stats[g['category'], 3] += not hit
    for p in pred_segments:
        if p['id'] in taken:
            continue
        pixels = pred == p['id']
        free = void & pixels
        crowds = [
            g for g in gt_segments
            if g['iscrowd'] and g['category'] == p['category']
        ]
        if crowds:
            free = free | (pixels & (gt == crowds[-1]['id']))
        stats[p['category'], 2] += free.sum() / pixels.sum() <= 0.5
    return stats


def test_equals_a_loop_over_segments():
    rng = np.random.default_rng(0)
    seen = np.zeros(4)
    for _ in range(300):
        pair = random_pair(rng)
        stats = panoptic_stats(*pair, NUM_CLASSES)
        np.testing.assert_allclose(stats, loop_stats(*pair), atol=1e-9)
        seen += stats.sum(axis=0)
    assert (seen > 100).all()  # the pairs have TP, FP and FN


def test_equals_panopticapi(tmp_path):
    evaluation = pytest.importorskip(
        'panopticapi.evaluation',
        reason='pip install --no-deps panopticapi-lite')
    rng = np.random.default_rng(1)
    annotations, total = [], np.zeros((NUM_CLASSES, 4))
    for i in range(200):
        gt, gt_segments, pred, pred_segments = random_pair(rng)
        total += panoptic_stats(gt, gt_segments, pred, pred_segments,
                                NUM_CLASSES)
        write_panoptic_png(tmp_path / f'gt/{i}.png', gt)
        write_panoptic_png(tmp_path / f'pred/{i}.png', pred)
        annotations.append([
            dict(
                image_id=i,
                file_name=f'{i}.png',
                segments_info=[
                    dict(s, category_id=s['category'] + 1) for s in segments
                ]) for segments in (gt_segments, pred_segments)
        ])
    with contextlib.redirect_stdout(io.StringIO()):
        stat = evaluation.pq_compute_single_core(0, annotations,
                                                 tmp_path / 'gt',
                                                 tmp_path / 'pred', CATEGORIES)
    ours = panoptic_summary(total, IS_THING)
    for suffix, isthing in (('', None), ('_th', True), ('_st', False)):
        theirs, per_class = stat.pq_average(CATEGORIES, isthing)
        for name in ('PQ', 'SQ', 'RQ'):
            assert 0 < theirs[name.lower()] < 1
            assert ours[name + suffix] == pytest.approx(
                theirs[name.lower()], abs=1e-9)
        for label, values in per_class.items():
            for name in ('PQ', 'SQ', 'RQ'):
                mine = ours['per_class'][name][label - 1]
                assert np.nan_to_num(mine) == pytest.approx(
                    values[name.lower()], abs=1e-9)
    assert total[-1].sum() == 0  # the last class never occurs
    assert np.isnan(ours['per_class']['PQ'][-1])


def test_worked_example():
    # class 0: 8 pixels, of which the prediction has 6, and 1 more on void
    # class 3: 8 pixels, predicted void -> missed; class 1: false positive
    gt = np.array([[1] * 8, [2] * 8, [0] * 8, [3] * 8])
    pred = np.array([[5] * 6 + [0] * 2, [0] * 8, [5] + [0] * 7,
                     [6] * 5 + [0] * 3])
    gt_segments = [
        dict(id=1, category=0, area=8, iscrowd=0),
        dict(id=2, category=3, area=8, iscrowd=0),
        dict(id=3, category=2, area=8, iscrowd=1)
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
    stats = panoptic_stats(gt, gt_segments, pred, [dict(id=1, category=0)],
                           NUM_CLASSES)
    np.testing.assert_array_equal(stats[0], [0, 0, 1, 1])


def test_half_on_void_is_a_false_positive():
    gt = np.array([[0, 0, 2, 2]])
    stats = panoptic_stats(gt, segments_of(gt, {2: 1}), np.ones((1, 4), int),
                           [dict(id=1, category=0)], NUM_CLASSES)
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


def test_decode_panoptic():
    sem_seg = np.array([[1000, 2000, 3], [1002, NUM_CLASSES, 255],
                        [3, 3, 1000]])
    ids, segments = decode_panoptic(sem_seg, NUM_CLASSES)
    assert [s['category'] for s in segments] == [3, 0, 2, 0]
    by_id = {s['id']: s['category'] for s in segments}
    assert ids[1, 1] == ids[1, 2] == 0  # void by label, whichever it is
    assert ids[0, 0] == ids[2, 2] != ids[0, 1]
    assert by_id[ids[0, 0]] == by_id[ids[0, 1]] == 0
    assert by_id[ids[1, 0]] == 2
    assert by_id[ids[0, 2]] == 3


def test_decode_keeps_label_zero_without_instance():
    ids, segments = decode_panoptic(np.zeros((2, 2), int), NUM_CLASSES)
    assert segments == [dict(id=1, category=0)]
    assert (ids == 1).all()


@pytest.mark.parametrize(
    ('change', 'message'),
    [(dict(pred_segments=[]), 'not listed'),
     (dict(pred_segments=[dict(id=1, category=99)]), 'categories'),
     (dict(pred_ids=np.ones((3, 3), int)), 'shape'),
     (dict(pred_ids=-np.ones((2, 2), int)), 'ids'),
     (dict(pred_segments=[
         dict(id=1, category=0),
         dict(id=2, category=0)
     ]), 'no pixel')])
def test_wrong_predictions_raise(change, message):
    arguments = dict(
        gt_ids=np.ones((2, 2), int),
        gt_segments=[dict(id=1, category=0, area=4, iscrowd=0)],
        pred_ids=np.ones((2, 2), int),
        pred_segments=[dict(id=1, category=0)],
        num_classes=NUM_CLASSES)
    assert panoptic_stats(**arguments)[0, 1] == 1
    with pytest.raises(ValueError, match=message):
        panoptic_stats(**{**arguments, **change})
