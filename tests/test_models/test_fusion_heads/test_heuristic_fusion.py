"""mmdet's heuristic fusion on the output of our heads."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from random_batch import random_batch

from pandepth_mm.errors import InputError
from pandepth_mm.models.fusion_heads import HeuristicFusion
from pandepth_mm.registry import MODELS, set_default_scope

MINI = Path(__file__).parents[3].joinpath('configs', 'pandepth', 'pandepth_effb0_minivkitti.py')


def laid_down(sem_logits, instances, num_things, score_thr, overlap_thr, stuff_area_limit):
    """Panoptic FPN's rule, pixel by pixel."""
    num_classes, height, width = sem_logits.shape
    owner = [[0] * width for _ in range(height)]
    labels = [None]
    order = sorted(range(len(instances)), key=lambda i: -instances.scores[i])
    for i in order:
        if instances.scores[i] < score_thr:
            continue
        mask = instances.masks[i].nonzero().tolist()
        taken = sum(owner[v][u] > 0 for v, u in mask)
        if not mask or taken / len(mask) > overlap_thr:
            continue
        for v, u in mask:
            owner[v][u] = owner[v][u] or len(labels)
        labels.append(int(instances.labels[i]))
    best = sem_logits.argmax(0).tolist()
    panoptic = [
        [
            labels[owner[v][u]] + 1000 * owner[v][u]
            if owner[v][u]
            else (best[v][u] if best[v][u] >= num_things else num_classes)
            for u in range(width)
        ]
        for v in range(height)
    ]
    area = {}
    for row in panoptic:
        for value in row:
            area[value] = area.get(value, 0) + 1
    return [
        [num_classes if value < 1000 and area[value] < stuff_area_limit else value for value in row]
        for row in panoptic
    ]


def random_instances(generator, n, size):
    masks = torch.zeros(n, *size, dtype=torch.bool)
    for mask in masks:
        y, x = (int(torch.randint(0, s, (1,), generator=generator)) for s in size)
        mask[y : y + 6, x : x + 9] = True
    return InstanceData(
        bboxes=torch.zeros(n, 4),
        scores=torch.rand(n, generator=generator),
        labels=torch.randint(0, 2, (n,), generator=generator),
        masks=masks,
    )


def test_equals_the_rule():
    generator = torch.Generator().manual_seed(0)
    kept = void = 0
    for n in (0, 1, 6, 12, 12, 12):
        logits = torch.randn(5, 12, 20, generator=generator)
        instances = random_instances(generator, n, (12, 20))
        fusion = MODELS.build(
            dict(
                type='pandepth_mm.HeuristicFusion',
                num_things=2,
                num_stuff=3,
                score_thr=0.3,
                overlap_thr=0.4,
                stuff_area_limit=35 / (12 * 20),
            )
        )
        before = logits.clone()
        got = fusion.predict(logits, instances)
        assert (logits == before).all()
        assert got.dtype == torch.long
        assert got.tolist() == laid_down(logits, instances, 2, 0.3, 0.4, 35)
        kept += int((got.unique() >= 1000).sum())
        void += int((got == 5).sum())
    assert kept > 10 and void > 100


def test_without_things():
    fusion = HeuristicFusion(num_things=0, num_stuff=3, stuff_area_limit=0)
    logits = torch.randn(3, 4, 5)
    got = fusion.predict(logits, random_instances(torch.Generator(), 0, (4, 5)))
    assert (got == logits.argmax(0)).all()


def test_the_detector_fuses_twice():
    set_default_scope()
    torch.manual_seed(0)
    cfg = Config.fromfile(MINI).model
    cfg.panoptic_baseline = dict(
        type='HeuristicFusion', score_thr=0.0, overlap_thr=1.0, stuff_area_limit=0
    )
    # untrained scores and masks are low
    cfg.test_cfg.rcnn.update(score_thr=0.0, mask_thr_binary=0.1)
    model = MODELS.build(cfg).eval()
    with torch.no_grad():
        samples = model.test_step(random_batch())
    for sample in samples:
        panoptic = sample.pred_panoptic_baseline.sem_seg
        semantic = sample.pred_sem_seg.sem_seg
        assert panoptic.shape == semantic.shape
        stuff = (panoptic >= model.num_things) & (panoptic < model.num_classes)
        assert (panoptic[stuff] == semantic[stuff]).all()
        void = panoptic == model.num_classes
        assert (semantic[void] < model.num_things).all()
        instance = panoptic >= 1000
        covered = sample.pred_instances.masks.any(0, keepdim=True)
        assert (instance == covered).all() and covered.any()
    cfg.panoptic_fusion = None
    with pytest.raises(InputError, match='panoptic_baseline'):
        MODELS.build(cfg)
