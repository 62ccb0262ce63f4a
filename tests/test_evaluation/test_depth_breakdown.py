"""The breakdown of depth errors against plain loops over pixels."""

import math
import pickle
from statistics import median

import numpy as np
import pytest
from depth_samples import CLASSES, META, NETWORK, SHAPE, VOID, make_sample

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation import DepthBreakdownMetric, DepthMetric
from pandepth_mm.evaluation.functional import FILLS, MIN_DEPTH
from pandepth_mm.evaluation.functional.depth_breakdown import (
    EDGE_NAMES,
    INPUT_DISTANCE_NAMES,
    RANGE_NAMES,
    depth_edges,
    input_distance_groups,
    range_groups,
)

IMAGES = (1, 2, 3, 4, 5, 9)  # 5 has no thing, 4 and 9 a crowd


def evaluate(samples, metric=None):
    metric = metric or DepthBreakdownMetric(fills=())
    metric.dataset_meta = META
    metric.process(None, [sample.to_dict() for sample in samples])
    return metric.evaluate(len(samples)), metric.details


@pytest.fixture(scope='module')
def result():
    pairs = [make_sample(i) for i in IMAGES]
    samples = [sample for sample, _ in pairs]
    _, details = evaluate(samples)
    _, whole = evaluate(samples, DepthMetric(fills=()))
    return {**details, **whole}, [raw for _, raw in pairs]


def pixels(raw):
    """Row, column, ground truth and clamped prediction where there is ground truth."""
    for v in range(SHAPE[0]):
        for u in range(SHAPE[1]):
            g, p = raw['gt'][v][u], raw['pred'][v][u]
            if g > 0:
                yield v, u, g, p if p >= MIN_DEPTH else MIN_DEPTH


def check_pixels(found, expected):
    """Compare a family with {group: [(gt, prediction), ...]}."""
    for name, group in found.items():
        pairs = expected.pop(name, [])
        n = len(pairs)
        assert group['n_pixels'] == n, name
        if n == 0:
            assert set(group['model'].values()) == {None}
            continue
        values = dict(
            mae=1e3 * sum(abs(p - g) for g, p in pairs) / n,
            rmse=1e3 * math.sqrt(sum((p - g) ** 2 for g, p in pairs) / n),
            absrel=sum(abs(p - g) / g for g, p in pairs) / n,
        )
        assert group['model'] == pytest.approx(values, rel=1e-9), name
    assert not expected


def test_ranges_equal_a_loop(result):
    details, images = result
    expected = {}
    for raw in images:
        for _, _, g, p in pixels(raw):
            name = next(
                (
                    n
                    for limit, n in zip((10, 20, 40, 80), RANGE_NAMES[:4], strict=True)
                    if g <= limit
                ),
                'over 80 m',
            )
            expected.setdefault(name, []).append((g, p))
    assert len(expected) == 5
    check_pixels(details['breakdown']['range'], expected)


def test_classes_equal_a_loop(result):
    details, images = result
    expected = {}
    for raw in images:
        for v, u, g, p in pixels(raw):
            label = raw['labels'][v][u]
            name = 'void' if label == VOID else CLASSES[label]
            expected.setdefault(name, []).append((g, p))
    assert set(expected) == {'Truck', 'Car', 'Road', 'void'}  # no sky
    assert list(details['breakdown']['class']) == [*CLASSES, 'void']
    check_pixels(details['breakdown']['class'], expected)


def test_input_distances_equal_a_loop(result):
    details, images = result
    (h, w), (height, width) = NETWORK, SHAPE
    expected = {}
    for raw in images:
        points = [(r, c) for r in range(h) for c in range(w) if raw['sparse'][r][c] > 0]
        assert points
        for v, u, g, p in pixels(raw):
            row = math.floor((v + 0.5) * h / height)
            column = math.floor((u + 0.5) * w / width)
            distance = min(math.dist((row, column), q) for q in points)
            name = next(
                (
                    n
                    for limit, n in zip((0, 1, 2, 4, 8), INPUT_DISTANCE_NAMES[:5], strict=True)
                    if distance <= limit
                ),
                'over 8 px',
            )
            expected.setdefault(name, []).append((g, p))
    assert len(expected) >= 5
    check_pixels(details['breakdown']['input_distance'], expected)


def is_edge(dense, v, u):
    """By the rule's words, looking around one pixel."""
    height, width = len(dense), len(dense[0])
    for y in range(max(v - 2, 0), min(v + 3, height)):
        for x in range(max(u - 2, 0), min(u + 3, width)):
            for y2, x2 in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
                if 0 <= y2 < height and 0 <= x2 < width:
                    near, far = sorted((dense[y][x], dense[y2][x2]))
                    if near > 0 and far > 1.1 * near:
                        return True
    return False


def test_edges_equal_a_loop(result):
    details, images = result
    expected = {}
    for raw in images:
        for v, u, g, p in pixels(raw):
            name = EDGE_NAMES[is_edge(raw['dense'], v, u)]
            expected.setdefault(name, []).append((g, p))
    assert len(expected) == 2
    check_pixels(details['breakdown']['edge'], expected)
    assert details['n_images_without_dense_depth'] == 0


def test_instances_equal_a_loop(result):
    details, images = result
    expected, hidden = {}, 0
    for raw in images:
        for segment in raw['segments']:
            if not segment['isthing'] or segment['iscrowd']:
                continue
            pairs = [(g, p) for v, u, g, p in pixels(raw) if raw['ids'][v][u] == segment['id']]
            if not pairs:
                hidden += 1
                continue
            depth = median(g for g, _ in pairs)
            error = median(abs(p - g) for g, p in pairs)
            name = RANGE_NAMES[int(range_groups(depth))]
            things = expected.setdefault(CLASSES[segment['category']], [])
            things.append((name, error, error / depth))
    assert details['n_instances_without_gt'] == hidden
    found = details['breakdown']['instance']
    assert set(found) == set(expected) == {'Truck', 'Car'}

    def check(entry, things):
        n = len(things)
        assert entry['n_instances'] == n
        assert entry['model'] == pytest.approx(
            dict(
                median_error=1e3 * sum(t[1] for t in things) / n,
                median_absrel=sum(t[2] for t in things) / n,
            ),
            rel=1e-9,
        )

    for name, things in expected.items():
        check(found[name], things)
        assert set(found[name]['ranges']) == {t[0] for t in things}
        for bin_name, entry in found[name]['ranges'].items():
            check(entry, [t for t in things if t[0] == bin_name])


def test_families_add_up_to_the_pooled_error(result):
    details, _ = result
    pooled = details['model']['pooled']
    for name in ('range', 'input_distance', 'edge', 'class'):
        groups = [g for g in details['breakdown'][name].values() if g['n_pixels']]
        n = sum(g['n_pixels'] for g in groups)
        for key in ('mae', 'absrel'):
            total = sum(g['n_pixels'] * g['model'][key] for g in groups)
            assert total / n == pytest.approx(pooled[key], rel=1e-12)


def test_limits_belong_to_the_lower_group():
    assert range_groups(np.array([0.1, 10, 10.01, 20, 40, 80, 80.01])).tolist() == [
        0,
        0,
        1,
        1,
        2,
        3,
        4,
    ]
    sparse = np.zeros((1, 12), np.float32)
    sparse[0, 0] = 5
    assert input_distance_groups(sparse, (1, 12)).tolist() == [[0, 1, 2, 3, 3, 4, 4, 4, 4, 5, 5, 5]]
    assert (input_distance_groups(sparse * 0, (2, 3)) == 5).all()


def test_edges_by_hand():
    # jump of 20 % between columns 3 and 4, of 9 % between 9 and 10, and a hole at 12 that is no
    # jump
    depth = np.array([[10.0] * 4 + [12.0] * 6 + [13.0] * 2 + [0.0] + [13.0] * 2])
    assert np.flatnonzero(depth_edges(depth)).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(depth_edges(depth.T)).tolist() == [1, 2, 3, 4, 5, 6]
    assert np.flatnonzero(depth_edges(depth, radius=0)).tolist() == [3, 4]
    assert 9 in np.flatnonzero(depth_edges(depth, ratio=1.05))


def test_flat_road_is_no_edge():
    """A street seen from 1.5 m, f = 725, as the docstring has it."""
    rows = np.arange(11, 180)[:, None]  # below the horizon; 99 m to 6 m
    assert not depth_edges(np.repeat(725 * 1.5 / rows, 9, axis=1)).any()


def test_images_without_dense_depth_are_counted():
    pairs = [make_sample(i, dense=i != 2) for i in (1, 2, 3)]
    _, details = evaluate([sample for sample, _ in pairs])
    assert details['n_images_without_dense_depth'] == 1
    n = sum(g['n_pixels'] for g in details['breakdown']['edge'].values())
    assert n == sum(1 for i in (0, 2) for _ in pixels(pairs[i][1]))


def test_max_depth_holds_for_the_breakdown():
    sample, raw = make_sample(4)
    _, details = evaluate([sample], DepthBreakdownMetric(fills=(), max_depth=20.0))
    found = details['breakdown']['range']
    near = sum(g <= 20 for _, _, g, _ in pixels(raw))
    assert sum(group['n_pixels'] for group in found.values()) == near
    assert found['20-40 m']['n_pixels'] == 0
    assert 0 < near < sum(1 for _ in pixels(raw))


def test_fills_stand_beside_the_model():
    sample, _ = make_sample(4)
    _, details = evaluate([sample], DepthBreakdownMetric())
    given = details['breakdown']['input_distance']['0 px (given)']
    assert set(given) == {'n_pixels', 'model', *FILLS}
    assert given['nearest_fill'] != given['model']
    for entry in details['breakdown']['instance'].values():
        assert set(entry) == {'n_instances', 'ranges', *given} - {'n_pixels'}


def test_an_image_stays_below_10_kb():
    """All parts, all fills, and 200 things of 30 classes."""
    sample, _ = make_sample(4)
    metric = DepthBreakdownMetric()
    shape, rng = (240, 400), np.random.default_rng(0)
    number = (np.arange(240)[:, None] // 12) * 10 + np.arange(400) // 40
    labels = number % 30
    classes = [f'class {i}' for i in range(30)]
    metric.dataset_meta = dict(classes=classes, thing_classes=classes)
    sample = sample.to_dict()
    depth = rng.uniform(1, 90, shape).astype(np.float32)
    sample.update(
        ori_shape=shape,
        img_shape=(100, 200),
        segments_info=[
            dict(id=i % 30 + 1000 * (i + 1), category=i % 30, isthing=True, iscrowd=False)
            for i in range(200)
        ],
        gt_panoptic_seg=dict(sem_seg=(labels + 1000 * (number + 1))[None]),
        gt_sem_seg=dict(sem_seg=labels[None]),
        gt_depth_map=dict(data=depth[None]),
        dense_depth=dict(data=depth[None]),
        pred_depth_map=dict(data=depth[None] + 1),
        sparse_depth=dict(
            data=rng.uniform(1, 90, (1, 100, 200)) * (rng.random((1, 100, 200)) < 0.02)
        ),
    )
    metric.process(None, [sample])
    assert 4_000 < len(pickle.dumps(metric.results[0])) <= 10_000
    metric.evaluate(1)
    counts = [e['n_instances'] for e in metric.details['breakdown']['instance'].values()]
    assert sum(counts) == 200


@pytest.mark.parametrize(
    ('field', 'parts'),
    [
        ('gt_sem_seg', ('class',)),
        ('gt_panoptic_seg', ('instance',)),
        ('segments_info', ('instance',)),
        ('sparse_depth', ()),
    ],
)
def test_what_is_missing_is_named(field, parts):
    sample = make_sample(4)[0].to_dict()
    del sample[field]
    metric = DepthBreakdownMetric(fills=(), parts=parts)
    metric.dataset_meta = META
    with pytest.raises(InputError, match=field):
        metric.process(None, [sample])
    if parts:  # only for that part
        DepthBreakdownMetric(fills=(), parts=('range', 'edge')).process(None, [sample])


def test_unknown_parts_are_refused():
    with pytest.raises(InputError, match='parts'):
        DepthBreakdownMetric(parts=('color',))


def test_parts_that_are_left_out():
    details = evaluate([make_sample(4)[0]], DepthBreakdownMetric(parts=('range',)))[1]
    assert set(details) == {'breakdown'} and set(details['breakdown']) == {'range'}
