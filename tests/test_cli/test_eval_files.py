"""Predictions to files and back: the numbers of the run."""

import contextlib
import io
import json
import math
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import PixelData
from prediction_run import (
    DEPTH,
    FRAMES,
    INSTANCE,
    METRICS,
    PANOPTIC,
    PIPELINE,
    SEMANTIC,
    STEP,
    all_frames,
    compare,
    metrics_of,
    plane,
    quantize,
    write,
)
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tiny_dataset import make_tiny_dataset

from pandepth_mm.engine.launch import apply_format_only
from pandepth_mm.evaluation.prediction_files import TRANSFORMS, frame_names
from pandepth_mm.fileio import read_json, write_json

CONFIGS = Path(__file__).parents[2] / 'configs' / 'pandepth'


def test_every_number_is_that_of_the_run(run, run_tool, tmp_path):
    """With depths that the PNG can hold; else see the next test."""
    gt, samples, meta = run
    for sample in samples:
        sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
    write(samples, meta, tmp_path / 'pred')
    code, out, err = run_tool('eval_files', gt, tmp_path / 'pred', '--out', tmp_path / 'm.json')
    assert code == 0, err
    got = json.loads((tmp_path / 'm.json').read_text())
    compare(got, metrics_of(samples, meta, METRICS))
    for key in (
        'panoptic/PQ',
        'panoptic/DPQ@0.1',
        'instance/bbox_mAP',
        'panoptic/heuristic_fusion/PQ',
        'instance/segm_mAP',
        'semantic/mIoU',
    ):
        assert 0.05 < got[key] < 0.95, key
    assert got['depth/rmse'] > 100 and got['depth/unseen_rmse'] > 100
    assert got['depth/nearest_fill/rmse'] > 0
    assert got['details']['depth']['breakdown']['instance']
    # the table, and under which settings it was made
    assert 'max_depth=80.0' in out and f'{got["depth/rmse"]:.1f}' in out


def test_depth_is_off_by_half_a_step_at_most(run, run_tool, tmp_path):
    """Bounds by the triangle inequality of each error's norm."""
    gt, samples, meta = run
    off, near, near_gt, close = STEP / 2, math.inf, math.inf, np.zeros(3)
    for sample in samples:
        dense = sample.dense_depth.data[0].numpy().copy()
        dense[dense > 80] = 0
        depth = sample.pred_depth_map.data[0].numpy()
        # no pixel may change sides of a lambda: then DPQ cannot change
        for limit in PANOPTIC['depth_lambdas']:
            error = np.abs(depth.astype(float) - dense)
            tight = (dense > 0) & (np.abs(error - limit * dense) <= 2 * off)
            depth[tight] = dense[tight]
        valid = sample.gt_depth_map.data[0].numpy()
        d, t = depth[valid > 0].astype(float), valid[valid > 0].astype(float)
        near, near_gt = min(near, d.min()), min(near_gt, t.min())
        ratio = np.log(np.maximum(d / t, t / d)) / math.log(1.25)
        margin = off / (d.min() - off) / math.log(1.25)
        close += [(np.abs(ratio - k) <= margin).mean() for k in (1, 2, 3)]
    write(samples, meta, tmp_path / 'pred')
    code, _, err = run_tool('eval_files', gt, tmp_path / 'pred', '--out', tmp_path / 'm.json')
    assert code == 0, err
    got = json.loads((tmp_path / 'm.json').read_text())
    expected = metrics_of(samples, meta, METRICS)

    inverse = off / near / (near - off)
    bounds = {
        **dict.fromkeys(
            ['rmse', 'mae', 'rmse_pooled', 'unseen_rmse', 'unseen_mae', 'legacy/rmse_valid'],
            1e3 * off,
        ),
        'legacy/rmse_units': off / 2.55,
        'irmse': 1e3 * inverse,
        'imae': 1e3 * inverse,
        'absrel': off / near_gt,
        'silog': 100 * off / (near - off),
        **{f'delta{k}': close[k - 1] / len(samples) for k in (1, 2, 3)},
    }
    for name, norm in (('sqrel_kitti', near_gt), ('sqrel_eigen', near_gt**0.5)):
        root = math.sqrt(expected[f'depth/{name}'])
        bounds[name] = off / norm * (2 * root + off / norm)
    changed = 0
    assert got.keys() == expected.keys()
    for key, value in expected.items():
        bound = bounds.get(key.removeprefix('depth/'), 0)
        if key == 'details':
            continue
        if value is None:
            assert got[key] is None, key
        else:
            assert abs(got[key] - value) <= bound + 1e-9, key
            changed += got[key] != value and bound > 0
    assert changed >= 10  # the bounds were needed

    # and exactly the numbers of the depth rounded
    for sample in samples:
        sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
    compare(got, metrics_of(samples, meta, METRICS))


def test_dpq_is_that_of_the_rounded_depth(run, run_tool, tmp_path):
    """A lambda that the rounding crosses: the file's depth decides."""
    gt, samples, meta = run
    cfgs = [dict(PANOPTIC, depth_lambdas=[0.25])]
    for sample in samples:
        # dense ground truth in cm: 0.1 mm within the limit, rounded beyond it
        dense = sample.dense_depth.data[0].numpy()
        sample.pred_depth_map = plane((dense * 1.25 - 1e-4).clip(1), 'data')
    write(samples, meta, tmp_path / 'pred', cfgs)
    code, _, err = run_tool('eval_files', gt, tmp_path / 'pred', '--out', tmp_path / 'm.json')
    assert code == 0, err
    got = json.loads((tmp_path / 'm.json').read_text())
    before = metrics_of(samples, meta, cfgs)
    for sample in samples:
        sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
    compare(got, metrics_of(samples, meta, cfgs))
    assert abs(got['panoptic/DPQ'] - before['panoptic/DPQ']) > 0.01
    assert got['panoptic/PQ'] == before['panoptic/PQ']


def test_depths_that_are_none(run, run_tool, tmp_path):
    gt, samples, meta = run
    cfgs = [DEPTH]
    for sample in samples:
        depth = quantize(sample.pred_depth_map.data)
        pixels = torch.nonzero(sample.gt_depth_map.data > 0)[:6]
        for (_, v, u), value in zip(
            pixels.tolist(), (0, -3, math.nan, math.inf, 0.003, 0.004), strict=True
        ):
            depth[0, v, u] = value
        sample.pred_depth_map.data = depth
    expected = metrics_of(samples, meta, cfgs)
    # 0.004 m is more than 1/256 m, and rounded to it
    assert expected['depth/n_clamped'] == 5 * FRAMES
    for sample in samples:  # no ground truth there: the numbers stay
        v, u = torch.nonzero(sample.gt_depth_map.data[0] == 0)[0].tolist()
        sample.pred_depth_map.data[0, v, u] = 300
    write(samples, meta, tmp_path / 'pred', cfgs)
    assert read_json(tmp_path / 'pred/info.json')['n_depths_cut_off'] == FRAMES
    code, _, err = run_tool('eval_files', gt, tmp_path / 'pred', '--out', tmp_path / 'm.json')
    assert code == 0, err
    got = json.loads((tmp_path / 'm.json').read_text())
    assert got['depth/n_clamped'] == 5 * FRAMES
    for key in ('rmse', 'mae', 'absrel', 'nearest_fill/irmse'):
        assert got[f'depth/{key}'] == pytest.approx(expected[f'depth/{key}'], abs=1e3 * STEP)


@pytest.mark.parametrize('path', sorted(CONFIGS.rglob('*.py')), ids=str)
def test_settings_of_the_configs(path):
    """What --format-only hands over is JSON, and eval_files.py takes it."""
    cfg = Config.fromfile(path)
    before = cfg.test_evaluator
    apply_format_only(cfg, 'out')
    settings = json.loads(json.dumps(cfg.test_evaluator.settings))
    assert settings['dataset']['img_scale'] == list(cfg.test_dataloader.dataset.img_scale)
    assert [t['type'] for t in settings['pipeline']] == [t['type'] for t in PIPELINE]
    assert {t['type'] for t in settings['pipeline']} <= set(TRANSFORMS)
    assert len(settings['metrics']) == len(before)


@pytest.mark.parametrize(
    'kept, cfgs, kinds',
    [
        (['pred_sem_seg'], [SEMANTIC], ['semantic']),
        (['pred_depth_map'], [DEPTH], ['depth']),
        (['pred_instances'], [INSTANCE], ['instances_bbox', 'instances_segm']),
        (['pred_panoptic_seg'], [dict(type='PanopticMetric')], ['panoptic']),
        (['pred_sem_seg', 'pred_depth_map'], [SEMANTIC, DEPTH], ['semantic', 'depth']),
    ],
)
def test_branches_that_are_missing(run, run_tool, tmp_path, kept, cfgs, kinds):
    gt, samples, meta = run
    for sample in samples:
        for key in sample.keys():
            if key.startswith('pred_') and key not in kept:
                delattr(sample, key)
        if 'pred_depth_map' in kept:
            sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
    out = tmp_path / 'pred'
    write(samples, meta, out, cfgs)
    assert read_json(out / 'info.json')['predictions'] == kinds
    assert {p.stem for p in out.iterdir()} == {*kinds, 'info'}
    code, _, err = run_tool('eval_files', gt, out, '--out', tmp_path / 'm.json')
    assert code == 0, err
    compare(json.loads((tmp_path / 'm.json').read_text()), metrics_of(samples, meta, cfgs))

    # a metric without its branch is one clear line
    info = read_json(out / 'info.json')
    other = INSTANCE if kinds == ['semantic'] else SEMANTIC
    info['settings']['metrics'] = [other]
    if other['type'] != cfgs[0]['type']:
        write_json(out / 'info.json', info)
        code, _, err = run_tool('eval_files', gt, out)
        assert code == 2 and 'pred_' in err.strip().splitlines()[-1]


def test_boxes_without_masks(run, run_tool, tmp_path):
    gt, samples, meta = run
    for sample in samples:
        del sample.pred_instances.masks
    cfgs = [dict(INSTANCE, metric='bbox')]
    write(samples, meta, tmp_path / 'pred', cfgs)
    assert not (tmp_path / 'pred/instances_segm.json').exists()
    code, _, err = run_tool('eval_files', gt, tmp_path / 'pred', '--out', tmp_path / 'm.json')
    assert code == 0, err
    compare(json.loads((tmp_path / 'm.json').read_text()), metrics_of(samples, meta, cfgs))


def test_the_uncertainty_is_written_for_others(run, run_tool, tmp_path):
    gt, samples, meta = run
    cfgs = [DEPTH]
    for sample in samples:
        sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
        uncertainty = 0.05 * sample.pred_depth_map.data
        uncertainty[0, 0, 0] = 1e-5
        sample.pred_depth_uncertainty = PixelData(data=uncertainty)
    out = tmp_path / 'pred'
    write(samples, meta, out, cfgs)
    assert 'depth_uncertainty' in read_json(out / 'info.json')['predictions']
    for sample in samples:
        name = f'Scenetest_clone_Camera_0_{sample.frame:05d}.png'
        raw = cv2.imread(str(out / 'depth_uncertainty' / name), cv2.IMREAD_UNCHANGED)
        assert raw.dtype == np.uint16 and raw[0, 0] == 1
        expected = sample.pred_depth_uncertainty.data[0].numpy()
        np.testing.assert_allclose(raw[1:] / 256, expected[1:], atol=STEP / 2)
    code, _, err = run_tool('eval_files', gt, out, '--out', tmp_path / 'm.json')
    assert code == 0, err
    compare(json.loads((tmp_path / 'm.json').read_text()), metrics_of(samples, meta, cfgs))


def test_others_can_read_the_files(run, files):
    """panopticapi, pycocotools and a plain PNG reader, nothing of ours."""
    gt, samples, meta = run
    evaluation = pytest.importorskip(
        'panopticapi.evaluation', reason='pip install --no-deps panopticapi-lite'
    )
    expected = metrics_of(samples, meta, METRICS)
    gt_json, pred = read_json(gt), read_json(files / 'panoptic.json')
    categories = {c['id']: c for c in gt_json['categories']}
    found = {a['image_id']: a for a in pred['annotations']}
    with contextlib.redirect_stdout(io.StringIO()):
        stat = evaluation.pq_compute_single_core(
            0,
            [(a, found[a['image_id']]) for a in gt_json['annotations']],
            gt.parents[1] / 'panoptic',
            files / 'panoptic',
            categories,
        )
        coco = COCO(str(gt.with_name('instances_test.json')))
        for kind in ('bbox', 'segm'):
            oracle = COCOeval(coco, coco.loadRes(str(files / f'instances_{kind}.json')), kind)
            oracle.evaluate()
            oracle.accumulate()
            oracle.summarize()
            assert oracle.stats[0] == pytest.approx(expected[f'instance/{kind}_mAP'], abs=1e-9)
    pq = stat.pq_average(categories, isthing=None)[0]['pq']
    assert pq == pytest.approx(expected['panoptic/PQ'], abs=1e-9)
    boxes = read_json(files / 'instances_bbox.json', list)
    scores = [s for sample in samples for s in sample.pred_instances.scores.tolist()]
    assert [box['score'] for box in boxes] == scores  # not rounded
    for sample in samples:
        name = f'Scenetest_clone_Camera_0_{sample.frame:05d}.png'
        depth = cv2.imread(str(files / 'depth' / name), cv2.IMREAD_UNCHANGED)
        error = depth / 256 - sample.pred_depth_map.data[0].numpy()
        assert depth.dtype == np.uint16
        assert 0 < np.abs(error).max() <= STEP / 2


def test_no_two_frames_share_a_name():
    plain_frames = [
        dict(id=i, file_name=f) for i, f in enumerate(('a/rgb/0.jpg', 'b/rgb/0.jpg', 'b/rgb/1.jpg'))
    ]
    assert frame_names(plain_frames) == {0: 'rgb_0_id0', 1: 'rgb_0_id1', 2: 'rgb_1'}
    scenes = [
        dict(id=i, file_name='0.jpg', scene=s, variation='', frame=0)
        for i, s in enumerate(('S1', 'S2', 's2', 'S1_00000_id0'))
    ]
    names = list(frame_names(scenes).values())
    assert len({n.lower() for n in names}) == 4  # also on a Mac


def test_frames_of_one_basename(tmp_path, run_tool):
    """Through the files: two scenes with the same frame names."""
    root = make_tiny_dataset(tmp_path, num_frames=2, splits=('test',))
    for kind in ('panoptic', 'instances'):
        path = root / f'annotations/{kind}_test.json'
        data = read_json(path)
        for image in data['images']:
            folder = root / 'source' / f'Scene{image["id"]}' / 'rgb'
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / 'source' / image['file_name'], folder / '0.jpg')
            image['file_name'] = f'Scene{image["id"]}/rgb/0.jpg'
            del image['scene'], image['frame']
        write_json(path, data)
    samples, meta = all_frames(root)
    for sample in samples:
        sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
    write(samples, meta, tmp_path / 'pred')
    assert sorted(p.name for p in (tmp_path / 'pred/depth').iterdir()) == [
        'rgb_0_id1.png',
        'rgb_0_id2.png',
    ]
    code, _, err = run_tool(
        'eval_files',
        root / 'annotations/panoptic_test.json',
        tmp_path / 'pred',
        '--out',
        tmp_path / 'm.json',
    )
    assert code == 0, err
    compare(json.loads((tmp_path / 'm.json').read_text()), metrics_of(samples, meta, METRICS))


def test_text_ids_give_the_same_numbers(run, run_tool, tiny_root, tmp_path):
    """As cityscapesScripts has them; one is left a number."""
    new_ids = {1001: 'b_000000_000019', 1002: 'a_000000_000019', 1003: 3}
    gt, samples, meta = run
    expected = metrics_of(samples, meta, METRICS)
    shutil.copytree(tiny_root, tmp_path / 'data')
    path = tmp_path / 'data/annotations/panoptic_test.json'
    data = read_json(path)
    for image, record in zip(data['images'], data['annotations'], strict=True):
        image['id'] = record['image_id'] = new_ids[image['id']]
    write_json(path, data)
    samples, meta = all_frames(tmp_path / 'data')
    assert [sample.img_id for sample in samples] == list(new_ids.values())
    compare(metrics_of(samples[::-1], meta, METRICS), metrics_of(samples, meta, METRICS))
    compare(
        metrics_of(samples, meta, [INSTANCE, SEMANTIC]),
        {
            **{k: v for k, v in expected.items() if k.split('/')[0] in ('instance', 'semantic')},
            'details': {k: expected['details'][k] for k in ('instance', 'semantic')},
        },
    )
    for sample in samples:
        sample.pred_depth_map.data = quantize(sample.pred_depth_map.data)
    write(samples, meta, tmp_path / 'pred')
    code, _, err = run_tool('eval_files', path, tmp_path / 'pred', '--out', tmp_path / 'm.json')
    assert code == 0, err
    compare(json.loads((tmp_path / 'm.json').read_text()), metrics_of(samples, meta, METRICS))
