"""Make a small file of a checkpoint's weights: ``publish_model.py IN [OUT]``.

OUT is a .safetensors file (by default IN with that suffix) or a .pth file. Optimizer, schedule,
logs and paths are left out; names of classes and the config of the model stay, so that the file
alone is enough to predict. ``--half`` stores the weights of convolutions and linear layers in 16
bits; norms, with their statistics, stay in 32. Loading converts them back.
"""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.checkpoint import SAFETENSORS, TRUST_FLAG, read_checkpoint, write_weights
from pandepth_mm.engine.model_zoo import config_of_weights
from pandepth_mm.engine.stored_config import inference_config, read_stored_config
from pandepth_mm.errors import InputError, require_choice, require_file
from pandepth_mm.fileio import check_writable
from pandepth_mm.version import __version__

# of the data set: what the outputs mean
_META = ('classes', 'thing_classes', 'stuff_classes', 'palette')


def published_weights(checkpoint: dict, half: bool = False) -> dict:
    """The weights of a checkpoint.

    Args:
        checkpoint: As mmengine saves it. With EMA its ``state_dict`` holds the averaged weights
            already.
        half: Store weights of two dimensions and more in 16 bits.
    """
    return {
        name: value.half() if half and value.is_floating_point() and value.dim() > 1 else value
        for name, value in checkpoint['state_dict'].items()
    }


def published_meta(checkpoint: dict, source: str) -> dict:
    """What one needs to know to use the weights.

    Args:
        checkpoint: As mmengine saves it.
        source: Its file.

    Returns:
        Names of classes, iteration, epoch, seed, this package's version, and ``cfg``: what
        :func:`inference_config` keeps of the config, as text, where there is one that can be read
        as data.
    """
    meta = checkpoint.get('meta') or {}
    dataset_meta = meta.get('dataset_meta') or {}
    found = dict(
        dataset_meta={k: dataset_meta[k] for k in _META if k in dataset_meta},
        iter=meta.get('iter'),
        epoch=meta.get('epoch'),
        seed=meta.get('seed'),
        pandepth_mm_version=__version__,
    )
    shipped = config_of_weights(source)
    try:
        if shipped is not None:
            cfg = Config(inference_config(Config.fromfile(shipped)))
        else:
            cfg = read_stored_config(checkpoint, source)
    except InputError as e:
        print(f'the config is left out, and has to be given with the weights: {e}')
        return found
    return dict(found, cfg=cfg.pretty_text)


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description='Publish the weights')
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument(
        'out', nargs='?', help='.safetensors or .pth (default: CHECKPOINT with .safetensors)'
    )
    parser.add_argument('--half', action='store_true', help='16 bits per weight, half the size')
    parser.add_argument(TRUST_FLAG, action='store_true')
    args = parser.parse_args(argv)
    if '://' not in args.checkpoint:
        require_file(args.checkpoint, 'a checkpoint')
    out = args.out
    if out is None:
        out = str(Path(args.checkpoint).with_suffix(SAFETENSORS))
    if os.path.abspath(out) == os.path.abspath(args.checkpoint):
        raise InputError('out', f'{out}, which is there', 'the name of a new file')
    check_writable(out, 'out')
    require_choice(Path(out).suffix, (SAFETENSORS, '.pth'), out, 'suffix')
    checkpoint = read_checkpoint(args.checkpoint, args.trust_checkpoint)
    if 'state_dict' not in checkpoint:
        raise InputError(args.checkpoint, 'no state_dict', 'a checkpoint of a training')
    meta = published_meta(checkpoint, args.checkpoint)
    write_weights(out, published_weights(checkpoint, args.half), meta)
    print(f'{out}: {os.path.getsize(out) / 1e6:.1f} MB')
