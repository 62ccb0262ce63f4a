"""Make a small file of a checkpoint's weights: ``publish_model.py IN OUT``.

Optimizer, schedule, logs and paths are left out. ``--half`` stores the
weights of convolutions and linear layers in 16 bits; norms, with their
statistics, stay in 32. Loading turns them back.
"""

import argparse
import os
from collections.abc import Sequence

import torch
from mmengine.runner.checkpoint import CheckpointLoader

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.checkpoint import TRUST_FLAG, set_checkpoint_trust
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import atomic_path
from pandepth_mm.version import __version__

# of the data set: what the outputs mean
_META = ('classes', 'thing_classes', 'stuff_classes', 'palette')


def published(checkpoint: dict, half: bool = False) -> dict:
    """Keep what is needed to use a checkpoint.

    Args:
        checkpoint: As mmengine saves it. With EMA its ``state_dict`` holds
            the averaged weights already.
        half: Store weights of two dimensions and more in 16 bits.

    Returns:
        ``state_dict``; ``meta`` with the names of classes, the iteration, the
        epoch, the seed and this package's version.
    """
    meta = checkpoint.get('meta', {})
    dataset_meta = meta.get('dataset_meta') or {}
    weights = {
        name: value.half() if half and value.is_floating_point() and value.dim() > 1 else value
        for name, value in checkpoint['state_dict'].items()
    }
    return dict(
        state_dict=weights,
        meta=dict(
            dataset_meta={k: dataset_meta[k] for k in _META if k in dataset_meta},
            iter=meta.get('iter'),
            epoch=meta.get('epoch'),
            seed=meta.get('seed'),
            pandepth_mm_version=__version__,
        ),
    )


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Publish."""
    parser = argparse.ArgumentParser(description='Publish the weights')
    parser.add_argument('checkpoint', help='checkpoint of a training')
    parser.add_argument('out', help='file to write')
    parser.add_argument('--half', action='store_true', help='16 bits a weight, half the size')
    parser.add_argument(TRUST_FLAG, action='store_true')
    args = parser.parse_args(argv)
    if os.path.isdir(args.out):
        raise InputError('out', f'{args.out}, a folder', 'a file name')
    set_checkpoint_trust(args.trust_checkpoint)
    if not os.path.isfile(args.checkpoint):
        raise InputError(args.checkpoint, 'no such file', 'a checkpoint')
    checkpoint = CheckpointLoader.load_checkpoint(args.checkpoint, map_location='cpu')
    if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint:
        raise InputError(args.checkpoint, 'no state_dict', 'a checkpoint of a training')
    with atomic_path(args.out) as tmp:
        torch.save(published(checkpoint, args.half), tmp)
    print(f'{args.out}: {os.path.getsize(args.out) / 1e6:.1f} MB')
