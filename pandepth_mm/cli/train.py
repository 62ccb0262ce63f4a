"""Train a model: ``python tools/train.py CONFIG [flags]``."""

import argparse
from collections.abc import Sequence

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.config_mistakes import config_mistakes
from pandepth_mm.engine.launch import (
    add_common_arguments,
    apply_train_flags,
    build_runner,
    load_config,
)


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Train a model')
    parser.add_argument('config', help='config file')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        metavar='CKPT',
        help='go on from a checkpoint; without a name from the latest one in the work dir',
    )
    parser.add_argument('--amp', action='store_true', help='mixed precision, on GPUs')
    parser.add_argument(
        '--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size'
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Train."""
    args = parse_args(argv)
    cfg = load_config(args)
    apply_train_flags(cfg, args)
    runner = build_runner(cfg, args.trust_checkpoint)
    with config_mistakes(cfg, args.config):
        runner.train()
