"""What the command line tools share."""

import functools
import sys
from collections.abc import Callable

from torch import distributed

from pandepth_mm.errors import InputError


def cli_main(main: Callable) -> Callable:
    """Print bad input as one line and exit with code 2, no traceback.

    Args:
        main: The tool's main function. Other exceptions pass through: they
            are bugs, and their traceback is wanted.
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
    """Wait for the other processes of a run, and take leave of them.

    A process that just exits can abort in the threads of its process group,
    and the launcher then kills the others, be it while one of them saves.
    """
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
        distributed.destroy_process_group()
