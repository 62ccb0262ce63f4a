"""DepthMetric's numbers beside the devkit's; the dense truth."""

import math

import cv2
import numpy as np
import pytest
from depth_samples import META, SHAPE, make_sample
from mmengine.registry import init_default_scope
from tiny_dataset import make_tiny_dataset

from pandepth_mm.datasets import VKITTI2Dataset
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation import DepthMetric
from pandepth_mm.evaluation.functional import (
    ERRORS,
    depth_means,
    depth_pooled,
    depth_row,
    seen_pixels,
)
from pandepth_mm.evaluation.metrics.dense_depth import dense_truth


def test_unseen_and_details(tmp_path):
    pairs = [make_sample(tmp_path, i) for i in (1, 2, 3)]
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


def test_input_that_gives_every_pixel_leaves_none_unseen(tmp_path):
    sample, _ = make_sample(tmp_path, 1)
    sample.sparse_depth.data[:] = 7
    metric = DepthMetric()
    metric.process(None, [sample.to_dict()])
    metrics = metric.evaluate(1)
    assert math.isnan(metrics['depth/unseen_rmse'])
    assert metric.details['model']['unseen_pooled']['rmse'] is None
    # every pixel with truth is in the first group
    groups = metric.details['breakdown']['input_distance']
    assert [g['n_pixels'] > 0 for g in groups.values()] == [True] + [False] * 5


def test_dense_truth(tmp_path):
    sample, raw = make_sample(tmp_path, 4)
    data = sample.to_dict()
    depth = dense_truth(DepthMetric(), data)
    np.testing.assert_array_equal(depth, np.float32(raw['dense']))
    assert (depth == 0).any(), '65535 is no truth'
    limited = dense_truth(DepthMetric(), data, max_depth=20)
    np.testing.assert_array_equal(limited, np.where(depth <= 20, depth, 0))
    cv2.imwrite(data['dense_depth_path'], np.ones((3, 4), np.uint16))
    with pytest.raises(InputError, match='size'):
        dense_truth(DepthMetric(), data)
    del data['dense_depth_path']
    assert dense_truth(DepthMetric(), data) is None


def test_dense_truth_arrives_through_the_pipeline(tmp_path):
    root = make_tiny_dataset(tmp_path, num_frames=1, splits=('val',))
    init_default_scope('pandepth_mm')
    dataset = VKITTI2Dataset(
        data_root=str(root),
        ann_file='annotations/panoptic_val.json',
        img_scale=(48, 24),
        test_mode=True,
        pipeline=[
            dict(type='mmdet.LoadImageFromFile'),
            dict(type='LoadDepthMap', key='sparse_depth'),
            dict(type='ResizePanopticDepth'),
            dict(type='LoadPanopticMap'),
            dict(type='LoadDepthMap', key='gt_depth_map'),
            dict(type='PackPanopticDepthInputs'),
        ],
    )
    sample = dataset[0]['data_samples'].to_dict()
    assert sample['dense_depth_scale'] == 100
    dense = dense_truth(DepthMetric(), sample)
    gt = sample['gt_depth_map']['data'][0].numpy()
    assert dense.shape == gt.shape == (48, 96)
    # centimetres against 1/256 m
    np.testing.assert_allclose(dense[gt > 0], gt[gt > 0], atol=0.01)
    assert (dense > 0).sum() > 2 * (gt > 0).sum()
