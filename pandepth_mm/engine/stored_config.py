"""The config that a training stored in its checkpoint, read as data.

mmengine stores the text of the config and runs it as Python to read it. A stranger's checkpoint
could run anything that way. Here the text is parsed: dicts, lists and plain values only. And since
a registry imports whatever a ``type`` names, only types that the configs of this package use are
accepted.
"""

import ast
import functools
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config

from pandepth_mm.engine.model_zoo import dataset_of_test, shipped_models
from pandepth_mm.errors import InputError

_DATASET_KEYS = ('img_scale', 'metainfo', 'pipeline')
_SCOPE = 'pandepth_mm.'
_FLOATS = dict(inf=float('inf'), nan=float('nan'))


def read_stored_config(checkpoint: dict, source: str) -> Config:
    """Read the stored config, as far as an inference needs it.

    Args:
        checkpoint: As mmengine's Runner saves it or ``publish_model`` does, read weights-only.
        source: Name of the file, for messages.

    Returns:
        What :func:`inference_config` keeps of the config.

    Raises:
        InputError: No config is stored, its text is more than data, or it has a type that no config
            of this package has.
    """
    text = _stored_text(checkpoint)
    if text is None:
        raise InputError(
            source, 'no config in it', 'a checkpoint of a training, or a config beside it'
        )
    try:
        statements = ast.parse(text).body
        values = {_name(statement): _value(statement.value) for statement in statements}
    except (SyntaxError, ValueError, AttributeError, RecursionError) as e:
        raise InputError(
            source,
            f'a stored config that is no data ({e})',
            'the config as mmengine stores it; or give the config file',
        ) from None
    if not isinstance(values.get('model'), dict):
        raise InputError(source, 'no dict "model"', 'a runner config', 'stored config')
    used = inference_config(values)
    for kind in _types(used):
        if not isinstance(kind, str) or kind.removeprefix(_SCOPE) not in known_types():
            raise InputError(
                source,
                f'the type {kind!r}',
                'types of the shipped configs; if you trust this one, give its file',
                'stored config',
            )
    return Config(used)


def inference_config(cfg: dict) -> dict:
    """What an inference needs of a config: no path and no training.

    Args:
        cfg: The config.

    Returns:
        ``model``, and size, classes and pipeline under ``test_dataloader.dataset``.
    """
    dataset = dataset_of_test(cfg)
    dataset = {key: dataset[key] for key in _DATASET_KEYS if key in dataset}
    return dict(model=cfg['model'], test_dataloader=dict(dataset=dataset))


def _stored_text(checkpoint: dict) -> Any:
    """The text of the config; mmengine has two places for it."""
    for path in (('message_hub', 'runtime_info', 'cfg'), ('meta', 'cfg')):
        found: Any = checkpoint
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if isinstance(found, str):
            return found
    return None


def _name(statement: ast.stmt) -> str:
    """Name that a statement ``NAME = value`` sets."""
    if (
        not isinstance(statement, ast.Assign)
        or len(statement.targets) != 1
        or not isinstance(statement.targets[0], ast.Name)
    ):
        raise ValueError(f'line {statement.lineno} is no assignment')
    return statement.targets[0].id


def _value(node: ast.expr) -> Any:
    """Value of literals, of calls of dict with keywords or a literal, of inf and nan."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == 'dict'
        and all(keyword.arg for keyword in node.keywords)
        and len(node.args) <= 1
        and all(isinstance(arg, ast.Dict) for arg in node.args)
    ):
        # so mmengine writes a dict of which a key is no name: dict({'backbone.layers': ...})
        literal = _value(node.args[0]) if node.args else {}
        return {**literal, **{k.arg: _value(k.value) for k in node.keywords}}
    if isinstance(node, ast.Dict) and None not in node.keys:
        return {
            ast.literal_eval(key): _value(value)
            for key, value in zip(node.keys, node.values, strict=True)
        }
    if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
        kind = {ast.List: list, ast.Tuple: tuple, ast.Set: set}[type(node)]
        return kind(_value(item) for item in node.elts)
    if isinstance(node, ast.Name) and node.id in _FLOATS:
        return _FLOATS[node.id]
    if (
        isinstance(node, ast.UnaryOp)
        and isinstance(node.op, ast.USub)
        and isinstance(node.operand, ast.Name)
    ):
        return -_value(node.operand)
    return ast.literal_eval(node)


def _types(value: Any) -> Iterator[Any]:
    """Every ``type`` in nested values."""
    if isinstance(value, dict):
        if 'type' in value:
            yield value['type']
        for item in value.values():
            yield from _types(item)
    elif isinstance(value, (list, tuple, set)):
        for item in value:
            yield from _types(item)


@functools.cache
def known_types() -> frozenset[str]:
    """The types that the configs of this package use, its own without their scope.

    None of them reads or runs what its arguments name. Others may: a loss of mmseg unpickles the
    file of its class weights.
    """
    configs = (Config.fromfile(m.config) for m in shipped_models().values())
    return frozenset(
        kind.removeprefix(_SCOPE)
        for cfg in configs
        for kind in _types([cfg.model, cfg.test_dataloader.dataset.pipeline])
    )
