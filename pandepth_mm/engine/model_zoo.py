"""Finding the configs, tools and weights that come with the package."""

import functools
import os
from pathlib import Path
from typing import NamedTuple

import yaml
from mmengine.config import Config

from pandepth_mm.errors import InputError, require_file

DEFAULT_MODEL = 'pandepth_lite0_minivkitti_long'
_PACKAGE = Path(__file__).parents[1]


class ModelFiles(NamedTuple):
    """What a model is built from.

    Attributes:
        config: Its config file, None for the config stored in the weights.
        weights: File or address of its weights, None where there are none.
    """

    config: Path | None
    weights: str | None


def root() -> Path:
    """Folder that holds ``configs`` and ``tools``.

    The checkout, or what the wheel carries of it, ``pandepth_mm/.mim``.
    """
    installed = _PACKAGE / '.mim'
    return installed if installed.is_dir() else _PACKAGE.parent


@functools.cache
def shipped_models() -> dict[str, ModelFiles]:
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
            models[model['Name']] = ModelFiles(root() / model['Config'], weights)
    return models


def find_config(config: str) -> ModelFiles:
    """Find a config by its path or by the name of a shipped model.

    Args:
        config: A file; a name of :func:`shipped_models`, which may end in '.py'; or a path from
            ``configs`` on, also where there is no checkout.

    Returns:
        The config, and the weights that the metafile names for it.

    Raises:
        InputError: None of these.
    """
    path = Path(config)
    if path.is_file():
        return ModelFiles(path, _weights_of(path))
    model = shipped_models().get(path.stem if path.name == config else '')
    if model is not None:
        return model
    if path.parts[:1] == ('configs',) and (root() / path).is_file():
        return ModelFiles(root() / path, _weights_of(root() / path))
    names = ', '.join(sorted(shipped_models()))
    found = 'a folder' if os.path.isdir(config) else 'no such file'
    raise InputError(config, found, f'a config file, or the name of a shipped one: {names}')


def read_config(config: str) -> tuple[Config, ModelFiles]:
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


def find_model(config: str | None = None, weights: str | None = None) -> ModelFiles:
    """Complete what a user left out of config and weights.

    Args:
        config: See :func:`find_config`. By default the one shipped for the weights, else the one
            stored in them.
        weights: File or http(s) address; without a config also the name of a shipped model. By
            default those shipped for the config.

    Returns:
        Config and weights; those of ``DEFAULT_MODEL`` where neither is given.

    Raises:
        InputError: No such config or weights, or no weights for the config.
    """
    if config is not None:
        found = find_config(config)
        found = ModelFiles(found.config, weights or found.weights)
    else:
        weights = weights or DEFAULT_MODEL
        found = shipped_models().get(weights) or ModelFiles(config_of_weights(weights), weights)
    if found.weights is None:
        raise InputError(
            'weights', 'none', f'a checkpoint: none is shipped for {config or weights}'
        )
    find_weights(found.weights)
    return found


def find_weights(weights: str, field: str = '') -> str:
    """File or address of weights; the name of a shipped model stands for its own.

    Args:
        weights: One of these.
        field: Flag that names them, for the message.

    Raises:
        InputError: A local file that does not exist, and no such name.
    """
    model = shipped_models().get(weights)
    if model is not None and model.weights is not None:
        weights = model.weights
    if '://' not in weights:
        names = ', '.join(name for name, model in shipped_models().items() if model.weights)
        require_file(
            os.path.expanduser(weights),
            f'a checkpoint, or the name of a model that has weights: {names}',
            field,
        )
    return weights


def dataset_of_test(cfg: dict) -> dict:
    """The data set of a config's test, unwrapped; empty where there is none."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'img_scale' not in dataset and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return dataset


def config_of_weights(weights: str) -> Path | None:
    """Config of shipped weights; None for any others."""
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
