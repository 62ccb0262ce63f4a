"""``--cfg-options``: from the command line into a config."""

import inspect
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config, DictAction
from mmengine.runner import Runner

from pandepth_mm.errors import InputError, shorten

FLAG = '--cfg-options'
_HELP = (
    'override config keys, e.g. train_cfg.max_epochs=3 or '
    'model.betas="[0.9,0.99]" (no white space in a value)'
)
# top-level keys of a config that mmengine reads beside Runner's arguments
_EXTRA_KEYS = {
    'compile',
    'custom_imports',
    'find_unused_parameters',
    'model_wrapper_cfg',
    'runner_type',
    'sync_bn',
}


class CfgOptions(DictAction):
    """mmengine's KEY=VALUE flag, which says what is wrong with a value.

    Raises:
        InputError: No '=', or a value that is neither a number, a text, True, False, None nor a
            list of these.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,
        values: Sequence[str],
        option_string: str | None = None,
    ) -> None:
        """Parse the values, and add them to those of the same flag before.

        Args:
            parser: The parser.
            namespace: Gets the dict.
            values: Texts of the command line.
            option_string: The flag.
        """
        options = dict(getattr(namespace, self.dest, None) or {})
        for text in values:
            key, equals, value = text.partition('=')
            if not equals:
                raise InputError(FLAG, shorten(text), 'KEY=VALUE, with no white space around the =')
            try:
                options[key] = self._parse_iterable(value)
            except (AssertionError, RecursionError):  # brackets; a call
                options[key] = value
            for leaf in _leaves(options[key]):
                if isinstance(leaf, str) and _is_code(leaf):
                    raise InputError(
                        FLAG,
                        shorten(value),
                        'a number, a text, True, False, None, or a list such as [0.9,0.99]; keys '
                        'of dicts one by one, such as param_scheduler.0.end=2',
                        key,
                    )
        setattr(namespace, self.dest, options)


def add_cfg_options(parser: ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(FLAG, nargs='+', action=CfgOptions, metavar='K=V', help=_HELP)


def merge_options(cfg: Config, options: dict) -> None:
    """Merge ``--cfg-options`` into a config.

    Raises:
        InputError: A top-level key that nothing reads, a place that the config does not have, or a
            value of another kind than the one that it replaces.
    """
    known = set(inspect.signature(Runner).parameters) | _EXTRA_KEYS
    for key, value in options.items():
        top = key.split('.')[0]
        if top in known:
            _check_kind(cfg, key, value)
        elif top in cfg:
            raise InputError(
                FLAG,
                f'{key}: {top} is a variable of the config file, whose values are copied by now',
                f'the key that it is copied to, such as {_copied_to(cfg, top)}',
            )
        else:
            names = ', '.join(sorted(known & set(cfg)))
            raise InputError(FLAG, key or repr(key), f'a key of the config ({names})')
    try:
        cfg.merge_from_dict(options)
    except (KeyError, TypeError, IndexError, AttributeError) as e:
        raise InputError(FLAG, f'{options} ({e})', 'keys that fit the config') from e


def _copied_to(cfg: Config, name: str) -> str:
    """A key of the config that has the name of a variable, or an example."""
    for top, value in cfg.items():
        if top != name and isinstance(value, dict) and name in value:
            return f'{top}.{name}'
    return 'train_dataloader.dataset.data_root'


def _check_kind(cfg: Config, key: str, value: Any) -> None:
    """Refuse a text for a number and the like; None and what is new will do."""
    top, *parts = key.split('.')
    found: Any = cfg.get(top)
    for part in parts:
        if isinstance(found, dict):
            found = found.get(part)
        elif isinstance(found, (list, tuple)) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            return  # which merging may refuse
    if isinstance(found, dict) and value is not None:
        raise InputError(FLAG, shorten(value), f'keys of it, such as {key}.KEY=VALUE', key)
    if isinstance(found, bool) and not isinstance(value, bool | None):
        raise InputError(FLAG, shorten(value), 'True or False', key)
    if isinstance(found, int | float) and isinstance(value, str | bool) and found is not value:
        if not isinstance(found, bool):
            raise InputError(FLAG, shorten(value), f'a number, such as {found}', key)


def _leaves(value: Any) -> Iterator[Any]:
    """What a nested list holds, or the value itself."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _is_code(text: str) -> bool:
    """Whether a text is a dict, a call, or the half of a list."""
    unbalanced = any(text.count(a) != text.count(b) for a, b in ('()', '[]', '{}'))
    return unbalanced or bool(re.fullmatch(r'\w+\(.*\)|[\[{].*', text, re.DOTALL))
