"""The registered metrics through mmengine's evaluator."""

import contextlib
import io
import json
import math
import pickle

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp
from mmdet.structures import DetDataSample
from mmengine.evaluator import Evaluator
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData, PixelData
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation import DepthMetric, InstanceMetric, PanopticMetric, SemanticMetric
from pandepth_mm.evaluation.functional import (
    depth_row,
    nearest_fill,
    panoptic_stats,
    resize_bilinear,
)

THINGS = ('Truck', 'Car')
CLASSES = (*THINGS, 'Road', 'Sky', 'Pole')
SHAPE, NETWORK = (48, 96), (24, 40)
META = dict(classes=CLASSES, thing_classes=THINGS, stuff_classes=CLASSES[2:])
CAT_IDS = {'Car': 4, 'Truck': 9}  # neither sorted as the classes nor dense


def make_frame(rng, img_id):
    """Ground truth of one frame: three or no things before road and sky."""
    labels = np.full(SHAPE, 2)
    labels[:20] = 3
    labels[:4, :9] = 255
    ids = np.where(labels == 255, len(CLASSES), labels)
    segments_info = [dict(id=c, category=c, isthing=False, iscrowd=False) for c in (2, 3)]
    for k in range(0 if img_id % 3 == 0 else 3):
        y, x = rng.integers(0, 22), 32 * k + rng.integers(0, 8)
        category = int(rng.integers(0, 2))
        # triangles, so that masks and boxes overlap differently
        inside = np.zeros(SHAPE, bool)
        height = rng.integers(6, 25)
        inside[y : y + height, x : x + 22] = np.tri(height, 22, 1)
        thing = category + 1000 * (k + 1)
        labels[inside], ids[inside] = category, thing
        segments_info.append(dict(id=thing, category=category, isthing=True, iscrowd=False))
    return labels, ids, segments_info


def make_sample(rng, img_id, noise):
    """A data sample as the model returns it, and its COCO annotations."""
    labels, ids, segments_info = make_frame(rng, img_id)
    gt_depth = rng.uniform(2, 80, SHAPE) * (rng.random(SHAPE) < 0.2)
    sparse = rng.uniform(2, 80, (32, 64)) * (rng.random((32, 64)) < 0.1)

    pred_labels = np.where(rng.random(SHAPE) < 0.3 * noise, 4, labels)
    pred_labels[pred_labels == 255] = 2
    panoptic = pred_labels.copy()
    masks, pred_thing, scores, boxes, annotations = [], [], [], [], []
    for k, segment in enumerate(s for s in segments_info if s['isthing']):
        mask = ids == segment['id']
        rle = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
        annotations.append(
            dict(
                image_id=img_id,
                category_id=CAT_IDS[CLASSES[segment['category']]],
                area=int(mask.sum()),
                bbox=mask_utils.toBbox(rle).tolist(),
                iscrowd=0,
                segmentation=dict(size=rle['size'], counts=rle['counts'].decode()),
            )
        )
        shift = int(noise * rng.integers(0, 5))
        moved = np.roll(mask, shift, axis=1)
        category = segment['category']
        if noise and rng.random() < 0.2:
            category = 1 - category
        panoptic[moved] = category + 1000 * (k + 1)
        rows, columns = np.nonzero(moved)
        boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        masks.append(moved)
        pred_thing.append(category)
        scores.append(rng.random())
    n = len(masks)
    sample = DetDataSample(
        metainfo=dict(
            img_id=img_id,
            img_path=f'rgb/{img_id}.jpg',
            ori_shape=SHAPE,
            img_shape=NETWORK,
            segments_info=segments_info,
        )
    )

    def pixel(array, key, dtype):
        return PixelData(**{key: torch.as_tensor(array, dtype=dtype)[None]})

    sample.gt_sem_seg = pixel(labels, 'sem_seg', torch.long)
    sample.gt_panoptic_seg = pixel(ids, 'sem_seg', torch.int)
    sample.pred_sem_seg = pixel(pred_labels, 'sem_seg', torch.long)
    sample.pred_panoptic_seg = pixel(panoptic, 'sem_seg', torch.long)
    sample.pred_panoptic_baseline = pixel(np.roll(panoptic, 2, axis=0), 'sem_seg', torch.long)
    sample.gt_depth_map = pixel(gt_depth, 'data', torch.float)
    pred_depth = np.where(gt_depth > 0, gt_depth, 9)
    pred_depth = pred_depth + noise * rng.normal(0, 2, SHAPE)
    sample.pred_depth_map = pixel(pred_depth, 'data', torch.float)
    sample.sparse_depth = pixel(sparse, 'data', torch.float)
    sample.pred_instances = InstanceData(
        bboxes=torch.tensor(boxes, dtype=torch.float).reshape(n, 4),
        scores=torch.tensor(scores, dtype=torch.float),
        labels=torch.tensor(pred_thing, dtype=torch.long),
        masks=torch.tensor(np.array(masks).reshape(n, *SHAPE)).bool(),
    )
    return sample, annotations


def make_set(n=7, noise=1.0, seed=0):
    """Samples and their COCO annotations."""
    rng = np.random.default_rng(seed)
    pairs = [make_sample(rng, 10 + i, noise) for i in range(n)]
    annotations = [a for _, anns in pairs for a in anns]
    coco = dict(
        images=[dict(id=10 + i, width=SHAPE[1], height=SHAPE[0]) for i in range(n)],
        # from 1 on: COCOeval takes 0 for "no match"
        annotations=[dict(a, id=i) for i, a in enumerate(annotations, 1)],
        categories=[dict(id=i, name=c) for c, i in CAT_IDS.items()],
    )
    return [sample for sample, _ in pairs], coco


def make_evaluator(**depth):
    init_default_scope('pandepth_mm')
    evaluator = Evaluator(
        [
            dict(
                type='PanopticMetric',
                classwise=True,
                depth_lambdas=(0.1, 0.25, 0.5),
                heuristic_fusion=True,
            ),
            dict(type='SemanticMetric', classwise=True),
            dict(type='InstanceMetric', classwise=True),
            dict(type='DepthMetric', **depth),
        ]
    )
    evaluator.dataset_meta = META
    return evaluator


def run(samples, size=None, **depth):
    evaluator = make_evaluator(**depth)
    for sample in samples:
        evaluator.process([sample], data_batch=None)
    return evaluator.evaluate(len(samples) if size is None else size)


def details_of(evaluator):
    """All details; what cannot be JSON raises."""
    return json.dumps([m.details for m in evaluator.metrics], allow_nan=False)


def same(a, b):
    assert list(a) == list(b)
    for key, value in a.items():
        assert b[key] == value or (math.isnan(value) and math.isnan(b[key]))


def test_perfect_prediction():
    samples, _ = make_set(noise=0)
    metrics = run(samples)
    for key in (
        'panoptic/PQ',
        'panoptic/SQ_th',
        'panoptic/RQ_st',
        'panoptic/PQ/Car',
        'semantic/mIoU',
        'semantic/aAcc',
        'semantic/IoU/Truck',
        'instance/bbox_mAP_50',
        'instance/segm_mAP',
        'instance/segm_mAP/Car',
    ):
        assert metrics[key] == pytest.approx(1, abs=1e-12), key
    for key in ('depth/rmse', 'depth/imae', 'depth/n_clamped'):
        assert metrics[key] == 0, key
    assert metrics['depth/nearest_fill/rmse'] > 0
    assert metrics['depth/classical_fill/rmse'] > 0
    assert metrics['depth/planar_fill/rmse'] > 0
    assert math.isnan(metrics['panoptic/PQ/Pole'])
    assert math.isnan(metrics['semantic/IoU/Pole'])
    assert math.isnan(metrics['instance/bbox_mAP_l'])  # nothing is large
    assert all(type(v) in (float, int) for v in metrics.values())


def test_classwise_is_optional():
    samples, _ = make_set(n=2)
    for metric in (PanopticMetric(), SemanticMetric(), InstanceMetric()):
        metric.dataset_meta = META
        metric.process(None, [s.to_dict() for s in samples])
        assert all(key.count('/') == 1 for key in metric.evaluate(2))


def test_repeated_samples_count_once():
    samples, _ = make_set()
    expected = run(samples)
    assert 0.1 < expected['panoptic/PQ'] < 0.95
    padded = [samples[i] for i in (3, 3, 0, 5, 1, 0, 6, 4, 2)]
    same(run(padded, size=7), expected)


def test_two_ranks_give_the_table_of_one(monkeypatch):
    samples, _ = make_set()
    expected = run(samples)
    assert 0 < expected['panoptic/DPQ@0.1'] < expected['panoptic/DPQ'] < 1
    single = make_evaluator()
    single.process(samples, data_batch=None)
    single.evaluate(7)
    # contiguous parts with padding inside, the worst order for mmengine
    parts = [[0, 1, 2, 3], [3, 4, 5, 6]]
    ranks = [make_evaluator() for _ in parts]
    for rank, part in zip(ranks, parts, strict=True):
        for i in part:
            rank.process([samples[i]], data_batch=None)
    other = {id(m.results): n for m, n in zip(*[r.metrics for r in ranks], strict=True)}

    def collect(results, size, *args, **kwargs):
        pairs = zip(results, other[id(results)].results, strict=True)
        return [item for pair in pairs for item in pair][:size]

    monkeypatch.setattr('mmengine.evaluator.metric.collect_results', collect)
    same(ranks[0].evaluate(7), expected)
    assert details_of(ranks[0]) == details_of(single) != '[{}, {}, {}, {}]'


def _rank(rank, folder, parts):
    """Run one process of two and leave its metrics in a file."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    samples, _ = make_set()
    evaluator = make_evaluator()
    for metric in evaluator.metrics:
        metric.collect_dir = str(folder / type(metric).__name__)
    for i in parts[rank]:
        evaluator.process([samples[i]], data_batch=None)
    metrics = evaluator.evaluate(7)
    (folder / f'{rank}.pkl').write_bytes(pickle.dumps(metrics))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_gloo_processes(tmp_path):
    for rank in range(2):
        (tmp_path / str(rank)).mkdir()
    samples, _ = make_set()
    expected = run(samples)
    parts = [[0, 1, 2, 3], [3, 4, 5, 6]]
    mp.spawn(_rank, (tmp_path, parts), nprocs=2)
    for rank in range(2):
        same(pickle.loads((tmp_path / f'{rank}.pkl').read_bytes()), expected)


def test_ids_of_two_images_may_not_clash():
    samples, _ = make_set(n=2)
    samples[1].set_metainfo(dict(img_id=samples[0].img_id))
    with pytest.raises(InputError, match='img_id'):
        run(samples)


def test_what_travels_is_small():
    samples, _ = make_set()
    evaluator = make_evaluator()
    for sample in samples:
        evaluator.process([sample], data_batch=None)
    for metric in evaluator.metrics:
        assert len(metric.results) == len(samples)
        for result in metric.results:
            assert len(pickle.dumps(result)) < 10_000


def test_panoptic_equals_the_functional():
    samples, _ = make_set(n=1, seed=1)
    sample = samples[0]
    sample.set_metainfo(dict(img_id=11))
    _, ids, segments = make_frame(np.random.default_rng(4), 11)
    sample.set_metainfo(dict(segments_info=segments))
    sample.gt_panoptic_seg.sem_seg = torch.from_numpy(ids)[None]
    # one car over the left half, stuff road elsewhere, void below
    pred = np.full(SHAPE, 2)
    pred[:, :48] = 1001
    pred[40:] = len(CLASSES)
    sample.pred_panoptic_seg.sem_seg = torch.from_numpy(pred)[None]
    metric = PanopticMetric(classwise=True)
    metric.dataset_meta = META
    metric.process(None, [sample.to_dict()])
    expected = panoptic_stats(
        np.where(ids == len(CLASSES), 0, ids),
        segments,
        np.where(pred == len(CLASSES), 0, pred),
        [dict(id=2, category=2), dict(id=1001, category=1)],
        len(CLASSES),
    )
    assert expected.any()
    index, values = metric.results[0][2]['stats']
    np.testing.assert_array_equal(index, np.flatnonzero(expected))
    np.testing.assert_array_equal(values, expected.ravel()[index])
    metrics = metric.evaluate(1)
    iou, tp, fp, fn = expected[2]
    assert metrics['panoptic/PQ/Road'] == iou / (tp + fp / 2 + fn / 2)


def as_coco(samples, kind):
    results = []
    for sample in samples:
        pred = sample.pred_instances
        for box, score, label, mask in zip(
            pred.bboxes.tolist(),
            pred.scores.tolist(),
            pred.labels.tolist(),
            pred.masks.numpy(),
            strict=True,
        ):
            item = dict(image_id=sample.img_id, category_id=CAT_IDS[CLASSES[label]], score=score)
            if kind == 'bbox':
                x1, y1, x2, y2 = box
                item['bbox'] = [x1, y1, x2 - x1, y2 - y1]
            else:
                item['segmentation'] = mask_utils.encode(np.asfortranarray(mask.astype(np.uint8)))
            results.append(item)
    return results


@pytest.mark.parametrize('kind', ['bbox', 'segm'])
def test_ap_equals_pycocotools(kind):
    samples, coco = make_set(n=9)
    metric = InstanceMetric(metric=kind, classwise=True)
    metric.dataset_meta = META
    metric.process(None, [s.to_dict() for s in samples])
    metrics = metric.evaluate(9)

    gt = COCO()
    gt.dataset = coco
    with contextlib.redirect_stdout(io.StringIO()):
        gt.createIndex()
        oracle = COCOeval(gt, gt.loadRes(as_coco(samples, kind)), kind)
        oracle.evaluate()
        oracle.accumulate()
        oracle.summarize()
    assert 0.05 < oracle.stats[0] < 0.95
    for name, value in zip(('', '_50', '_75', '_s', '_m', '_l'), oracle.stats, strict=False):
        got = metrics[f'instance/{kind}_mAP{name}']
        if value == -1:
            assert math.isnan(got)
        else:
            assert got == value
    for name, cat_id in CAT_IDS.items():
        with contextlib.redirect_stdout(io.StringIO()):
            oracle.params.catIds = [cat_id]
            oracle.evaluate()
            oracle.accumulate()
            oracle.summarize()
        assert metrics[f'instance/{kind}_mAP/{name}'] == pytest.approx(oracle.stats[0], abs=1e-12)


def test_boxes_and_masks_are_told_apart():
    samples, _ = make_set(noise=0)
    for sample in samples:  # right boxes around wrong masks
        masks = sample.pred_instances.masks
        sample.pred_instances.masks = torch.zeros_like(masks)
    metrics = run(samples)
    assert metrics['instance/bbox_mAP'] == pytest.approx(1)
    assert metrics['instance/segm_mAP'] == 0


def test_ap_without_detections_is_zero(capsys):
    samples, _ = make_set(n=3)
    for sample in samples:
        sample.pred_instances = sample.pred_instances[:0]
    metric = InstanceMetric()
    metric.dataset_meta = META
    metric.process(None, [s.to_dict() for s in samples])
    metrics = metric.evaluate(3)
    assert metrics['instance/bbox_mAP'] == metrics['instance/segm_mAP'] == 0
    assert 'Average Precision' not in capsys.readouterr().out


def test_ap_counts_only_processed_images():
    samples, _ = make_set(noise=0)
    metric = InstanceMetric('bbox')
    metric.dataset_meta = META
    metric.process(None, [s.to_dict() for s in samples[:3]])
    assert metric.evaluate(3)['instance/bbox_mAP'] == pytest.approx(1)


def test_crowds_are_neither_found_nor_missed():
    samples, _ = make_set(n=2, noise=0)
    things = [s for s in samples[1].segments_info if s['isthing']]
    assert len(things) == 3
    things[0]['iscrowd'] = True
    kept = samples[1].pred_instances
    for pred in (kept, kept[1:]):
        samples[1].pred_instances = pred
        metrics = run(samples)
        assert metrics['instance/bbox_mAP'] == metrics['instance/segm_mAP'] == pytest.approx(1)
    samples[1].pred_instances = kept[:2]
    assert run(samples)['instance/segm_mAP'] < 1


def test_depth_equals_the_functional():
    samples, _ = make_set(n=3)
    samples[2].gt_depth_map.data.zero_()
    samples[0].pred_depth_map.data[:] = -1
    metrics = run(samples)
    model, fill, pooled = [], [], []
    for sample in samples[:2]:
        gt = sample.gt_depth_map.data[0].numpy()
        model.append(depth_row(gt, sample.pred_depth_map.data[0].numpy()))
        # padding of the network's batch is no input
        sparse = sample.sparse_depth.data[0].numpy()[:24, :40]
        dense = resize_bilinear(nearest_fill(sparse), SHAPE)
        fill.append(depth_row(gt, dense))
        pooled.append((dense - gt)[gt > 0])
    assert metrics['depth/rmse'] == np.mean([r[2] for r in model])
    assert model[0][1] == model[0][0] > 0  # every prediction was clamped
    assert metrics['depth/n_clamped'] == model[0][1] + model[1][1]
    assert metrics['depth/n_images_without_gt'] == 1
    assert metrics['depth/nearest_fill/imae'] == np.mean([r[5] for r in fill])
    assert metrics['depth/nearest_fill/rmse_pooled'] == pytest.approx(
        1000 * np.sqrt(np.mean(np.concatenate(pooled) ** 2)), rel=1e-6
    )


def test_depth_input_without_points():
    samples, _ = make_set(n=1)
    samples[0].sparse_depth.data.zero_()
    metrics = run(samples)
    assert metrics['depth/classical_fill/n_clamped'] == np.sum(
        samples[0].gt_depth_map.data.numpy() > 0
    )


def test_depth_options():
    samples, _ = make_set(n=2)
    metrics = run(samples)
    near = run(samples, fills=(), max_depth=20.0)
    assert not any('fill' in key for key in near)
    assert near['depth/rmse'] != metrics['depth/rmse']
    with pytest.raises(InputError, match='fills'):
        DepthMetric(fills=('bilinear',))
    with pytest.raises(InputError, match='max_depth'):
        DepthMetric(max_depth=0)


@pytest.mark.parametrize(
    ('cls', 'field'),
    [
        (PanopticMetric, 'pred_panoptic_seg'),
        (SemanticMetric, 'pred_sem_seg'),
        (SemanticMetric, 'gt_sem_seg'),
        (InstanceMetric, 'pred_instances'),
        (DepthMetric, 'pred_depth_map'),
        (DepthMetric, 'gt_depth_map'),
        (DepthMetric, 'sparse_depth'),
        (PanopticMetric, 'segments_info'),
        (PanopticMetric, 'gt_panoptic_seg'),
        (InstanceMetric, 'gt_panoptic_seg'),
        (PanopticMetric, 'img_id'),
    ],
)
def test_missing_prediction_is_named(cls, field):
    samples, _ = make_set(n=1)
    sample = samples[0].to_dict()
    sample.pop(field)
    metric = cls()
    metric.dataset_meta = META
    with pytest.raises(InputError, match=field):
        metric.process(None, [sample])


@pytest.mark.parametrize(
    ('cls', 'field', 'key'),
    [
        (PanopticMetric, 'pred_panoptic_seg', 'sem_seg'),
        (SemanticMetric, 'pred_sem_seg', 'sem_seg'),
        (DepthMetric, 'pred_depth_map', 'data'),
    ],
)
def test_wrong_size_is_refused(cls, field, key):
    samples, _ = make_set(n=1)
    sample = samples[0].to_dict()
    sample[field] = {key: sample[field][key][:, :-1]}
    metric = cls()
    metric.dataset_meta = META
    with pytest.raises(InputError, match='48'):
        metric.process(None, [sample])


def test_fewer_images_than_the_set_is_said(monkeypatch):
    samples, _ = make_set(n=2)
    metric = SemanticMetric()
    metric.dataset_meta = META
    metric.process(None, [s.to_dict() for s in samples])
    said = []
    monkeypatch.setattr(
        'pandepth_mm.evaluation.metrics.per_image_metric.print_log',
        lambda message, **kwargs: said.append(message),
    )
    metric.evaluate(5)
    assert '5 images, but 2 were evaluated' in said[0]
