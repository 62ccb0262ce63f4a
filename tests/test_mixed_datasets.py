"""Data without panoptic ground truth: alone, and mixed with data that has it."""

import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.engine.hooks import CheckClassCountHook
from pandepth_mm.errors import InputError
from pandepth_mm.registry import DATA_SAMPLERS, DATASETS, METRICS

CONFIGS = Path(__file__).parents[1] / 'configs' / 'pandepth'
SPLITS = ('train', 'val', 'test')
SIZE = (96, 48)
PARTS = ('range', 'input_distance')


@pytest.fixture(scope='module')
def panoptic_root(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('panoptic'), num_frames=3, splits=SPLITS)


@pytest.fixture(scope='module')
def depth_root(tmp_path_factory):
    root = tmp_path_factory.mktemp('depth')
    return make_tiny_dataset(root, num_frames=5, splits=SPLITS, panoptic=False, seed=1)


def mixed_config(panoptic_root, depth_root):
    """The shipped example, with a small model, on tiny data."""
    cfg = Config.fromfile(CONFIGS / 'mixed_datasets_example.py')
    cfg.model = Config.fromfile(CONFIGS / 'pandepth_effb0_minivkitti.py').model
    parts = cfg.train_dataloader.dataset.datasets
    for part, root in zip(parts, (panoptic_root, depth_root), strict=True):
        part.update(data_root=str(root), img_scale=SIZE)
    for split in SPLITS:
        loader = cfg[f'{split}_dataloader']
        loader.update(num_workers=0, persistent_workers=False, batch_size=2)
        if split != 'train':
            loader.dataset.update(data_root=str(depth_root), img_scale=SIZE)
    return cfg


class LossRecorder(Hook):
    """Notes the losses of every step, and which kinds of samples the batch had."""

    def __init__(self):
        self.steps = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        samples = data_batch['data_samples']
        has_labels = ['gt_sem_seg' in sample for sample in samples]
        self.steps.append((has_labels, {k: v.item() for k, v in outputs.items()}))


def test_annotations_without_classes(depth_root, tmp_path):
    path = depth_root / 'annotations/panoptic_train.json'
    content = json.loads(path.read_text())
    assert content['categories'] == content['annotations'] == []
    dataset = DATASETS.build(tiny_config(depth_root))
    assert len(dataset) == 5
    assert 'seg_map_path' not in dataset.get_data_info(0)
    assert len(dataset.metainfo['classes']) == 14  # the model's
    # named classes must still be the model's
    content['categories'] = [dict(id=1, name='Bus', isthing=1)]
    other = tmp_path / 'other.json'
    other.write_text(json.dumps(content))
    with pytest.raises(InputError, match='categories: found 1 things'):
        DATASETS.build(dict(tiny_config(depth_root), ann_file=str(other)))


def test_panoptic_annotations_need_classes(panoptic_root, tmp_path):
    content = json.loads((panoptic_root / 'annotations/panoptic_train.json').read_text())
    content['categories'] = []
    path = tmp_path / 'none.json'
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match='categories: found 0 things'):
        DATASETS.build(dict(tiny_config(panoptic_root), ann_file=str(path)))


def test_ratio_of_the_sampler(panoptic_root, depth_root):
    cfg = mixed_config(panoptic_root, depth_root)
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    assert [len(part) for part in dataset.datasets] == [3, 5]
    sampler = DATA_SAMPLERS.build(
        cfg.train_dataloader.sampler, default_args=dict(dataset=dataset, seed=0)
    )
    drawn = Counter()
    for epoch in range(200):
        sampler.set_epoch(epoch)
        drawn.update(index < 3 for index in sampler)
    assert sum(drawn.values()) == 8 * 200
    # two of three, within four standard deviations
    assert drawn[True] == pytest.approx(1600 * 2 / 3, abs=4 * np.sqrt(1600 * 2 / 9))


def test_training_over_both(panoptic_root, depth_root, tmp_path):
    """Two steps of the example, each batch with one sample of each kind."""
    cfg = mixed_config(panoptic_root, depth_root)
    cfg.train_dataloader.sampler = dict(
        type='MultiSourceSampler', batch_size=2, source_ratio=[1, 1]
    )
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=2, val_interval=10)
    cfg.default_hooks.checkpoint = None
    cfg.update(val_dataloader=None, val_evaluator=None, val_cfg=None)
    cfg.update(work_dir=str(tmp_path), experiment_name=tmp_path.name, log_level='ERROR')
    runner = Runner.from_cfg(cfg)
    recorder = LossRecorder()
    runner.register_hook(recorder)
    runner.train()  # with the hooks that compare classes and sizes
    assert len(recorder.steps) == 2
    for has_labels, losses in recorder.steps:
        assert sorted(has_labels) == [False, True]
        for name in ('loss_semantic', 'loss_joint', 'loss_depth', 'loss_rpn_cls'):
            assert 0 < losses[name] < float('inf'), name
    adam = runner.optim_wrapper.optimizer.state
    assert all(adam[p]['step'] == 2 for p in runner.model.parameters())


def test_other_class_counts_in_one_part(panoptic_root, depth_root):
    cfg = mixed_config(panoptic_root, depth_root)
    parts = cfg.train_dataloader.dataset.datasets
    parts[1].metainfo = dict(thing_classes=('Car',), stuff_classes=('Sky', 'Road'))
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    runner = SimpleNamespace(
        model=SimpleNamespace(num_things=3, num_stuff=11),
        train_dataloader=SimpleNamespace(dataset=dataset),
    )
    with pytest.raises(InputError, match='model.num_things: found 3; expected 1'):
        CheckClassCountHook().before_train(runner)


@pytest.mark.parametrize('branches', ['depth', 'all'])
def test_depth_alone_trains_and_is_tested(depth_root, tmp_path, run_tool, branches):
    """By the tools; the depth branch, or a whole model of which depth alone can be measured."""
    cfg = mixed_config(depth_root, depth_root)
    cfg.train_dataloader.dataset = cfg.train_dataloader.dataset.datasets[1]
    cfg.train_dataloader.sampler = dict(type='DefaultSampler', shuffle=True)
    if branches == 'depth':
        for name in ('semantic_head', 'rpn_head', 'roi_head', 'joint_head', 'panoptic_fusion'):
            cfg.model[name] = None
        cfg.model.backbone = cfg.model.neck = None
    for split in SPLITS:
        cfg[f'{split}_dataloader'].dataset.indices = 2  # two frames are enough
    for split in ('val', 'test'):
        pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
        cfg[f'{split}_dataloader'].dataset.pipeline = [
            step for step in pipeline if step.type != 'LoadPanopticMap'
        ]
    cfg.test_evaluator = [dict(type='DepthMetric'), dict(type='DepthBreakdownMetric', parts=PARTS)]
    cfg.val_evaluator = cfg.test_evaluator
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=1, val_interval=1)
    cfg.default_hooks.checkpoint.save_best = 'depth/rmse'
    cfg.default_hooks.checkpoint.rule = 'less'
    path = tmp_path / f'depth_{tmp_path.name}.py'
    cfg.dump(path)
    code, _, err = run_tool('train', path, '--work-dir', tmp_path)
    assert code == 0, err
    out = tmp_path / 'metrics.json'
    weights = tmp_path / 'epoch_1.pth'
    code, printed, err = run_tool('test', path, weights, '--work-dir', tmp_path, '--out', out)
    assert code == 0, err
    assert 'RMSE' in printed and 'PQ' not in printed and 'mIoU' not in printed
    metrics = json.loads(out.read_text())
    assert metrics['depth/rmse'] > 0
    assert {name.split('/')[0] for name in metrics} == {'depth', 'details'}


def test_metric_without_its_ground_truth(depth_root):
    """Says what to leave out."""
    metric = METRICS.build(dict(type='SemanticMetric'))
    pipeline = Config.fromfile(CONFIGS / 'mixed_datasets_example.py').depth_pipeline
    dataset = DATASETS.build(tiny_config(depth_root, pipeline=pipeline))
    metric.dataset_meta = dataset.metainfo
    with pytest.raises(InputError, match='no gt_sem_seg.*an evaluator without this metric'):
        metric.process([], [dataset[0]['data_samples'].to_dict()])
