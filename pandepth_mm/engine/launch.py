"""Turning a command line into a config that mmengine's Runner can run."""

import os
from argparse import ArgumentParser, Namespace
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.runner import Runner

from pandepth_mm.engine.checkpoint import (
    TRUST_FLAG,
    find_resumable,
    save_atomically,
    set_checkpoint_trust,
)
from pandepth_mm.engine.config_mistakes import check_values, config_mistakes
from pandepth_mm.engine.model_zoo import find_weights, read_config
from pandepth_mm.engine.options import add_cfg_options, merge_options
from pandepth_mm.errors import InputError, require_file
from pandepth_mm.evaluation.prediction_files import DATASET_KEYS, METRICS
from pandepth_mm.fileio import check_writable
from pandepth_mm.mmcv_ops import ops_in_use
from pandepth_mm.registry import type_name
from pandepth_mm.version import stack_summary

# what the launchers tell the processes that they start
_LAUNCHER_ENV = dict(
    pytorch=('RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'MASTER_PORT'),
    slurm=('SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_NODELIST'),
    mpi=('OMPI_COMM_WORLD_LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT'),
)


def add_common_arguments(parser: ArgumentParser) -> None:
    """Add the flags that training and testing share."""
    parser.add_argument('--work-dir', help='folder for logs and checkpoints')
    add_cfg_options(parser)
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        default='none',
        help='who started the processes of a distributed run',
    )
    parser.add_argument(
        TRUST_FLAG, action='store_true', help='allow checkpoints to run code while they are loaded'
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help='set by some launchers'
    )


def load_config(args: Namespace) -> Config:
    """Read the config file and apply the common flags.

    Args:
        args: ``config`` and the flags of :func:`add_common_arguments`.

    Returns:
        The config, with ``work_dir`` and ``launcher`` set.

    Raises:
        InputError: The file is missing or broken, or an option names a key that nothing reads.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    cfg, found = read_config(args.config)
    args.config = str(found.config)
    merge_options(cfg, args.cfg_options or {})
    check_values(cfg, args.config)
    _mend_loaders(cfg)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get('work_dir') is None:
        cfg.work_dir = os.path.join('work_dirs', Path(args.config).stem)
    cfg.launcher = args.launcher
    return cfg


def check_output(path: str | None, flag: str, folder: bool = False) -> None:
    """Refuse an output that cannot be written, before the long work; the main process looks."""
    if path is not None and os.environ.get('RANK', '0') == '0':
        check_writable(path, flag, folder)


def _mend_loaders(cfg: Config) -> None:
    """Turn off what torch refuses without worker processes."""
    for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
        loader = cfg.get(name) or {}
        if loader.get('num_workers', 0) == 0:
            if loader.get('persistent_workers'):
                loader.persistent_workers = False
            loader.pop('prefetch_factor', None)


def apply_train_flags(cfg: Config, args: Namespace) -> None:
    """Apply ``--amp``, ``--auto-scale-lr`` and ``--resume`` to the config, and its ``load_from``.

    Raises:
        InputError: A flag that does not fit the config or the machine, or a checkpoint that does
            not exist.
    """
    if args.amp:
        if get_device() == 'cpu':
            raise InputError('--amp', 'no GPU', 'a GPU: mixed precision does not run on the CPU')
        cfg.optim_wrapper.type = 'AmpOptimWrapper'
        cfg.optim_wrapper.setdefault('loss_scale', 'dynamic')
    if args.auto_scale_lr:
        if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
            raise InputError(
                args.config,
                'no such key',
                'a batch size to scale from',
                'auto_scale_lr.base_batch_size',
            )
        cfg.auto_scale_lr.enable = True
    _apply_resume(cfg, args.resume)
    if cfg.get('load_from') is not None and not cfg.get('resume'):
        cfg.load_from = find_weights(cfg.load_from)
        add_custom_hook(cfg, dict(type='pandepth_mm.StartWeightsHook', checkpoint=cfg.load_from))


def _apply_resume(cfg: Config, resume: str | None) -> None:
    """Set ``resume`` and ``load_from``.

    mmengine's own search trusts the file ``last_checkpoint``, which a kill can leave empty or ahead
    of the checkpoint that it names.

    Args:
        cfg: The config, changed in place.
        resume: Checkpoint, 'auto', or None to do as the config says.
    """
    if resume is None and not cfg.get('resume'):
        return
    if resume not in (None, 'auto'):
        cfg.load_from = resume
    elif resume == 'auto' or cfg.get('load_from') is None:
        found = find_resumable(cfg.work_dir)
        if found is None:
            cfg.resume = False
            _note(f'nothing to resume in {cfg.work_dir}: starting from the beginning')
            return
        cfg.load_from = found
    cfg.resume = True
    _check_file(cfg.load_from, '--resume')
    add_custom_hook(
        cfg, dict(type='pandepth_mm.CheckWeightsHook', checkpoint=cfg.load_from, resume=True)
    )


def apply_test_flags(cfg: Config, args: Namespace) -> None:
    """Apply the checkpoint, ``--show-dir``, ``--no-optimize`` and ``--precision``.

    Raises:
        InputError: The checkpoint does not exist, or a folder is a file.
    """
    args.checkpoint = find_weights(args.checkpoint, 'CKPT')
    cfg.load_from = args.checkpoint
    cfg.resume = False
    add_custom_hook(cfg, dict(type='pandepth_mm.CheckWeightsHook', checkpoint=args.checkpoint))
    if args.optimize:
        add_custom_hook(cfg, dict(type='pandepth_mm.OptimizeHook'))
    if args.precision != 'fp32':
        add_custom_hook(cfg, dict(type='pandepth_mm.PrecisionHook', precision=args.precision))
    check_output(args.show_dir, '--show-dir', folder=True)
    if args.show_dir:
        hook = cfg.get('default_hooks', {}).get('visualization') or dict(
            type='pandepth_mm.PanDepthVisualizationHook'
        )
        cfg.merge_from_dict(
            {'default_hooks.visualization': dict(hook, draw=True, test_out_dir=args.show_dir)}
        )


def apply_heuristic_fusion(cfg: Config) -> None:
    """Let the model fuse by mmdet's heuristic too, and evaluate that.

    The thresholds are those of the model's own fusion.

    Raises:
        InputError: No panoptic fusion in the model, or no PanopticMetric.
    """
    metrics = [m for m in _test_metrics(cfg) if type_name(m) == 'PanopticMetric']
    fusion = cfg.model.get('panoptic_fusion')
    if fusion is None or not metrics:
        lacking = 'model.panoptic_fusion' if fusion is None else 'PanopticMetric in test_evaluator'
        raise InputError(
            '--heuristic-fusion',
            f'a config without {lacking}',
            'a model with a panoptic fusion, and its metric',
        )
    for metric in metrics:
        metric['heuristic_fusion'] = True
    if cfg.model.get('panoptic_baseline') is None:
        names = ('score_thr', 'overlap_thr', 'stuff_area_limit')
        cfg.model.panoptic_baseline = dict(
            type='pandepth_mm.HeuristicFusion',
            **{name: fusion[name] for name in names if name in fusion},
        )


def apply_format_only(cfg: Config, out_dir: str) -> None:
    """Let the test write predictions instead of evaluating them.

    The metrics and what they depend on are handed over for ``tools/eval_files.py``; only the
    package's own, since others may read anything in the model's output.

    Raises:
        InputError: A test data set that is not one of this package's.
    """
    dataset = cfg.get('test_dataloader', {}).get('dataset', {})
    if not {'img_scale', 'pipeline'} <= set(dataset):
        raise InputError(
            '--format-only',
            str(sorted(dataset)),
            'a PanopticDepthDataset with img_scale and pipeline',
            'config: test_dataloader.dataset',
        )
    metrics = _test_metrics(cfg)
    settings = dict(
        dataset={k: dataset[k] for k in DATASET_KEYS if k in dataset},
        pipeline=[_named(t) for t in dataset['pipeline']],
        metrics=[m for m in map(_named, metrics) if m['type'] in METRICS],
    )
    for metric in settings['metrics']:
        metric.pop('collect_device', None)
        metric.pop('collect_dir', None)
        if metric['type'] in ('PanopticMetric', 'DepthMetric', 'DepthBreakdownMetric'):
            metric.setdefault('max_depth', cfg.model.get('max_depth'))  # no file tells
    if len(settings['metrics']) < len(metrics):
        _note(f'eval_files.py can compute the metrics {METRICS} only')
    cfg.test_evaluator = dict(
        type='pandepth_mm.FormatPredictions', out_dir=out_dir, settings=settings
    )


def _test_metrics(cfg: Config) -> list[dict]:
    """The metrics of the test; a config may name one or a list."""
    metrics = cfg.get('test_evaluator') or []
    return [metrics] if isinstance(metrics, dict) else metrics


def _named(cfg: dict) -> dict:
    """Copy a config, its type as a plain name."""
    return {**cfg, 'type': type_name(cfg)}


def add_custom_hook(cfg: Config, hook: dict) -> None:
    """Append a hook to ``custom_hooks``."""
    cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), hook]


def _check_file(path: str, flag: str) -> None:
    """Refuse a local path that is no file."""
    if '://' not in path:
        require_file(path, 'a checkpoint', flag)


def _note(message: str) -> None:
    """Log once per run, before the Runner has made its logger."""
    if os.environ.get('RANK', '0') == '0':
        print_log(message)


def _keep_two_checkpoints(cfg: Config) -> None:
    """Raise ``max_keep_ckpts = 1``.

    CheckpointHook deletes the oldest file before it writes a new one, so that a kill in between
    would leave nothing to resume from.
    """
    hook = cfg.get('default_hooks', {}).get('checkpoint') or {}
    if hook.get('max_keep_ckpts') == 1:
        hook.max_keep_ckpts = 2
        _note(
            'max_keep_ckpts raised from 1 to 2: the only checkpoint '
            'would be deleted before the next one is written'
        )


def _drop_sync_bn(cfg) -> int:
    """Turn SyncBN into BN in a nested config; return how many there were."""
    if isinstance(cfg, (list, tuple)):
        return sum(_drop_sync_bn(v) for v in cfg)
    if not isinstance(cfg, dict):
        return 0
    count = sum(_drop_sync_bn(v) for v in cfg.values())
    if cfg.get('type') in ('SyncBN', 'MMSyncBN'):
        cfg['type'] = 'BN'
        count += 1
    return count


def _prepare_cpu_processes(cfg: Config) -> None:
    """Make a distributed run possible without a GPU.

    mmengine would pick a CUDA device per process in two places; with the group initialized before
    the Runner and an explicit wrapper it does not.

    Raises:
        InputError: A launcher that needs GPUs.
    """
    if cfg.launcher != 'pytorch':
        raise InputError(
            '--launcher',
            f'{cfg.launcher} without a GPU',
            'pytorch, the one launcher that runs on CPUs',
        )
    sync_bn = _drop_sync_bn(cfg.model) + (cfg.get('sync_bn') is not None)
    cfg.sync_bn = None
    if sync_bn:
        _note('no GPU: SyncBN switched off, each process normalizes by its own batch')
    if cfg.get('model_wrapper_cfg') is None:
        cfg.model_wrapper_cfg = dict(type='MMDistributedDataParallel')
    # what Runner itself sets when there is no model_wrapper_cfg
    cfg.model_wrapper_cfg.setdefault('broadcast_buffers', False)
    cfg.model_wrapper_cfg.setdefault(
        'find_unused_parameters', cfg.get('find_unused_parameters', False)
    )
    cfg.model_wrapper_cfg.device_ids = None
    if not torch.distributed.is_initialized():
        _keep_to_own_cores()  # once, or the share would be shared again; gloo's threads too
        torch.distributed.init_process_group('gloo')


def _keep_to_own_cores() -> None:
    """Let each process of this machine, and its data workers, have a share of its cores.

    Otherwise the workers of one process delay another one, for which all of them wait.
    """
    count = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    if not hasattr(os, 'sched_setaffinity') or count == 1:  # Linux alone has it
        return
    cores = sorted(os.sched_getaffinity(0))
    share = len(cores) // count
    if share:
        first = int(os.environ['LOCAL_RANK']) * share
        os.sched_setaffinity(0, cores[first : first + share])


def build_runner(cfg: Config, trust_checkpoint: bool) -> Runner:
    """Build mmengine's Runner, with the safeguards of this package.

    Args:
        cfg: Config from :func:`load_config`.
        trust_checkpoint: Allow checkpoints to run code on loading.

    Returns:
        The runner.

    Raises:
        InputError: A work directory that cannot be written, a launcher without its environment, or
            a config that names what does not exist.
    """
    # names without a prefix are ours or mmdet's
    cfg.setdefault('default_scope', 'pandepth_mm')
    check_output(cfg.work_dir, '--work-dir', folder=True)
    for name in _LAUNCHER_ENV.get(cfg.launcher, ()):
        if name not in os.environ:
            raise InputError(
                '--launcher', f'{cfg.launcher}, and no {name} in the environment', 'its launcher'
            )
    set_checkpoint_trust(trust_checkpoint)
    save_atomically()
    _keep_two_checkpoints(cfg)
    if cfg.launcher != 'none' and get_device() == 'cpu':
        _prepare_cpu_processes(cfg)
    with config_mistakes(cfg, cfg.filename or 'config'):
        runner = Runner.from_cfg(cfg)
    runner.logger.info(f"{stack_summary()}; mmcv's ops: {ops_in_use()}")
    return runner
