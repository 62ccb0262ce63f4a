"""The shipped configs: they build, and few keys change what they should."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from random_batch import random_batch
from tiny_dataset import make_tiny_dataset

from pandepth_mm.registry import DATASETS, MODELS
from pandepth_mm.structures.vkitti2_meta import STUFF_CLASSES, THING_CLASSES

CONFIGS = Path(__file__).parents[1] / 'configs' / 'pandepth'
NAMES = sorted(p.relative_to(CONFIGS).as_posix() for p in CONFIGS.rglob('*.py'))
BRANCHES = (
    'backbone',
    'neck',
    'semantic_head',
    'rpn_head',
    'roi_head',
    'depth_head',
    'joint_head',
    'panoptic_fusion',
)
CUSTOM = CONFIGS / 'custom_dataset_example.py'


def load(name):
    cfg = Config.fromfile(CONFIGS / name)
    if cfg.model.backbone is not None:
        cfg.model.backbone.init_cfg = None  # no download
    return cfg


@pytest.mark.parametrize('name', NAMES)
def test_models_build(name):
    cfg = load(name)
    model = MODELS.build(cfg.model)
    for branch in BRANCHES:
        assert (getattr(model, branch) is None) == (cfg.model[branch] is None)
    for branch in ('semantic_head', 'joint_head'):
        if getattr(model, branch) is not None:
            assert getattr(model, branch).num_classes == model.num_classes
    if model.roi_head is not None:
        assert model.roi_head.bbox_head.num_classes == model.num_things
    if model.depth_head is not None:
        assert model.depth_head.num_classes == (
            0 if model.semantic_head is None else model.num_classes
        )


@pytest.mark.parametrize('name', NAMES)
def test_backbone_states_its_weights(name):
    backbone = Config.fromfile(CONFIGS / name).model.backbone
    if backbone is None:
        assert name == 'table1/depth-only.py'
        return
    assert 'init_cfg' in backbone
    checkpoint = dict(b5='efficientnet-b5', b0=None).get(backbone.get('arch'), 'resnet50')
    if checkpoint:
        assert backbone.init_cfg.type == 'Pretrained'
        assert checkpoint in backbone.init_cfg.checkpoint


def test_paper_config_holds_the_papers_values():
    cfg = load('pandepth_effb5_vkitti2.py')
    assert cfg.model.backbone.arch == 'b5'
    assert (cfg.model.num_things, cfg.model.num_stuff) == (len(THING_CLASSES), len(STUFF_CLASSES))
    for split in ('train', 'val', 'test'):
        assert cfg[f'{split}_dataloader'].dataset.img_scale == (1000, 200)
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=2e-4)
    assert cfg.train_cfg.max_epochs == 50
    assert cfg.model.depth_head.k == 3


def test_papers_model_takes_a_training_and_a_test_step():
    cfg = load('pandepth_effb5_vkitti2.py')
    cfg.model.depth_head.num_blocks = 2  # all the same, and slow
    model = MODELS.build(cfg.model)
    batch = random_batch(size=(50, 130))  # no multiple of any stride
    data = model.data_preprocessor(batch, training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    with torch.no_grad():
        sample, _ = model.test_step(random_batch(size=(50, 130)))
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, 50, 130)
    assert sample.pred_depth_map.data.shape == (1, 50, 130)


def test_custom_example_is_short():
    assert len(CUSTOM.read_text().splitlines()) <= 25


def test_custom_example_changes_every_head_and_both_pipelines(tmp_path):
    cfg = load(CUSTOM.name)
    meta = cfg.dataset.metainfo
    make_tiny_dataset(
        tmp_path,
        num_frames=1,
        splits=('train', 'val', 'test'),
        thing_classes=meta.thing_classes,
        stuff_classes=meta.stuff_classes,
        depth_scale=cfg.dataset.depth_scale,
        write_scales=False,
    )
    model = MODELS.build(cfg.model)
    classes = len(meta.thing_classes) + len(meta.stuff_classes)
    assert model.semantic_head.num_classes == classes == 6
    assert model.joint_head.num_classes == classes
    assert model.depth_head.num_classes == classes
    assert model.depth_head.max_depth == model.joint_head.max_depth == 20
    assert model.roi_head.bbox_head.num_classes == 2
    assert model.roi_head.mask_head.num_classes == 2
    assert model.panoptic_fusion.num_things_classes == 2
    for split in ('train', 'val', 'test'):
        dataset_cfg = cfg[f'{split}_dataloader'].dataset
        dataset_cfg.data_root = str(tmp_path)
        dataset = DATASETS.build(dataset_cfg)
        assert dataset.metainfo['classes'] == (*meta.thing_classes, *meta.stuff_classes)
        item = dataset[0]
        assert item['inputs']['img'].shape == (3, 192, 640)
        assert item['inputs']['sparse_depth'].shape == (1, 192, 640)
        depth = item['data_samples'].gt_depth_map.data
        assert 1 < depth[depth > 0].min() and depth.max() < 65
