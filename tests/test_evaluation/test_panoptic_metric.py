"""DPQ, the heuristic fusion and the details of PanopticMetric."""

import math
import pickle

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import PixelData

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation import PanopticMetric

CLASSES = ('Car', 'Road', 'Sky')
META = dict(classes=CLASSES, thing_classes=('Car',), stuff_classes=CLASSES[1:])
LAMBDAS = (0.1, 0.25, 0.5)
SHAPE = (6, 8)


def pixel(array, key, dtype=torch.long):
    return PixelData(**{key: torch.as_tensor(array, dtype=dtype)[None]})


def make_sample(img_id=1, dense=False):
    """Sky (without depth) over road, a car of 2 x 4 pixels, right labels."""
    labels = np.repeat([2, 2, 1, 1, 1, 1], 8).reshape(SHAPE)
    labels[3:5, 2:6] = 0
    ids = np.where(labels == 0, 1000, labels)
    ids[0, 0] = len(CLASSES)
    gt = np.where(labels == 2, 0, 20.0)
    sparse = np.where(np.arange(8) % 4 == 0, gt, 0)
    sample = DetDataSample(
        metainfo=dict(
            img_id=img_id,
            img_path=f'{img_id}.jpg',
            ori_shape=SHAPE,
            segments_info=[
                dict(id=i, category=i % 1000, isthing=i == 1000, iscrowd=False)
                for i in (1000, 1, 2)
            ],
        )
    )
    sample.gt_panoptic_seg = pixel(ids, 'sem_seg')
    if dense:
        sample.dense_depth = pixel(gt, 'data', torch.float)
    panoptic = np.where(labels == 0, 1000, labels)
    sample.pred_panoptic_seg = pixel(panoptic, 'sem_seg')
    sample.pred_panoptic_baseline = pixel(np.where(labels == 0, 3, labels), 'sem_seg')
    sample.gt_depth_map = pixel(sparse, 'data', torch.float)
    depth = np.where(labels == 0, 24.0, 20.0)  # the car is 20 % too far
    sample.pred_depth_map = pixel(depth, 'data', torch.float)
    return sample


def evaluate(*samples, **options):
    metric = PanopticMetric(depth_lambdas=LAMBDAS, **options)
    metric.dataset_meta = META
    metric.process(None, [s.to_dict() for s in samples])
    return metric.evaluate(len(samples)), metric


def test_dense_truth_is_used():
    metrics, metric = evaluate(make_sample(dense=True))
    assert metrics['panoptic/PQ'] == 1
    # the whole car is void at 0.1, and right at 0.25
    assert metrics['panoptic/DPQ@0.1_th'] == 0
    assert metrics['panoptic/DPQ@0.1_st'] == 1
    assert metrics['panoptic/DPQ@0.1'] == pytest.approx(2 / 3)
    assert metrics['panoptic/DPQ@0.25'] == metrics['panoptic/DPQ@0.5'] == 1
    assert metrics['panoptic/DPQ'] == pytest.approx(8 / 9)
    assert metrics['panoptic/DPQ_th'] == pytest.approx(2 / 3)
    assert metrics['panoptic/DPQ_tested'] == 32 / 48
    found = metric.details['depth_truth']
    assert found['images'] == found['images_with_dense_truth'] == 1
    tested = {c: row['depth_tested'] for c, row in metric.details['per_class'].items()}
    assert tested == dict(Car=1.0, Road=1.0, Sky=0.0)
    assert all(type(v) is float for v in metrics.values())


def test_sparse_truth_where_none_is_dense():
    metrics, metric = evaluate(make_sample(), make_sample(2, dense=True))
    # in the first image 2 of the car's 8 pixels are tested: still a match
    assert metrics['panoptic/DPQ@0.1_th'] == (6 / 8) / (1 + 1 / 2)
    assert metrics['panoptic/DPQ_tested'] == (8 + 32) / 96
    assert metric.details['depth_truth']['images_with_dense_truth'] == 1


@pytest.mark.parametrize('dense', [False, True])
def test_truth_beyond_the_range_is_none(dense):
    sample = make_sample(dense=dense)
    metrics, _ = evaluate(sample, max_depth=19.0)
    assert metrics['panoptic/DPQ_tested'] == 0
    assert metrics['panoptic/DPQ'] == 1
    metrics, _ = evaluate(sample, max_depth=20.0)
    assert metrics['panoptic/DPQ_tested'] > 0


def test_twice_the_depth_leaves_nothing_that_is_tested():
    sample = make_sample(dense=True)
    sample.pred_depth_map.data[:] = 40
    metrics, _ = evaluate(sample)
    assert metrics['panoptic/DPQ_th'] == 0
    assert metrics['panoptic/DPQ_st'] == 0.5  # the sky has no depth
    sample.pred_depth_map.data[:] = float('nan')
    assert evaluate(sample)[0]['panoptic/DPQ_st'] == 0.5


def test_heuristic_fusion_has_its_own_numbers():
    metrics, metric = evaluate(make_sample(dense=True), heuristic_fusion=True)
    assert metrics['panoptic/PQ_th'] == 1
    assert metrics['panoptic/heuristic_fusion/PQ_th'] == 0  # all cars void
    assert metrics['panoptic/heuristic_fusion/PQ_st'] == 1
    assert metrics['panoptic/heuristic_fusion/DPQ_st'] == 1
    per_class = metric.details['heuristic_fusion']['per_class']
    assert per_class['Car']['FN'] == 1
    # the matrix is the model's
    assert metric.details['confusion']['counts'][0] == [8, 0, 0, 0]


def test_details():
    sample = make_sample()
    sample.pred_panoptic_seg.sem_seg[0, 5] = 2
    metrics, metric = evaluate(sample)
    confusion = metric.details['confusion']
    assert confusion['rows'] == confusion['columns'] == [*CLASSES, 'void']
    assert confusion['counts'] == [[8, 0, 0, 0], [0, 16, 8, 0], [0, 0, 15, 0], [0, 0, 1, 0]]
    sky = metric.details['per_class']['Sky']
    assert (sky['TP'], sky['FP'], sky['FN']) == (1, 0, 0)
    assert sky['PQ'] == sky['SQ'] == 15 / 23 and sky['RQ'] == 1
    rows = metric.details['per_class'].values()
    assert np.mean([row['PQ'] for row in rows]) == metrics['panoptic/PQ']
    assert np.mean([row['DPQ@0.1'] for row in rows]) == pytest.approx(metrics['panoptic/DPQ@0.1'])
    # nothing is left of it
    metric.evaluate(0)
    assert metric.details['confusion']['counts'] == [[0] * 4] * 4


def test_without_lambdas_no_depth_is_needed():
    sample = make_sample().to_dict()
    for field in ('gt_depth_map', 'pred_depth_map'):
        sample.pop(field)
    metric = PanopticMetric()
    metric.dataset_meta = META
    metric.process(None, [sample])
    metrics = metric.evaluate(1)
    assert metrics['panoptic/PQ'] == 1
    assert not any('DPQ' in key for key in metrics)
    assert 'depth_truth' not in metric.details


@pytest.mark.parametrize(
    'field', ['pred_depth_map', 'gt_depth_map', 'pred_panoptic_baseline', 'gt_panoptic_seg']
)
def test_missing_input_is_named(field):
    sample = make_sample().to_dict()
    sample.pop(field)
    metric = PanopticMetric(depth_lambdas=LAMBDAS, heuristic_fusion=True)
    metric.dataset_meta = META
    with pytest.raises(InputError, match=field):
        metric.process(None, [sample])


@pytest.mark.parametrize(
    'field, key', [('pred_depth_map', 'data'), ('pred_panoptic_baseline', 'sem_seg')]
)
def test_wrong_size_is_refused(field, key):
    sample = make_sample().to_dict()
    sample[field] = {key: sample[field][key][:, :-1]}
    metric = PanopticMetric(depth_lambdas=LAMBDAS, heuristic_fusion=True)
    metric.dataset_meta = META
    with pytest.raises(InputError, match='shape'):
        metric.process(None, [sample])


def test_segments_are_those_of_the_map():
    sample = make_sample()
    sample.set_metainfo(dict(segments_info=sample.segments_info[1:]))
    with pytest.raises(InputError, match='segments_info'):
        evaluate(sample)


def test_wrong_options():
    for options in (dict(depth_lambdas=(0.1, 0)), dict(max_depth=0)):
        with pytest.raises(InputError, match=next(iter(options))):
            PanopticMetric(**options)
    assert PanopticMetric(depth_lambdas=[0.5, 0.1]).lambdas == [0.1, 0.5]


def test_many_classes_leave_little():
    """COCO has 133 classes; a dense matrix of them is 140 kB."""
    classes = tuple(f'class{i}' for i in range(133))
    rng = np.random.default_rng(0)
    sample = make_sample(dense=True)
    labels = rng.integers(0, 133, SHAPE)
    sample.pred_panoptic_seg.sem_seg[0] = torch.from_numpy(labels)
    sample.gt_panoptic_seg.sem_seg[0, 0, 0] = 133
    metric = PanopticMetric(depth_lambdas=LAMBDAS)
    metric.dataset_meta = dict(
        classes=classes, thing_classes=classes[:80], stuff_classes=classes[80:]
    )
    metric.process(None, [sample.to_dict()])
    assert len(pickle.dumps(metric.results[0])) < 10_000
    metrics = metric.evaluate(1)
    assert not math.isnan(metrics['panoptic/DPQ'])
