"""From a config to the model, for what reads more of it than a Runner."""

from mmengine.config import Config

from pandepth_mm.errors import InputError
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.registry import MODELS, set_default_scope


def build_pandepth(cfg: Config, source: str) -> PanDepth:
    """Build the model of a config, without its weights.

    Args:
        cfg: With ``model``.
        source: Name of the config, for messages.

    Raises:
        InputError: It is another model than PanDepth, or names a type or an argument that does not
            exist.
    """
    set_default_scope()
    try:
        model = MODELS.build(cfg.model)
    except (KeyError, TypeError) as e:
        raise InputError(
            source, f'{type(e).__name__}: {e}', 'types and arguments that exist', 'model'
        ) from e
    if not isinstance(model, PanDepth):
        raise InputError(source, type(model).__name__, 'PanDepth', 'model.type')
    return model
