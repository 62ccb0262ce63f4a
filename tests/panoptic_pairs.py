"""Random image pairs for panoptic quality, and oracles that judge them."""

import contextlib
import io

import numpy as np
import pytest

from pandepth_mm.fileio import write_panoptic_png

IS_THING = [True, True, True, False, False, False, False]
NUM_CLASSES = len(IS_THING)
CATEGORIES = {c + 1: dict(id=c + 1, isthing=int(t)) for c, t in enumerate(IS_THING)}


def random_map(rng, shape, ids):
    """Blocks of ids, so that segments have extent and can overlap."""
    cell = rng.integers(2, 6)
    grid = rng.choice(ids, size=(shape[0] // cell + 1, shape[1] // cell + 1))
    return np.kron(grid, np.ones((cell, cell), int))[: shape[0], : shape[1]]


def segments_of(ids, categories, crowd=()):
    values, areas = np.unique(ids, return_counts=True)
    return [
        dict(id=int(v), category=categories[int(v)], area=int(a), iscrowd=int(int(v) in crowd))
        for v, a in zip(values, areas, strict=True)
        if v != 0
    ]


def random_pair(rng):
    """One image pair with void, crowd, unlisted ids and missing classes."""
    shape = tuple(rng.integers(8, 40, size=2))
    # some classes never occur
    classes = rng.choice(NUM_CLASSES - 1, size=rng.integers(1, 6))
    n = rng.integers(1, 9)
    ids = [0] * rng.integers(0, 3) + [int(i) for i in rng.integers(1, 256**3, size=n)]
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
        crowds = [g for g in gt_segments if g['iscrowd'] and g['category'] == p['category']]
        if crowds:
            free = free | (pixels & (gt == crowds[-1]['id']))
        stats[p['category'], 2] += free.sum() / pixels.sum() <= 0.5
    return stats


def panopticapi_stat(pairs, folder):
    """panopticapi's statistics of pairs, which it reads from PNG files."""
    evaluation = pytest.importorskip(
        'panopticapi.evaluation', reason='pip install --no-deps panopticapi-lite'
    )
    annotations = []
    for i, (gt, gt_segments, pred, pred_segments) in enumerate(pairs):
        write_panoptic_png(folder / f'gt/{i}.png', gt)
        write_panoptic_png(folder / f'pred/{i}.png', pred)
        annotations.append(
            [
                dict(
                    image_id=i,
                    file_name=f'{i}.png',
                    segments_info=[dict(s, category_id=s['category'] + 1) for s in segments],
                )
                for segments in (gt_segments, pred_segments)
            ]
        )
    with contextlib.redirect_stdout(io.StringIO()):
        return evaluation.pq_compute_single_core(
            0, annotations, folder / 'gt', folder / 'pred', CATEGORIES
        )


def assert_same_pq(summary, stat, dpq=None):
    """Compare our summary with panopticapi's; ``dpq`` names its PQ."""
    for suffix, isthing in (('', None), ('_th', True), ('_st', False)):
        theirs, per_class = stat.pq_average(CATEGORIES, isthing)
        for name in (dpq,) if dpq else ('PQ', 'SQ', 'RQ'):
            key = 'pq' if dpq else name.lower()
            assert 0 < theirs[key] < 1
            assert summary[name + suffix] == pytest.approx(theirs[key], abs=1e-9)
            for label, values in per_class.items():
                mine = summary['per_class'][name][label - 1]
                assert np.nan_to_num(mine) == pytest.approx(values[key], abs=1e-9)
