"""The commands of the package: ``pandepth COMMAND ...``.

The console scripts ``pandepth-infer``, ``pandepth-test``, ``pandepth-train`` and
``pandepth-convert``, ``python -m pandepth_mm COMMAND ...`` and the files in ``tools/`` run the same
commands.
"""

import importlib
import os
import sys
from collections.abc import Sequence

from pandepth_mm.cli.shared import summary_of

COMMANDS = (
    'convert',
    'train',
    'test',
    'infer',
    'check-dataset',
    'eval-files',
    'export-onnx',
    'publish',
    'video',
    'env',
)
# as the files in tools/ are named
ALIASES = {
    'check_dataset': 'check-dataset',
    'eval_files': 'eval-files',
    'export_onnx': 'export-onnx',
    'make_video': 'video',
    'publish_model': 'publish',
}


def _module(name: str) -> str:
    """The module of a command."""
    return f'pandepth_mm.cli.{name.replace("-", "_")}'


def run(name: str, argv: Sequence[str] | None = None) -> int | None:
    """Run a command.

    Args:
        name: One of ``COMMANDS``.
        argv: Its arguments; None: those of this process.

    Returns:
        The exit code; None is 0.
    """
    if name == 'train':
        # Huge pages for maps of more than 2 MB: on a CPU, to get maps of 50 MB in pages of 4 kB
        # takes a fifth of a step (docs/speed.md). torch reads this once, before its first map.
        os.environ.setdefault('THP_MEM_ALLOC_ENABLE', '1')
    if name not in ('convert', 'env'):  # which do without the OpenMMLab packages
        try:
            importlib.import_module('pandepth_mm.registry')
        except ImportError as e:
            sys.exit(f'error: {e}')
    return importlib.import_module(_module(name)).main(argv)


def _run_as(prog: str, name: str, argv: Sequence[str] | None = None) -> None:
    """Run a command under another name in its usage line, and exit."""
    sys.argv[0] = prog
    sys.exit(run(name, argv))


def _help(prog: str) -> str:
    """The usage text, with one line per command."""
    lines = [f'  {name:13} {summary_of(_module(name))}' for name in COMMANDS]
    return '\n'.join(
        [
            f'usage: {prog} COMMAND ...',
            '',
            f'The commands of pandepth_mm; `{prog} COMMAND --help` describes each.',
            'A config is a file, or the name of a shipped config.',
            '',
            *lines,
        ]
    )


def main(argv: Sequence[str] | None = None, prog: str = 'pandepth') -> None:
    """Hand over to the command that the first argument names."""
    argv = sys.argv[1:] if argv is None else argv
    name = ALIASES.get(argv[0], argv[0]) if argv else None
    if name in COMMANDS:
        _run_as(f'{prog} {argv[0]}', name, argv[1:])
    elif name in ('-h', '--help'):
        print(_help(prog))
    else:
        found = f'found {name!r}' if name else 'found no command'
        print(f'error: {found}; expected one of {", ".join(COMMANDS)}', file=sys.stderr)
        sys.exit(2)


def infer() -> None:
    """Console script ``pandepth-infer``."""
    _run_as('pandepth-infer', 'infer')


def test() -> None:
    """Console script ``pandepth-test``."""
    _run_as('pandepth-test', 'test')


def train() -> None:
    """Console script ``pandepth-train``."""
    _run_as('pandepth-train', 'train')


def convert() -> None:
    """Console script ``pandepth-convert``."""
    _run_as('pandepth-convert', 'convert')
