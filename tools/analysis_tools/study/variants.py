"""What the study compares: each variant is a config with some changes."""

import copy
import functools
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pandepth_mm.engine.model_zoo import read_config

LITE = 'configs/pandepth_lite/pandepth_lite0_minivkitti.py'
VOTES = 'configs/pandepth_lite/pandepth_lite0_votes_minivkitti.py'
FAITHFUL = 'configs/pandepth/pandepth_effb0_minivkitti.py'
PANOPTIC_FPN = str(Path(__file__).with_name('panoptic_fpn.py'))

# what a run reads of a config
_KEYS = (
    'model',
    'train_dataloader',
    'test_dataloader',
    'train_cfg',
    'test_cfg',
    'optim_wrapper',
    'param_scheduler',
    'default_hooks',
    'custom_hooks',
    'env_cfg',
    'sync_bn',
    'visualizer',
    'log_processor',
    'default_scope',
)


class Variant(NamedTuple):
    """A model and its training.

    Attributes:
        values: Values by dotted keys of the config.
        take: Dotted keys that get the values of the light model's config, before ``values``.
        base: The config file that it changes,
        after: or the variant.
        parts: Variants whose weights make this one up, which is not trained itself: one of
            semantics, one of instances.
        ignore_tiny: Whether to leave instances out of the training that are too small for an
            anchor, as the faithful recipe does; the light model trains them.
    """

    values: dict[str, Any] = {}
    take: Sequence[str] = ()
    base: str = LITE
    after: str | None = None
    parts: Sequence[str] = ()
    ignore_tiny: bool = False


class Settings(NamedTuple):
    """How every variant is trained and tested.

    Attributes:
        steps: Training steps.
        batch_size: Images of a step, over all processes.
        processes: Number of processes.
        frames: Frames of each test, evenly spaced.
    """

    steps: int
    batch_size: int
    processes: int
    frames: int


_MASK_RCNN = ('instance_neck', 'rpn_head', 'roi_head', 'train_cfg', 'test_cfg')


def _without(*heads: str) -> dict[str, None]:
    """Heads of the light model left out, and so the fusion."""
    return {f'model.{head}': None for head in (*heads, 'panoptic_fusion')}


_BLIND_SEMANTICS = {'model.semantic_head.geometry_channels': 0}
_BLIND_INSTANCES = {'model.instance_neck.geometry_channels': 0}

VARIANTS = {
    # the light model with fewer tasks
    'semantics': Variant(_without(*_MASK_RCNN, 'depth_head') | _BLIND_SEMANTICS),
    'instances': Variant(_without('semantic_head', 'depth_head') | _BLIND_INSTANCES),
    'separate': Variant(
        {'model.type': 'SeparateBackbones', 'model.depth_head': None}
        | _BLIND_SEMANTICS
        | _BLIND_INSTANCES,
        parts=('semantics', 'instances'),
    ),
    'depth': Variant(_without('semantic_head', *_MASK_RCNN)),
    'semantics-depth': Variant(_without(*_MASK_RCNN)),
    'all': Variant(),
    # from the faithful recipe on, each a change of the one before; 'all' is the last
    'faithful': Variant(base=FAITHFUL),
    'pretrained': Variant(
        {'model.backbone.out_indices': [2, 3, 4, 5]},
        after='faithful',
        take=('model.backbone', 'model.data_preprocessor', 'optim_wrapper', 'param_scheduler'),
    ),
    'augmented': Variant(
        after='pretrained', take=('train_dataloader', 'test_dataloader'), ignore_tiny=True
    ),
    'candidates': Variant(
        {
            'model.semantic_head.type': 'SkippingSemanticHead',
            # leaves the map of stride 2 out
            'model.instance_neck': dict(
                type='GeometryPyramid', in_channels=64, geometry_channels=0
            ),
        },
        after='augmented',
        take=('model.backbone', 'model.neck', 'model.depth_head'),
    ),
    'depth-first': Variant(
        {'model.joint_head': None}, after='candidates', take=('model.semantic_head',)
    ),
    'depth-in-rois': Variant(
        after='depth-first',
        take=(*(f'model.{key}' for key in _MASK_RCNN), 'model.panoptic_fusion', 'train_dataloader'),
    ),
    # the other kind of instances
    'votes': Variant(base=VOTES),
    # what a user would pick instead
    'panoptic-fpn': Variant(base=PANOPTIC_FPN, ignore_tiny=True),
    'depth-network': Variant(
        {
            'model.neck': None,
            'model.backbone.out_indices': [1, 2, 3, 4],
            'model.backbone.init_cfg': None,
            'model.backbone.frozen_stages': 0,
            'model.backbone.norm_eval': False,
            'model.depth_head.in_channels': [16, 24, 40, 112],
        },
        after='depth',
    ),
    # what depth the semantics read; 'semantics-depth': the predicted one
    'depth-nothing': Variant(_BLIND_SEMANTICS, after='semantics-depth'),
    'depth-sparse': Variant(
        {'model.type': 'OtherDepth', 'model.shown_depth': 'sparse'}, after='semantics-depth'
    ),
    'depth-true': Variant(
        {'model.type': 'OtherDepth', 'model.shown_depth': 'true'}, after='semantics-depth'
    ),
}

# name: title of the table, titles of its rows
GROUPS = {
    'tasks': (
        'One task or several',
        {
            'semantics': 'semantics only',
            'instances': 'instances only',
            'separate': 'these two, fused',
            'depth': 'depth only',
            'semantics-depth': 'semantics + depth',
            'all': 'all',
        },
    ),
    'recipe': (
        'From the faithful recipe to the light one, one change at a time',
        {
            'faithful': 'faithful demo model',
            'pretrained': '+ pretrained backbone, its optimizer',
            'augmented': '+ augmentation, simulated LiDAR, dense depth as ground truth',
            'candidates': '+ depth from candidates',
            'depth-first': '+ depth before semantics, learned upsampling',
            'depth-in-rois': '+ depth in proposals and RoIs, heads of the light model',
            'all': '+ average of weights: the light model',
        },
    ),
    'kinds': (
        'Two kinds of instances',
        {'all': 'Mask R-CNN: the light model', 'votes': 'box votes'},
    ),
    'instead': (
        'What else one might pick',
        {
            'panoptic-fpn': "mmdet's Panoptic FPN, same backbone",
            'depth-network': 'depth network alone, from scratch',
            'all': 'the light model',
        },
    ),
    'hypothesis': (
        'Depth that the semantics read (semantics + depth)',
        {
            'depth-nothing': 'none',
            'depth-sparse': 'smooth fill of the sparse depth',
            'semantics-depth': 'predicted',
            'depth-true': 'true',
        },
    ),
}


@functools.cache
def _read(path: str) -> str:
    """A config file as JSON."""
    cfg = read_config(path)[0].to_dict()
    return json.dumps({key: cfg[key] for key in _KEYS if cfg.get(key) is not None})


def shipped_config(path: str) -> dict:
    """What a run reads of a config file, as JSON holds it: nested dicts and lists."""
    return json.loads(_read(path))


def variant_config(name: str) -> dict:
    """The config of a variant, as nested dicts, before the study's settings."""
    variant = VARIANTS[name]
    if variant.after is None:
        cfg = shipped_config(variant.base)
    else:
        cfg = variant_config(variant.after)
    if variant.take:
        light = shipped_config(LITE)
        for key in variant.take:
            put(cfg, key, get(light, key))
    if variant.ignore_tiny:
        tiny = dict(type='IgnoreTinyInstances', min_side=2, min_area=8)
        cfg['train_dataloader']['dataset']['pipeline'].insert(-1, tiny)
    for key, value in variant.values.items():
        put(cfg, key, copy.deepcopy(value))
    return cfg


def run_config(name: str, settings: Settings, data_root: str, seed: int) -> dict:
    """The config of one training and the test of what it gives.

    All variants have the same steps, images a step and metrics. The learning rate falls over those
    steps; a warm-up is at most a quarter of them. Nothing is validated in between.

    Args:
        name: A variant.
        settings: Of the study.
        data_root: Folder of the data set.
        seed: Of the training.
    """
    cfg = variant_config(name)
    steps = settings.steps
    for loader in ('train_dataloader', 'test_dataloader'):
        cfg[loader]['dataset']['data_root'] = data_root
    cfg['train_dataloader']['batch_size'] = settings.batch_size // settings.processes
    cfg['train_cfg'] = dict(type='IterBasedTrainLoop', max_iters=steps)
    for scheduler in cfg['param_scheduler']:
        if 'T_max' in scheduler:
            scheduler['T_max'] = steps
        else:
            scheduler['end'] = max(1, min(scheduler['end'], steps // 4))
    cfg['default_hooks']['logger']['interval'] = 10
    cfg['default_hooks']['checkpoint'].update(
        interval=min(50, steps), max_keep_ckpts=2, save_best=None
    )
    cfg['test_evaluator'] = metrics_of(cfg['model'])
    cfg['randomness'] = dict(seed=seed)
    # heads that read a few of the neck's maps leave weights of the others without a gradient
    cfg['find_unused_parameters'] = settings.processes > 1
    cfg['custom_imports'] = dict(imports=['pandepth_mm', 'study.models'])
    return cfg


def metrics_of(model: dict) -> list[dict]:
    """The metrics of what a model predicts."""
    fpn = model['type'] == 'PlainPanopticFPN'
    depth = model.get('depth_head') is not None
    metrics = []
    if fpn or model.get('panoptic_fusion') is not None:
        lambdas = [0.1, 0.25, 0.5] if depth else []
        metrics.append(dict(type='PanopticMetric', depth_lambdas=lambdas))
    if model.get('semantic_head') is not None:
        metrics.append(dict(type='SemanticMetric'))
    if model.get('instance_head') is not None or model.get('roi_head') is not None:
        metrics.append(dict(type='InstanceMetric'))
    if depth:
        metrics.append(dict(type='DepthMetric'))
        metrics.append(dict(type='DepthBreakdownMetric'))
    return metrics


def digest(name: str, settings: Settings) -> str:
    """What changes whenever the config of a variant does, wherever the data lie."""
    cfg = run_config(name, settings, data_root='', seed=0)
    text = json.dumps(_stated(cfg), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stated(cfg: Any) -> Any:
    """A config without what is None: an argument left out is the same model."""
    if isinstance(cfg, dict):
        return {key: _stated(value) for key, value in cfg.items() if value is not None}
    return [_stated(value) for value in cfg] if isinstance(cfg, list) else cfg


def get(cfg: dict, key: str) -> Any:
    """Value of a dotted key."""
    for part in key.split('.'):
        cfg = cfg[part]
    return cfg


def put(cfg: dict, key: str, value: Any) -> None:
    """Set the value of a dotted key."""
    *parents, last = key.split('.')
    for part in parents:
        cfg = cfg[part]
    cfg[last] = value
