"""Finding the configs, tools and weights that come with the package."""

import functools
import os
from pathlib import Path
from typing import NamedTuple

import yaml
from mmengine.config import Config

from pandepth_mm.errors import InputError

_PACKAGE = Path(__file__).parents[1]


class ShippedModel(NamedTuple):
    """A model of the metafile.

    Attributes:
        config: Its config file.
        weights: File or address of its weights, None where there are none.
    """

    config: Path
    weights: str | None


def root() -> Path:
    """Folder that holds ``configs`` and ``tools``.

    The checkout, or what the wheel carries of it, ``pandepth_mm/.mim``.
    """
    installed = _PACKAGE / '.mim'
    return installed if installed.is_dir() else _PACKAGE.parent


@functools.cache
def shipped_models() -> dict[str, ShippedModel]:
    """The models of the metafiles, by name."""
    models = {}
    index = yaml.safe_load((root() / 'model-index.yml').read_text())
    for file in index['Import']:
        content = yaml.safe_load((root() / file).read_text())
        for model in content['Models']:
            weights = model.get('Weights')
            if weights is not None and '://' not in weights:
                # relative to what holds the package, in a wheel too
                weights = str(_PACKAGE.parent / weights)
            models[model['Name']] = ShippedModel(root() / model['Config'], weights)
    return models


def find_config(config: str) -> ShippedModel:
    """Find a config by its path or by the name of a shipped model.

    Args:
        config: A file; a name of :func:`shipped_models`, which may end in
            '.py'; or a path from ``configs`` on, also where there is no
            checkout.

    Returns:
        The config, and the weights that the metafile names for it.

    Raises:
        InputError: None of these.
    """
    path = Path(config)
    if path.is_file():
        return ShippedModel(path, _weights_of(path))
    model = shipped_models().get(path.stem if path.name == config else '')
    if model is not None:
        return model
    if path.parts[:1] == ('configs',) and (root() / path).is_file():
        return ShippedModel(root() / path, _weights_of(root() / path))
    names = ', '.join(sorted(shipped_models()))
    found = 'a folder' if os.path.isdir(config) else 'no such file'
    raise InputError(config, found, f'a config file, or the name of one that comes along: {names}')


def read_config(config: str) -> tuple[Config, ShippedModel]:
    """Find a config, and read it.

    Args:
        config: See :func:`find_config`.

    Returns:
        tuple: the config, and where it and its weights are.

    Raises:
        InputError: It is not there, is broken, or has no model.
    """
    found = find_config(config)
    try:
        cfg = Config.fromfile(found.config)
    except Exception as e:  # a config is Python: anything can be wrong in it
        raise InputError(
            found.config, f'{type(e).__name__}: {e}', 'a config that mmengine can read'
        ) from e
    if not isinstance(cfg.get('model'), dict):
        raise InputError(found.config, 'no dict "model"', 'a runner config')
    return cfg, found


def config_of_weights(weights: str) -> Path | None:
    """Config of weights that come along; None of any others."""
    for model in shipped_models().values():
        if (
            model.weights is not None
            and os.path.isfile(model.weights)
            and os.path.isfile(weights)
            and os.path.samefile(model.weights, weights)
        ):
            return model.config
    return None


def _weights_of(path: Path) -> str | None:
    """Weights of a config file that is one of the shipped ones."""
    for model in shipped_models().values():
        if model.config.is_file() and model.config.samefile(path):
            return model.weights
    return None
