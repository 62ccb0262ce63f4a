"""From a config and weights to a model that can predict."""

from mmengine.config import Config, ConfigDict

from pandepth_mm.engine.checkpoint import fill_model, read_checkpoint
from pandepth_mm.engine.model_zoo import dataset_of_test, find_model, read_config
from pandepth_mm.engine.stored_config import read_stored_config
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike
from pandepth_mm.models.build import build_pandepth
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.visualization.frame.colors import as_palette


def init_model(
    config: PathLike | Config | ConfigDict | None = None,
    weights: PathLike | None = None,
    trust_checkpoint: bool = False,
) -> PanDepth:
    """Build a model and fill it with weights.

    A config file is Python code and is run: use those you trust. Weights are read as tensors,
    numbers and text only.

    Args:
        config: Config file, name of a shipped config, or a Config. By default the config of the
            weights: the shipped one, or the one stored in them, if it uses only the types that the
            package's configs use. A stored config is read as data, not run.
        weights: Checkpoint (.pth or .safetensors), a file or an http(s) address; without a config
            also the name of a shipped model. By default the weights shipped for the config; with
            neither, those of the demo's model.
        trust_checkpoint: Let the checkpoint run code while it is loaded.

    Returns:
        The model, in eval mode, on the CPU. As with mmdet's ``init_detector``, ``model.cfg`` is its
        config, and ``model.dataset_meta`` a dict of ``classes``, names in the order of the labels,
        and ``palette``, uint8 (num_classes, 3), RGB.

    Raises:
        InputError: No such config or weights, a broken one, weights of another model, or a
            checkpoint that would run code.
    """
    weights = None if weights is None else str(weights)
    if isinstance(config, (Config, ConfigDict)):
        if weights is None:
            raise InputError('weights', 'None', 'a checkpoint, since the config is not a name')
        source = 'config'
    else:
        config, weights = find_model(None if config is None else str(config), weights)
        source = str(config or weights)
        config = config and read_config(str(config))[0]
    checkpoint = read_checkpoint(weights, trust_checkpoint)
    if config is None:
        config = read_stored_config(checkpoint, weights)
    if not isinstance(config.get('model'), dict):
        raise InputError(source, 'no dict "model"', 'a runner config')
    model = build_pandepth(config, source)
    fill_model(model, checkpoint, weights)
    model.cfg = config
    model.dataset_meta = _dataset_meta(config, checkpoint, model.num_classes)
    return model.eval()


def _dataset_meta(cfg: Config, checkpoint: dict, num_classes: int) -> dict:
    """Class names of the weights, else of the config, else numbers; colors."""
    info = dataset_of_test(cfg).get('metainfo') or {}
    named = (*info.get('thing_classes', ()), *info.get('stuff_classes', ()))
    stored = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    classes = tuple(stored.get('classes') or named or (f'class {i}' for i in range(num_classes)))
    if len(classes) != num_classes:
        raise InputError(
            'weights',
            f'the names of {len(classes)} classes',
            f'{num_classes}, model.num_things + model.num_stuff of the config',
            'meta.dataset_meta.classes',
        )
    palette = info.get('palette')
    if palette is None or named != classes:  # the config's colors are of its own classes
        palette = default_palette(classes)
    return dict(classes=classes, palette=as_palette(palette))
