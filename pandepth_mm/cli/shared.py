"""What the commands share."""

import argparse
import ast
import functools
import gc
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from pandepth_mm.errors import InputError


def cli_main(main: Callable) -> Callable:
    """Print bad input as one line and exit with code 2, no traceback.

    Args:
        main: The command's main function. Other exceptions pass through: they are bugs, and their
            traceback is wanted.
    """

    @functools.wraps(main)
    def wrapper(*args, **kwargs):
        try:
            result = main(*args, **kwargs)
        except InputError as e:
            print('error:', ' '.join(str(e).split()), file=sys.stderr)
            sys.exit(2)
        _end_distributed()
        return result

    return wrapper


def _end_distributed() -> None:
    """Wait for the other processes of a run, then leave their group.

    A process that just exits can abort in the threads of its process group, and the launcher then
    kills the others, even while one of them saves.
    """
    distributed = sys.modules.get('torch.distributed')  # not loaded: there is no group
    if distributed and distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
        gc.collect()  # the model's wrapper holds the group too, in a circle with the runner


def summary_of(module: str) -> str:
    """Start of a module's docstring, up to a colon, without importing it."""
    source = Path(importlib.util.find_spec(module).origin).read_text(encoding='utf-8')
    text = ast.get_docstring(ast.parse(source))
    return text.splitlines()[0].partition(':')[0].rstrip('.')


def add_speed_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--precision`` and ``--no-optimize``."""
    # here, since commands without a model do without torch
    from pandepth_mm.models.precision import PRECISIONS

    parser.add_argument(
        '--precision',
        choices=list(PRECISIONS),
        default='fp32',
        help='of the maps of the dense branches (docs/speed.md)',
    )
    parser.add_argument(
        '--no-optimize',
        dest='optimize',
        action='store_false',
        help='run the model as it was trained, not the quicker copy that gives the same up to '
        'rounding (docs/speed.md)',
    )
