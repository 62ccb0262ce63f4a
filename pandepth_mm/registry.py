"""Registries of this package: children of mmdet's, scope ``pandepth_mm``.

With ``default_scope = 'pandepth_mm'`` both our names and mmdet's resolve without a prefix. Every
node that mmdet has stands here too, since mmengine warns about a scope that lacks one.
"""

import datetime

from pandepth_mm import mmcv_ops
from pandepth_mm.version import check_stack

# before the first import of mmdet: say what is missing, and do without a compiler
check_stack()
mmcv_ops.install()

from mmdet import registry as mmdet_registry  # noqa: E402
from mmengine import DefaultScope  # noqa: E402
from mmengine.registry import Registry  # noqa: E402

_LOCATIONS = {
    'HOOKS': ['pandepth_mm.engine.hooks'],
    'DATASETS': ['pandepth_mm.datasets'],
    'TRANSFORMS': ['pandepth_mm.datasets.transforms'],
    'MODELS': ['pandepth_mm.models'],
    'TASK_UTILS': ['pandepth_mm.models'],
    'METRICS': ['pandepth_mm.evaluation'],
    'VISUALIZERS': ['pandepth_mm.visualization.frame'],
}


def _child(node: str) -> Registry:
    """Make the child of the mmdet registry ``node``.

    The parent's dictionary is read without importing the parent's modules, so its import locations
    are repeated here.
    """
    parent = getattr(mmdet_registry, node)
    return Registry(
        parent.name,
        parent=parent,
        scope='pandepth_mm',
        locations=list(parent._locations) + _LOCATIONS.get(node, []),
    )


RUNNERS = _child('RUNNERS')
RUNNER_CONSTRUCTORS = _child('RUNNER_CONSTRUCTORS')
LOOPS = _child('LOOPS')
HOOKS = _child('HOOKS')
DATASETS = _child('DATASETS')
DATA_SAMPLERS = _child('DATA_SAMPLERS')
TRANSFORMS = _child('TRANSFORMS')
MODELS = _child('MODELS')
MODEL_WRAPPERS = _child('MODEL_WRAPPERS')
WEIGHT_INITIALIZERS = _child('WEIGHT_INITIALIZERS')
OPTIMIZERS = _child('OPTIMIZERS')
OPTIM_WRAPPERS = _child('OPTIM_WRAPPERS')
OPTIM_WRAPPER_CONSTRUCTORS = _child('OPTIM_WRAPPER_CONSTRUCTORS')
PARAM_SCHEDULERS = _child('PARAM_SCHEDULERS')
METRICS = _child('METRICS')
EVALUATOR = _child('EVALUATOR')
TASK_UTILS = _child('TASK_UTILS')
VISUALIZERS = _child('VISUALIZERS')
VISBACKENDS = _child('VISBACKENDS')
LOG_PROCESSORS = _child('LOG_PROCESSORS')


def set_default_scope() -> None:
    """Let names resolve without a prefix, ours and mmdet's.

    The registries import the modules that fill them when they are asked.
    """
    current = DefaultScope.get_current_instance()
    if current is None or current.scope_name != 'pandepth_mm':
        # a scope's instance name must be new, or the old one stays current
        name = f'pandepth_mm-{datetime.datetime.now()}'
        DefaultScope.get_instance(name, scope_name='pandepth_mm')


def type_name(cfg: dict) -> str:
    """Name of a config's type, without its scope; the type may be a class."""
    kind = cfg['type']
    return (kind if isinstance(kind, str) else kind.__name__).split('.')[-1]
