"""Models of the light family with random weights, and what the tests do with them."""

from pathlib import Path

import torch
from mmengine.config import Config, ConfigDict
from random_batch import random_batch

from pandepth_mm.registry import MODELS, set_default_scope


def light_config(path: Path, **changes) -> ConfigDict:
    """Config of a model without pretrained weights, all of whose weights learn.

    Args:
        path: Config file.
        changes: Keys of branches to change; None to leave a branch out.
    """
    cfg = Config.fromfile(path).model
    cfg.backbone.update(init_cfg=None, frozen_stages=0, norm_eval=False)
    for key, value in changes.items():
        cfg[key] = value and dict(cfg[key], **value)
    return cfg


def build_light(path: Path, **changes):
    """That model, initialized with a seed."""
    set_default_scope()  # the fixture of a module comes before conftest's
    torch.manual_seed(0)
    model = MODELS.build(light_config(path, **changes))
    model.init_weights()
    return model


def losses_of(model, **kwargs):
    """Losses of a random batch."""
    data = model.data_preprocessor(random_batch(**kwargs), training=True)
    return model(**data, mode='loss')


def predict(model, batch):
    """Predictions in eval mode."""
    model.eval()
    with torch.no_grad():
        return model.test_step(batch)
