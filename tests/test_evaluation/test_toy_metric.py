"""The example metric: its function, and its row in the table."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData
from toy_metric import count_errors

from pandepth_mm.evaluation import format_table
from pandepth_mm.registry import set_default_scope


def test_function():
    errors = count_errors(np.array([0, 0, 1]), np.array([1, 1, 1, 2]), num_classes=3)
    assert errors.tolist() == [-2, 2, 1]


def make_sample(img_id, gt, pred, scores):
    sample = DetDataSample(metainfo=dict(img_id=img_id))
    sample.gt_instances = InstanceData(labels=torch.tensor(gt))
    sample.pred_instances = InstanceData(labels=torch.tensor(pred), scores=torch.tensor(scores))
    return sample


def test_row_in_the_table():
    set_default_scope()
    evaluator = Evaluator([dict(type='CountMetric', score_thr=0.3)])
    evaluator.dataset_meta = dict(thing_classes=('Car', 'Van'))
    # a car too many, with a score that counts; a van missed
    evaluator.process([make_sample(1, [0], [0, 0, 0], [0.9, 0.3, 0.2])])
    evaluator.process([make_sample(2, [0, 1, 1], [1, 0], [0.8, 0.7])])
    metrics = evaluator.evaluate(2)
    assert metrics == {'count/bias': 0.0, 'count/mae': 0.5}
    assert format_table(metrics, evaluator.metrics).splitlines() == [
        'count               too many         MAE',
        '----------------------------------------',
        'things                  0.00        0.50',
    ]
