"""The training recipe: the paper's values, and what a Runner makes of them."""

import math
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tool_toy import ToyModel

CONFIGS = Path(__file__).parents[1] / 'configs'
PAPER = CONFIGS / 'pandepth' / 'pandepth_effb5_vkitti2.py'
WARMUP = CONFIGS / 'pandepth' / 'pandepth_effb5_vkitti2_warmup-cosine.py'
GPUS = 4  # the paper's
ITERATIONS = 40  # an epoch of the toy data


class RateRecorder(Hook):
    """Notes the learning rate of every iteration."""

    def __init__(self):
        self.rates = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates.append(runner.optim_wrapper.param_groups[0]['lr'])


def train_toy(cfg, work_dir, **changes):
    """Train a toy by the schedule of a config; return the learning rates."""
    recorder = RateRecorder()
    batch = cfg.train_dataloader.batch_size
    settings = dict(
        train_cfg=dict(cfg.train_cfg, val_interval=1000),
        optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.get('param_scheduler'),
        auto_scale_lr=cfg.auto_scale_lr,
    )
    settings.update(changes)
    Runner(
        model=ToyModel(),
        work_dir=str(work_dir),
        train_dataloader=dict(
            batch_size=batch,
            num_workers=0,
            sampler=cfg.train_dataloader.sampler,
            dataset=dict(type='ToyDataset', length=batch * ITERATIONS),
        ),
        default_hooks=dict(
            param_scheduler=cfg.default_hooks.param_scheduler,
            logger=None,
            checkpoint=None,
            timer=None,
        ),
        custom_hooks=[recorder],
        default_scope='pandepth_mm',
        experiment_name=work_dir.name,
        log_level='ERROR',
        **settings,
    ).train()
    return recorder.rates


def test_the_papers_recipe_is_stated():
    cfg = Config.fromfile(PAPER)
    assert cfg.optim_wrapper.optimizer == dict(type='Adam', lr=2e-4)
    assert cfg.train_cfg.max_epochs == 50
    assert cfg.get('param_scheduler') is None
    # the rate is meant for four GPUs; --auto-scale-lr scales it for others
    assert cfg.train_dataloader.batch_size == 2
    assert cfg.auto_scale_lr == dict(
        enable=False, base_batch_size=GPUS * cfg.train_dataloader.batch_size
    )
    assert cfg.sync_bn == 'torch'
    for split in ('train', 'val', 'test'):
        assert cfg[f'{split}_dataloader'].dataset.img_scale == (1000, 200)


def test_only_training_flips_and_after_all_is_loaded():
    cfg = Config.fromfile(PAPER)
    for split in ('train', 'val', 'test'):
        pipeline = cfg[f'{split}_dataloader'].dataset.pipeline
        flips = [i for i, step in enumerate(pipeline) if 'Flip' in step.type]
        if split != 'train':
            assert flips == []
            continue
        (flip,) = flips
        # depth, labels and intrinsics follow: tests/test_datasets
        assert pipeline[flip] == dict(type='FlipPanopticDepth', prob=0.5)
        assert not any('Load' in step.type for step in pipeline[flip:])


def test_papers_rate_is_constant(tmp_path):
    rates = train_toy(Config.fromfile(PAPER), tmp_path)
    assert rates == [2e-4] * (50 * ITERATIONS)


@pytest.mark.parametrize('batch', [1, 2, 16])
def test_rate_scales_with_the_batch(tmp_path, batch):
    """One process; the stated rate belongs to a batch of 8."""
    cfg = Config.fromfile(PAPER)
    cfg.train_dataloader.batch_size = batch
    cfg.auto_scale_lr.enable = True
    rates = train_toy(cfg, tmp_path, train_cfg=dict(by_epoch=True, max_epochs=1))
    assert rates == pytest.approx([2e-4 * batch / 8] * ITERATIONS)


def test_warmup_and_cosine_multiply(tmp_path):
    cfg = Config.fromfile(WARMUP)
    rates = train_toy(cfg, tmp_path)
    assert len(rates) == 50 * ITERATIONS
    for i, rate in enumerate(rates):
        # mmengine's warm-up over 1000 iterations has 999 steps
        warmup = min(1, 0.001 + 0.999 * i / 999)
        cosine = (1 + math.cos(math.pi * (i // ITERATIONS) / 50)) / 2
        assert rate == pytest.approx(2e-4 * warmup * cosine, rel=1e-6), i
    assert rates[0] == pytest.approx(2e-7)
    assert rates[1000] == pytest.approx(1e-4)  # half of the epochs
    assert 0 < rates[-1] < 1e-6


def test_warmup_config_changes_nothing_else():
    paper, warmup = (Config.fromfile(f).to_dict() for f in (PAPER, WARMUP))
    del warmup['param_scheduler']
    assert warmup == paper


@pytest.mark.parametrize(
    'base', ['pandepth_effb5_vkitti2.py', 'table1/depth-only.py', 'custom_dataset_example.py']
)
def test_any_config_can_choose_the_warmup(tmp_path, base):
    child = tmp_path / 'child.py'
    bases = [
        str(CONFIGS / 'pandepth' / base),
        str(CONFIGS / '_base_' / 'schedules' / 'warmup_cosine_50e.py'),
    ]
    child.write_text(f'_base_ = {bases!r}\n')
    schedule = Config.fromfile(child).param_scheduler
    assert schedule == Config.fromfile(WARMUP).param_scheduler
