"""The Virtual KITTI 2 converter on a genuine frame."""

import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import InstanceData
from PIL import Image
from pycocotools.coco import COCO
from vkitti2_frames import FOLDERS, GENUINE, load, quiet, source, tree

from pandepth_mm.fileio import read_panoptic_png
from pandepth_mm.registry import DATASETS, TASK_UTILS
from pandepth_mm.structures.vkitti2_meta import CLASS_COLORS

CONFIG = Path(__file__).parents[2] / 'configs' / 'pandepth' / 'pandepth_effb5_vkitti2.py'


@pytest.fixture(scope='module')
def genuine(tmp_path_factory):
    """The genuine frame; its depth is of the frame before, so renamed."""
    if not GENUINE.is_dir():
        pytest.skip(f'{GENUINE.name} is not beside the repository')
    root = tmp_path_factory.mktemp('genuine')
    where = dict(variation='morning', layout='archives')
    for key in FOLDERS:
        target = source(root, key, number=1, **where)
        target.parent.mkdir(parents=True)
        shutil.copyfile(source(GENUINE, key, number=0 if key == 'depth' else 1, **where), target)
    out = root / 'out'
    return root, out, quiet(root, out)


def test_genuine_encodings(genuine):
    """Against a reading of the source that shares no code with ours."""
    root, out, summary = genuine
    where = dict(variation='morning', layout='archives', number=1)
    assert summary.frames == dict(train=1, val=0, test=0)
    assert summary.counts['orphan_pixels'] == 1 and summary.counts['mixed_tracks'] == 0
    panoptic = load(out)
    (image,), (ann,) = panoptic['images'], panoptic['annotations']
    assert image['cam2img'] == [[725.0087, 0, 620.5], [0, 725.0087, 187.0], [0, 0, 1]]
    assert (image['width'], image['height']) == (1242, 375)
    ids = read_panoptic_png(out / 'panoptic' / ann['file_name'], (375, 1242))
    segments = {s['id']: s for s in ann['segments_info']}
    assert set(segments) == set(np.unique(ids)) - {0}
    assert sum(s['area'] for s in segments.values()) == (ids > 0).sum()
    assert (ids == 0).sum() == 1

    with Image.open(source(root, 'instances', **where)) as i:
        assert i.mode == 'P'
        tracks = np.array(i)
    colors = cv2.imread(str(source(root, 'classes', **where)))[..., ::-1]
    names = {c['id']: c['name'] for c in panoptic['categories']}
    things = []
    for key, segment in segments.items():
        mask = ids == key
        name = names[segment['category_id']]
        assert (colors[mask] == CLASS_COLORS[name]).all()
        ys, xs = np.nonzero(mask)
        assert segment['bbox'] == [
            xs.min(),
            ys.min(),
            xs.max() - xs.min() + 1,
            ys.max() - ys.min() + 1,
        ]
        assert segment['area'] == mask.sum()
        values = np.unique(tracks[mask])
        assert len(values) == 1
        if name in ('Truck', 'Car', 'Van'):
            assert (tracks == values[0]).sum() == mask.sum()
            things.append(values[0])
        else:
            assert values[0] == 0
            assert (colors == CLASS_COLORS[name]).all(2).sum() == mask.sum()
    assert set(things) == set(np.unique(tracks)) - {0}
    assert len(things) == len(set(things)) == 39


def test_genuine_instances(genuine):
    _, out, _ = genuine
    segments = {s['id']: s for s in load(out)['annotations'][0]['segments_info']}
    coco = COCO(out / 'annotations' / 'instances_train.json')
    assert len(coco.anns) == 39
    ids = read_panoptic_png(out / 'panoptic' / load(out)['annotations'][0]['file_name'])
    for ann in coco.anns.values():
        segment = segments[ann['segment_id']]
        for key in ('area', 'bbox', 'category_id'):
            assert ann[key] == segment[key]
        assert (coco.annToMask(ann) == (ids == segment['id'])).all()


def test_genuine_depth(genuine):
    root, out, summary = genuine
    raw = np.array(
        Image.open(source(root, 'depth', variation='morning', number=1, layout='archives'))
    ).astype(np.float64)
    (image,) = load(out)['images']
    size = 375 * 1242
    sampled = []
    for key, count in (('sparse_depth', round(size * 0.05)), ('gt_depth_map', size // 5)):
        got = np.array(Image.open(out / image[f'{key}_file']))
        on = got > 0
        assert on.sum() == count
        assert raw[on].max() <= 8000
        assert abs(got[on] / 256 - raw[on] / 100).max() <= 0.5 / 256
        sampled.append(on)
    densities = [summary.counts[f'{name}_pixels'] / size for name in ('sparse', 'gt')]
    assert densities == pytest.approx([0.05, 0.2], abs=1e-5)
    # 5 % of the image, of which 20 / 84.4 is in the other sample
    valid = (raw <= 8000).sum()
    expected = sampled[0].sum() * sampled[1].sum() / valid
    assert abs((sampled[0] & sampled[1]).sum() - expected) < 0.03 * expected


def test_genuine_by_panopticapi(genuine):
    """The ground truth scored against itself: every segment is found, exactly."""
    evaluation = pytest.importorskip('panopticapi.evaluation', reason='needs panopticapi-lite')
    _, out, _ = genuine
    panoptic = load(out)
    categories = {c['id']: c for c in panoptic['categories']}
    (ann,) = panoptic['annotations']
    folder = str(out / 'panoptic')
    stat = evaluation.pq_compute_single_core(
        0, [(ann, json.loads(json.dumps(ann)))], folder, folder, categories
    )
    result, _ = stat.pq_average(categories, isthing=None)
    assert result['pq'] == 1 and result['n'] == 11
    assert sum(stat[c].tp for c in categories) == len(ann['segments_info'])


def test_genuine_merged_lower_case(genuine, tmp_path):
    """The same frame as other people have it."""
    root, out, _ = genuine
    for key in FOLDERS:
        target = source(tmp_path, key, variation='morning', number=1, layout='lower')
        target.parent.mkdir(parents=True)
        shutil.copyfile(source(root, key, variation='morning', number=1, layout='archives'), target)
    quiet(tmp_path, tmp_path / 'out')
    assert load(tmp_path / 'out')['annotations'] == load(out)['annotations']
    ours, theirs = tree(tmp_path / 'out'), tree(out)
    for name, digest in theirs.items():
        if name.endswith('.png'):
            assert ours[name] == digest


def test_anchors_find_the_instances(genuine):
    """At least 18 of the 24 that are kept for training, by the config's own parts.

    With anchors of 8 strides alone there were 4.
    """
    _, out, _ = genuine
    cfg = Config.fromfile(CONFIG)
    dataset = dict(cfg.train_dataloader.dataset, data_root=str(out))
    sample = DATASETS.build(dataset)[0]['data_samples']
    assert len(sample.gt_instances) == 24
    assert len(sample.ignored_instances) == 39 - 24

    generator = TASK_UTILS.build(cfg.model.rpn_head.anchor_generator)
    height, width = sample.img_shape
    maps = [(math.ceil(height / s), math.ceil(width / s)) for (s, _) in generator.strides]
    assert max(generator.num_base_priors) <= 9
    assigner = TASK_UTILS.build(cfg.model.train_cfg.rpn.assigner)
    objects = InstanceData(
        bboxes=sample.gt_instances.bboxes.tensor, labels=sample.gt_instances.labels
    )
    anchors = InstanceData(priors=torch.cat(generator.grid_priors(maps, device='cpu')))
    found = assigner.assign(anchors, objects).gt_inds
    assert len(set(found[found > 0].tolist())) >= 18
