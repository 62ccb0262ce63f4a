"""What the command line tools share."""
import functools
import sys
from typing import Callable

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
            return main(*args, **kwargs)
        except InputError as e:
            print('error:', ' '.join(str(e).split()), file=sys.stderr)
            sys.exit(2)

    return wrapper
