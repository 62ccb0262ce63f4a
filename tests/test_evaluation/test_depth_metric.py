"""DepthMetric's numbers beside the devkit's."""

import math

import numpy as np
from depth_samples import META, SHAPE, make_sample
from mmengine.evaluator import Evaluator

from pandepth_mm.evaluation import DepthBreakdownMetric, DepthLegacyMetric, DepthMetric
from pandepth_mm.evaluation.functional import (
    ERRORS,
    FILLS,
    depth_means,
    depth_pooled,
    depth_row,
    seen_pixels,
)


def test_unseen_and_details():
    pairs = [make_sample(i) for i in (1, 2, 3)]
    metric = DepthMetric(fills=('nearest_fill',))
    metric.dataset_meta = META
    metric.process(None, [sample.to_dict() for sample, _ in pairs])
    metrics = metric.evaluate(3)
    rows, unseen = [], []
    for _, raw in pairs:
        gt, pred = np.float32(raw['gt']), np.float32(raw['pred'])
        rows.append(depth_row(gt, pred))
        hidden = gt.copy()
        hidden[seen_pixels(np.float32(raw['sparse']), SHAPE)] = 0
        assert 0 < (hidden > 0).sum() < (gt > 0).sum()
        unseen.append(depth_row(hidden, pred))
    for name in ('rmse', 'mae'):
        assert metrics[f'depth/unseen_{name}'] == depth_means(unseen)[name]
        assert metrics[f'depth/{name}'] == depth_means(rows)[name]
        assert metrics[f'depth/unseen_{name}'] != metrics[f'depth/{name}']
    details = metric.details['model']
    assert details == dict(
        per_image_mean=depth_means(rows),
        pooled=depth_pooled(rows),
        unseen_per_image_mean=depth_means(unseen),
        unseen_pooled=depth_pooled(unseen),
    )
    assert {f'depth/{name}' for name in ERRORS} <= set(metrics)


def test_range_is_the_models():
    """A model of 20 m that is right within its range has no error there."""
    results = {}
    for limit in (20.0, None):
        samples = []
        for i in (1, 3):
            sample, _ = make_sample(i)
            sample.pred_depth_map.data = sample.dense_depth.data.clamp(min=0.01, max=20.0)
            if limit:
                sample.set_metainfo(dict(max_depth=limit))  # as PanDepth.predict does
            samples.append(sample)
        metrics = [
            dict(type='DepthMetric', fills=()),
            dict(type='DepthBreakdownMetric', fills=()),
            dict(type='PanopticMetric', depth_lambdas=(0.1,)),
        ]
        evaluator = Evaluator(metrics)
        evaluator.dataset_meta = META
        for sample in samples:
            sample.pred_panoptic_seg = sample.gt_panoptic_seg
            evaluator.process([sample])
        found = evaluator.evaluate(2)
        ranges = evaluator.metrics[1].details['breakdown']['range']
        results[limit] = found['depth/rmse'], found['panoptic/DPQ@0.1'], ranges['20-40 m']
    (rmse, dpq, far), (other, worse, _) = results[20.0], results[None]
    assert (rmse, dpq, far['n_pixels']) == (0, 1, 0)
    assert other > 5000 and worse < 1
    metric = DepthMetric(fills=(), max_depth=5.0)  # its own goes first
    assert metric.depth_range(dict(max_depth=20.0)) == 5


def test_input_that_gives_every_pixel_leaves_none_unseen():
    sample, _ = make_sample(1)
    sample.sparse_depth.data[:] = 7
    metric = DepthMetric()
    metric.process(None, [sample.to_dict()])
    metrics = metric.evaluate(1)
    assert math.isnan(metrics['depth/unseen_rmse'])
    assert metric.details['model']['unseen_pooled']['rmse'] is None
    # every pixel with ground truth is in the first group
    metric = DepthBreakdownMetric(parts=('input_distance',))
    metric.process(None, [sample.to_dict()])
    metric.evaluate(1)
    groups = metric.details['breakdown']['input_distance']
    assert [g['n_pixels'] > 0 for g in groups.values()] == [True] + [False] * 5


def test_each_fill_is_computed_once_per_image(monkeypatch):
    """Whatever the number of metrics, and nothing is left over for the next image."""
    calls = dict.fromkeys(FILLS, 0)

    def counted(name, fill):
        def run(sparse):
            calls[name] += 1
            return fill(sparse)

        return run

    for name, fill in list(FILLS.items()):
        monkeypatch.setitem(FILLS, name, counted(name, fill))
    evaluator = Evaluator(
        [DepthMetric(), DepthBreakdownMetric(), DepthLegacyMetric(fills=('planar_fill',))]
    )
    evaluator.dataset_meta = META
    samples = [make_sample(i)[0] for i in (1, 2, 3)]
    evaluator.process(samples)
    assert set(calls.values()) == {3}
    evaluator.process(samples)
    assert set(calls.values()) == {6}
