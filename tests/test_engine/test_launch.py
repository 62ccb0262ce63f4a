"""Command line to config."""

from argparse import Namespace

import pytest
from mmengine.config import Config

from pandepth_mm.engine import launch
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics_file import collect_details, write_metrics

CONFIG = """
model = dict(type='A', norm_cfg=dict(type='SyncBN', eps=1e-3),
             heads=[dict(norm_cfg=dict(type='SyncBN')), dict(type='B')])
optim_wrapper = dict(type='OptimWrapper')
auto_scale_lr = dict(enable=False, base_batch_size=4)
find_unused_parameters = True
sync_bn = 'torch'
"""


def arguments(path, **kwargs):
    values = dict(
        config=str(path),
        work_dir=None,
        cfg_options=None,
        launcher='none',
        local_rank=0,
        amp=False,
        auto_scale_lr=False,
        resume=None,
        optimize=True,
        precision='fp32',
    )
    return Namespace(**{**values, **kwargs})


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.setenv('LOCAL_RANK', '0')
    path = tmp_path / 'a_config.py'
    path.write_text(CONFIG)
    return path


def test_load_config(config):
    cfg = launch.load_config(arguments(config, cfg_options={'model.heads.1.type': 'C'}))
    assert cfg.work_dir == 'work_dirs/a_config'
    assert cfg.launcher == 'none'
    assert cfg.model.heads[1].type == 'C'
    cfg = launch.load_config(arguments(config, work_dir='here'))
    assert cfg.work_dir == 'here'


@pytest.mark.parametrize(
    'options', [{'modle.type': 'C'}, {'model.heads.7.type': 'C'}, {'sync_bn.x': 1}]
)
def test_options_that_do_not_fit(config, options):
    with pytest.raises(InputError, match='--cfg-options'):
        launch.load_config(arguments(config, cfg_options=options))


@pytest.mark.parametrize(
    'text, message',
    [
        ('model = dict(', 'SyntaxError'),
        ('_base_ = ["./nope.py"]', 'nope.py'),
        ('a = 1 / 0', 'ZeroDivisionError'),
        ('a = 1', 'no dict "model"'),
    ],
)
def test_broken_config(config, text, message):
    config.write_text(text)
    with pytest.raises(InputError, match=message) as error:
        launch.load_config(arguments(config))
    assert str(config) in str(error.value)


def test_amp_on_a_gpu(config, monkeypatch):
    monkeypatch.setattr(launch, 'get_device', lambda: 'cuda')
    args = arguments(config, amp=True, auto_scale_lr=True)
    cfg = launch.load_config(args)
    launch.apply_train_flags(cfg, args)
    assert cfg.optim_wrapper == dict(type='AmpOptimWrapper', loss_scale='dynamic')
    assert cfg.auto_scale_lr.enable is True
    assert 'resume' not in cfg


def test_processes_without_a_gpu(config, monkeypatch, capsys):
    started = []
    monkeypatch.setattr(launch.torch.distributed, 'is_initialized', lambda: False)
    monkeypatch.setattr(launch.torch.distributed, 'init_process_group', started.append)
    cfg = launch.load_config(arguments(config, launcher='pytorch'))
    launch._prepare_cpu_processes(cfg)
    assert started == ['gloo']
    assert cfg.sync_bn is None
    assert cfg.model.norm_cfg == dict(type='BN', eps=1e-3)
    assert cfg.model.heads[0].norm_cfg.type == 'BN'
    assert cfg.model_wrapper_cfg == dict(
        type='MMDistributedDataParallel',
        device_ids=None,
        broadcast_buffers=False,
        find_unused_parameters=True,
    )
    cfg.launcher = 'slurm'
    with pytest.raises(InputError, match='--launcher'):
        launch._prepare_cpu_processes(cfg)


@pytest.mark.parametrize(
    'count, rank, expected',
    [
        (2, 0, [[2, 3]]),
        (2, 1, [[5, 7]]),  # one of the five is left over
        (5, 4, [[11]]),
        (6, 1, []),  # more processes than cores
        (1, 0, []),
    ],
)
def test_processes_share_the_cores(count, rank, expected, monkeypatch):
    kept = []
    monkeypatch.setenv('LOCAL_WORLD_SIZE', str(count))
    monkeypatch.setenv('LOCAL_RANK', str(rank))
    monkeypatch.setattr(launch.os, 'sched_getaffinity', lambda pid: {3, 2, 11, 7, 5}, raising=False)
    monkeypatch.setattr(
        launch.os, 'sched_setaffinity', lambda pid, cores: kept.append(cores), raising=False
    )
    launch._keep_to_own_cores()
    assert kept == expected


def test_loaders_without_workers(config):
    config.write_text(
        CONFIG + 'train_dataloader = dict(num_workers=2, persistent_workers=True, '
        'prefetch_factor=2)\nval_dataloader = dict(num_workers=0, persistent_workers=True)\n'
    )
    cfg = launch.load_config(arguments(config))
    assert cfg.train_dataloader == dict(num_workers=2, persistent_workers=True, prefetch_factor=2)
    assert cfg.val_dataloader.persistent_workers is False
    options = {'train_dataloader.num_workers': 0}
    cfg = launch.load_config(arguments(config, cfg_options=options))
    assert cfg.train_dataloader == dict(num_workers=0, persistent_workers=False)


def test_show_dir(config, tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'')
    args = arguments(config, checkpoint=str(tmp_path / 'a.pth'), show_dir='pictures')
    cfg = launch.load_config(args)
    launch.apply_test_flags(cfg, args)
    assert cfg.default_hooks.visualization == dict(
        type='pandepth_mm.PanDepthVisualizationHook', draw=True, test_out_dir='pictures'
    )
    # the config's own settings of the hook stay
    cfg = Config(dict(default_hooks=dict(visualization=dict(type='X', score_thr=0.7, draw=False))))
    launch.apply_test_flags(cfg, args)
    assert cfg.default_hooks.visualization == dict(
        type='X', score_thr=0.7, draw=True, test_out_dir='pictures'
    )


@pytest.mark.parametrize('optimize', [True, False])
def test_optimized_unless_it_is_switched_off(optimize, config, tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'')
    args = arguments(config, checkpoint=str(tmp_path / 'a.pth'), show_dir=None, optimize=optimize)
    cfg = launch.load_config(args)
    launch.apply_test_flags(cfg, args)
    assert (dict(type='pandepth_mm.OptimizeHook') in cfg.custom_hooks) == optimize


def test_16_bits_come_after_the_copy_of_the_model(config, tmp_path):
    (tmp_path / 'a.pth').write_bytes(b'')
    checkpoint = str(tmp_path / 'a.pth')
    args = arguments(config, checkpoint=checkpoint, show_dir=None, precision='bf16')
    cfg = launch.load_config(args)
    launch.apply_test_flags(cfg, args)
    assert cfg.custom_hooks[-2:] == [
        dict(type='pandepth_mm.OptimizeHook'),
        dict(type='pandepth_mm.PrecisionHook', precision='bf16'),
    ]


def test_write_metrics(tmp_path):
    import json

    import numpy as np

    write_metrics(
        tmp_path / 'a.json', dict(a=np.float32(0.25), b=float('nan'), c=float('inf'), d=3, e=1 / 3)
    )
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(
        a=0.25, b=None, c=None, d=3, e=1 / 3
    )


def test_write_details(tmp_path):
    import json

    import numpy as np

    write_metrics(
        tmp_path / 'a.json',
        dict(a=1.5),
        dict(
            depth={
                'rows': ('x', 'y'),
                3: np.array([[1, 2]]),
                'share': [np.float32(0.5), float('nan'), None, True],
            }
        ),
    )
    assert json.loads((tmp_path / 'a.json').read_text()) == dict(
        a=1.5,
        details=dict(depth={'rows': ['x', 'y'], '3': [[1, 2]], 'share': [0.5, None, None, True]}),
    )


def test_collect_details():
    from types import SimpleNamespace

    metrics = [
        SimpleNamespace(prefix='a', details=dict(x=1)),
        SimpleNamespace(prefix='b', details={}),
        SimpleNamespace(prefix='c'),
        SimpleNamespace(prefix='a', details=dict(y=2)),
    ]
    assert collect_details(metrics) == dict(a=dict(x=1, y=2))


def test_files_are_evaluated_within_the_range_of_the_model():
    """No file tells it; a metric that states one keeps it."""
    kinds = ('PanopticMetric', 'DepthMetric', 'DepthBreakdownMetric', 'SemanticMetric')
    cfg = Config(
        dict(
            model=dict(max_depth=20.0),
            test_dataloader=dict(dataset=dict(img_scale=(4, 2), pipeline=[])),
            test_evaluator=[*(dict(type=k) for k in kinds), dict(type=kinds[1], max_depth=5.0)],
        )
    )
    launch.apply_format_only(cfg, 'out')
    found = [m.get('max_depth') for m in cfg.test_evaluator.settings.metrics]
    assert found == [20, 20, 20, None, 5]


def test_heuristic_fusion_is_switched_on():
    cfg = Config(
        dict(
            model=dict(
                panoptic_fusion=dict(type='PanopticFusion', score_thr=0.4, stuff_area_limit=0.1)
            ),
            test_evaluator=[dict(type='pandepth_mm.PanopticMetric'), dict(type='SemanticMetric')],
        )
    )
    launch.apply_heuristic_fusion(cfg)
    assert cfg.model.panoptic_baseline == dict(
        type='pandepth_mm.HeuristicFusion', score_thr=0.4, stuff_area_limit=0.1
    )
    assert cfg.test_evaluator[0].heuristic_fusion
    assert cfg.test_evaluator[1] == dict(type='SemanticMetric')

    cfg.test_evaluator = dict(type='SemanticMetric')
    with pytest.raises(InputError, match='PanopticMetric'):
        launch.apply_heuristic_fusion(cfg)
    cfg.model.panoptic_fusion = None
    with pytest.raises(InputError, match='model.panoptic_fusion'):
        launch.apply_heuristic_fusion(cfg)
