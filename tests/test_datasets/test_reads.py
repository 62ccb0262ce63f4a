"""Each file of a test frame is decoded once, in a worker of the loader."""

import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.structures import InstanceData, PixelData
from tiny_dataset import make_tiny_dataset, tiny_config
from torch.utils.data import DataLoader

from pandepth_mm.registry import DATASETS

BASE = Path(__file__).parents[2] / 'configs/_base_/datasets/vkitti2_panoptic_depth.py'
FRAMES = 3


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Samples of the configs' test pipeline out of a worker; data set; how to see the reads."""
    root = make_tiny_dataset(tmp_path / 'data', FRAMES, splits=('test',))
    pipeline = Config.fromfile(BASE).test_pipeline
    dataset = DATASETS.build(tiny_config(root, 'test', pipeline, test_mode=True))
    log, imread = tmp_path / 'reads', cv2.imread
    log.touch()

    def logged(path, *args):
        with open(log, 'a') as f:
            f.write(f'{os.getpid()} {path}\n')
        return imread(path, *args)

    monkeypatch.setattr(cv2, 'imread', logged)
    loader = DataLoader(
        dataset, num_workers=1, collate_fn=pseudo_collate, multiprocessing_context='fork'
    )
    samples = [batch['data_samples'][0] for batch in loader]
    return samples, dataset, lambda: [x.split() for x in log.read_text().splitlines()]


def predict(sample):
    """Put the ground truth into the sample as its predictions."""
    labels = sample.gt_sem_seg.sem_seg
    sample.pred_sem_seg = PixelData(sem_seg=labels.where(labels < 14, 14))
    sample.pred_panoptic_seg = PixelData(sem_seg=sample.gt_panoptic_seg.sem_seg.long())
    gt = sample.gt_instances
    sample.pred_instances = InstanceData(
        bboxes=gt.bboxes.tensor,
        labels=gt.labels,
        scores=torch.ones(len(gt)),
        masks=torch.from_numpy(gt.masks.masks.astype(bool)),
    )
    depth = sample.dense_depth.data
    sample.pred_depth_map = PixelData(data=depth.where(depth > 0, 50))


def test_the_loader_decodes_each_file_once(run):
    samples, dataset, reads = run
    assert len(samples) == FRAMES
    assert str(os.getpid()) not in {pid for pid, _ in reads()}
    records = [dataset.get_data_info(i) for i in range(FRAMES)]
    keys = ('seg_map_path', 'sparse_depth_path', 'gt_depth_map_path', 'dense_depth_path')
    assert Counter(path for _, path in reads()) == Counter(r[key] for r in records for key in keys)


def test_the_metrics_decode_nothing(run):
    samples, dataset, reads = run
    before = reads()
    evaluator = Evaluator(Config.fromfile(BASE).test_evaluator)
    evaluator.dataset_meta = dataset.metainfo
    for sample in samples:
        predict(sample)
        evaluator.process([sample])
    metrics = evaluator.evaluate(FRAMES)
    assert reads() == before
    # the sample had all that they want
    for name in ('panoptic/PQ', 'panoptic/DPQ', 'semantic/mIoU', 'instance/segm_mAP'):
        assert metrics[name] == pytest.approx(1), name
    assert metrics['depth/rmse'] < 10  # mm: the file of the dense depth has centimeters
    dense = [(sample.dense_depth.data > 0).float().mean() for sample in samples]
    assert metrics['panoptic/DPQ_tested'] == pytest.approx(np.mean(dense))
    (breakdown,) = [m.details['breakdown'] for m in evaluator.metrics if 'breakdown' in m.details]
    assert all(breakdown[part] for part in ('edge', 'class', 'instance'))
