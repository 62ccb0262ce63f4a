"""A test run without a model: made-up predictions, metrics, files."""

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData, PixelData
from tiny_dataset import tiny_config

from pandepth_mm.evaluation.metrics_file import collect_details, plain
from pandepth_mm.registry import DATASETS
from pandepth_mm.structures.vkitti2_meta import CLASSES

FRAMES, SHAPE, SCALE = 3, (48, 96), [64, 32]
STEP = 1 / 256  # meters, of the depth PNG
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='ResizePanopticDepth'),
    dict(type='LoadPanopticMap'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='LoadDepthMap', key='dense_depth', invalid=65535, optional=True),
    dict(type='PackPanopticDepthInputs'),
]
PANOPTIC = dict(
    type='PanopticMetric',
    classwise=True,
    depth_lambdas=[0.1, 0.25, 0.5],
    max_depth=80.0,
    heuristic_fusion=True,
)
SEMANTIC = dict(type='SemanticMetric', classwise=True)
INSTANCE = dict(type='InstanceMetric', classwise=True)
DEPTH = dict(type='DepthMetric')
METRICS = [
    PANOPTIC,
    SEMANTIC,
    INSTANCE,
    DEPTH,
    dict(type='DepthBreakdownMetric'),
    dict(type='DepthLegacyMetric'),
]


def plane(array, key='sem_seg'):
    return PixelData(**{key: torch.as_tensor(array)[None]})


def predict(sample, rng):
    """Put predictions into a sample: the ground truth with mistakes."""
    labels = sample.gt_sem_seg.sem_seg[0].numpy().copy()
    labels[rng.random(SHAPE) < 0.1] = rng.integers(len(CLASSES))
    labels[:2, :5] = len(CLASSES)  # no class
    sample.pred_sem_seg = plane(labels.astype(np.int64))

    ids = sample.gt_panoptic_seg.sem_seg[0].numpy()
    panoptic = sample.gt_sem_seg.sem_seg[0].numpy().astype(np.int64)
    panoptic[40:, :30] = len(CLASSES)
    masks, things = [], []
    for k, segment in enumerate(s for s in sample.segments_info if s['isthing']):
        mask = np.roll(ids == segment['id'], rng.integers(4), axis=1)
        panoptic[mask] = segment['category'] + 1000 * (k + 3)
        for shift in (0, 2):
            masks.append(np.roll(mask, shift, axis=0))
            things.append(segment['category'])
    sample.pred_panoptic_seg = plane(panoptic)
    other = np.roll(panoptic, 3, axis=1)
    other[-6:, :9] = len(CLASSES) - 1  # a class that the model does not see
    sample.pred_panoptic_baseline = plane(other)
    n = len(masks)
    boxes = torch.zeros(n, 4)
    for box, mask in zip(boxes, masks, strict=True):
        v, u = np.nonzero(mask)
        box += torch.tensor([u.min(), v.min(), u.max() + 1, v.max() + 1])
    boxes += torch.from_numpy(rng.normal(0, 0.7, (n, 4)).astype(np.float32))
    boxes[:, 2:] = torch.maximum(boxes[:, 2:], boxes[:, :2] + 1)
    scores = torch.from_numpy(rng.random(n).astype(np.float32))
    scores[1:2] = scores[:1]  # a tie: the order counts
    sample.pred_instances = InstanceData(
        bboxes=boxes,
        scores=scores,
        labels=torch.tensor(things, dtype=torch.long),
        masks=torch.from_numpy(np.array(masks).reshape(n, *SHAPE)),
    )

    depth = sample.dense_depth.data[0].numpy()
    depth = np.where(depth > 0, depth, 50) * rng.normal(1, 0.2, SHAPE)
    sample.pred_depth_map = plane(depth.clip(1).astype(np.float32), key='data')


def quantize(depth):
    return (torch.round(depth * 256) / 256).float()


def metrics_of(samples, meta, cfgs):
    """The numbers of the run itself, from memory, as JSON has them."""
    evaluator = Evaluator([dict(cfg) for cfg in cfgs])
    evaluator.dataset_meta = meta
    for sample in samples:
        evaluator.process([sample])
    metrics = evaluator.evaluate(len(samples))
    metrics = {name: float(value) for name, value in metrics.items()}
    return plain(dict(metrics, details=collect_details(evaluator.metrics)))


def formatter(meta, out, cfgs=METRICS):
    settings = dict(dataset=dict(img_scale=SCALE), pipeline=PIPELINE, metrics=cfgs)
    evaluator = Evaluator(dict(type='FormatPredictions', out_dir=str(out), settings=settings))
    evaluator.dataset_meta = meta
    return evaluator


def write(samples, meta, out, cfgs=METRICS):
    evaluator = formatter(meta, out, cfgs)
    for sample in samples:
        evaluator.process([sample])
    assert evaluator.evaluate(len(samples)) == {}


def compare(got, expected, where=''):
    """Every number to 1e-9, None for None."""
    assert type(got) is type(expected), where
    if isinstance(got, dict):
        assert got.keys() == expected.keys(), where
        for key in got:
            compare(got[key], expected[key], f'{where}.{key}')
    elif isinstance(got, list):
        assert len(got) == len(expected), where
        for i, pair in enumerate(zip(got, expected, strict=True)):
            compare(*pair, f'{where}[{i}]')
    elif isinstance(got, float):
        assert got == pytest.approx(expected, rel=1e-9, abs=1e-9), where
    else:
        assert got == expected, where


def all_frames(root):
    dataset = DATASETS.build(tiny_config(root, 'test', PIPELINE, img_scale=SCALE, test_mode=True))
    rng = np.random.default_rng(3)
    samples = [dataset[i]['data_samples'] for i in range(len(dataset))]
    for sample in samples:
        predict(sample, rng)
    return samples, dataset.metainfo
