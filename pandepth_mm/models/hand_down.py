"""Writing counts that stand once in a config into the configs of parts."""

import copy
from typing import Any

from mmdet.utils import ConfigType

from pandepth_mm.errors import InputError


def hand_down(cfg: ConfigType, where: str, values: dict[str, Any]) -> dict:
    """Copy the config of a part with the detector's counts written into it.

    Args:
        cfg: Config of the part.
        where: Its place in the config, for the message.
        values: Counts by key.

    Raises:
        InputError: The config states another count.
    """
    cfg = copy.deepcopy(cfg)
    for key, value in values.items():
        if cfg.setdefault(key, value) != value:
            raise InputError(
                'config',
                cfg[key],
                f'{value}, which model.num_things, model.num_stuff and model.max_depth give',
                f'{where}.{key}',
            )
    return cfg
