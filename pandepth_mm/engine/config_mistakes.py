"""Mistakes in a config, as one line that names the key.

mmengine builds what a config says without a look at it, so that a misspelled key ends in a
traceback, perhaps after long work.
"""

import contextlib
import difflib
import inspect
import logging
import re
from collections.abc import Iterator
from types import FrameType
from typing import Any

from mmengine.config import Config
from mmengine.registry import Registry

from pandepth_mm.errors import InputError, require_count, shorten
from pandepth_mm.registry import type_name

_DICTS = ('model', 'train_cfg', 'val_cfg', 'test_cfg', 'optim_wrapper', 'default_hooks', 'env_cfg')
_LOADERS = ('train_dataloader', 'val_dataloader', 'test_dataloader')
_LISTS = ('param_scheduler', 'custom_hooks', 'val_evaluator', 'test_evaluator')
# whose constructors check their values themselves
_STACK = ('torch', 'mmengine', 'mmdet', 'mmcv')
_COUNTS = ('max_epochs', 'max_iters', 'val_interval')


def check_values(cfg: Config, source: str) -> None:
    """Check what is cheap to check, before anything is built.

    Args:
        cfg: The config.
        source: Its name, for messages.

    Raises:
        InputError: A value of a wrong kind.
    """
    for key in (*_DICTS, *_LOADERS):
        if not isinstance(cfg.get(key), dict | None):
            raise InputError(source, shorten(cfg[key]), 'a dict', key)
    for key in _LISTS:
        if not isinstance(cfg.get(key), dict | list | tuple | None):
            raise InputError(source, shorten(cfg[key]), 'a list of dicts', key)
    for name in _LOADERS:
        loader = cfg.get(name) or {}
        for key, least in (('batch_size', 1), ('num_workers', 0)):
            if key in loader:
                require_count(loader[key], source, f'{name}.{key}', least)
    train_cfg = cfg.get('train_cfg') or {}
    for key in _COUNTS:
        if train_cfg.get(key) is not None:
            require_count(train_cfg[key], source, f'train_cfg.{key}')
    seed = (cfg.get('randomness') or {}).get('seed')
    if seed is not None:
        require_count(seed, source, 'randomness.seed', least=0)

    level = cfg.get('log_level', 'INFO')
    if not isinstance(logging.getLevelName(level), int) and not isinstance(level, int):
        raise InputError(source, repr(level), "'INFO' or another level of logging", 'log_level')


@contextlib.contextmanager
def config_mistakes(cfg: Config, source: str) -> Iterator[None]:
    """Turn what building says about a config into InputError; other errors are bugs and pass.

    Args:
        cfg: The config that something is built from.
        source: Its name, for messages.

    Raises:
        InputError: A type that no registry has, an argument that a class does not take, one that it
            wants, or what mmengine's Runner itself says.
    """
    try:
        yield
    except InputError:
        raise
    except (TypeError, KeyError, ValueError, RuntimeError) as e:
        mistake = _mistake(e, cfg, source)
        if mistake is None:
            raise
        raise mistake from e


def _mistake(error: Exception, cfg: Config, source: str) -> InputError | None:
    """What an error says about the config; None if it may be a bug."""
    frames = [tb.tb_frame for tb in _tracebacks(error)]
    last = frames[-1]
    build = next((f for f in reversed(frames) if f.f_code.co_name == 'build_from_cfg'), None)
    text = str(error.args[0]) if error.args else ''
    if build is last and 'obj_cls' not in last.f_locals:
        return InputError(source, text, 'a dict with the type of something that exists', 'config')
    if build is last and last.f_locals['obj_cls'] is None:
        return _unknown_type(last, cfg, source)
    if isinstance(error, TypeError) and build is not None:
        mistake = _wrong_argument(text, build.f_locals, cfg, source, build is last)
        if mistake is not None:
            return mistake
    module = str(last.f_globals.get('__name__'))
    if module == 'mmengine.runner.runner':  # whose own complaints are about the config
        wrong = re.match(r"(\w+)[.\w]*\(\) got an unexpected keyword argument '(.*?)'", text)
        if wrong:
            found = f'an argument that {wrong[1]} does not take'
            return InputError(source, found, 'another name', _find(cfg, wrong[2], None))
        return InputError(source, shorten(text, 300), 'a config that mmengine can run', 'config')
    if build is not None and module.split('.')[0] in _STACK:
        owner = last.f_locals.get('self')
        if isinstance(error, ValueError) and type(owner) is build.f_locals['obj_cls']:
            place = _find_type(cfg, build.f_locals['obj_type'])
            return InputError(source, shorten(text, 300), 'values that it takes', place)
    if text == 'None is not a callable object' and any(map(_is_of_constructor, frames)):
        name, place = cfg.optim_wrapper.optimizer.type, 'optim_wrapper.optimizer.type'
        return InputError(source, repr(name), 'the name of a registered optimizer', place)
    return None


def _wrong_argument(
    text: str, call: dict, cfg: Config, source: str, in_call: bool
) -> InputError | None:
    """An argument that a class does not take, or one that it lacks."""
    cls, kind = call['obj_cls'], call['obj_type']
    match = re.match(r'(?:(\w+)\.)?(\w+)\(\) (?:got an unexpected keyword|missing \d+ )', text)
    parents = inspect.getmro(cls) if inspect.isclass(cls) else (cls,)
    if not match or (match[1] or match[2]) not in [c.__name__ for c in parents]:
        return None
    unexpected = re.search(r"unexpected keyword argument '(.*?)'", text)
    if unexpected is None:
        if not in_call:
            return None
        lacking = text.partition(': ')[2]
        return InputError(
            source, f'no {lacking}', f'what {cls.__name__} needs', _find_type(cfg, kind)
        )
    name = unexpected[1]
    if name not in call['args']:
        return None
    taken = {
        key: None
        for c in parents
        for key, p in _parameters(c).items()
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and key != 'self'
    }
    near = difflib.get_close_matches(name, taken, n=3)
    expected = f'perhaps {" or ".join(near)}' if near else f'one of {", ".join(taken)}'
    return InputError(
        source, f'an argument that {cls.__name__} does not take', expected, _find(cfg, name, kind)
    )


def _parameters(cls: Any) -> dict[str, inspect.Parameter]:
    """Parameters of a class or function; none of what has no signature."""
    function = cls.__dict__.get('__init__') if inspect.isclass(cls) else cls
    try:
        return dict(inspect.signature(function).parameters) if function else {}
    except (TypeError, ValueError):
        return {}


def _unknown_type(frame: FrameType, cfg: Config, source: str) -> InputError:
    """A type that no registry has."""
    name, registry = frame.f_locals['obj_type'], frame.f_locals['registry']
    names = set()
    node: Registry | None = registry
    while node is not None:
        names |= set(node.module_dict)
        node = node.parent
    near = difflib.get_close_matches(str(name).rpartition('.')[2], sorted(names), n=3)
    expected = f'perhaps {" or ".join(near)}' if near else f'a registered {registry.name}'
    return InputError(
        source, f'{name!r}, which nothing is registered as', expected, _find_type(cfg, name)
    )


def _is_of_constructor(frame: FrameType) -> bool:
    """Whether a frame builds the optimizer, not by way of build_from_cfg."""
    return frame.f_globals.get('__name__') == 'mmengine.optim.optimizer.default_constructor'


def _tracebacks(error: Exception) -> Iterator[Any]:
    """The traceback of an error, entry by entry."""
    tb = error.__traceback__
    while tb is not None:
        yield tb
        tb = tb.tb_next


def _find(cfg: Any, name: str, kind: Any) -> str:
    """Path of a key in a config, in a dict of that type if there is one; else the bare key."""
    for path, entry in _dicts(cfg):
        if name in entry and (kind is None or _is_type(entry, kind)):
            return '.'.join((*path, name))
    return name


def _find_type(cfg: Any, kind: Any) -> str:
    """Path of a type in a config."""
    for path, entry in _dicts(cfg):
        if _is_type(entry, kind):
            return '.'.join((*path, 'type'))
    return 'config'


def _is_type(entry: dict, kind: Any) -> bool:
    """Whether a dict of a config is of a type, with or without its scope."""
    return isinstance(entry.get('type'), str | type) and type_name(entry) == type_name(
        dict(type=kind)
    )


def _dicts(cfg: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict]]:
    """Every dict in a nested config, with its path."""
    if isinstance(cfg, dict | Config):
        if isinstance(cfg, dict):
            yield path, cfg
        for key, value in cfg.items():
            yield from _dicts(value, (*path, str(key)))
    elif isinstance(cfg, (list, tuple)):
        for i, value in enumerate(cfg):
            yield from _dicts(value, (*path, str(i)))
