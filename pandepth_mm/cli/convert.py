"""Convert a data set: ``pandepth-convert NAME DATA_ROOT --out OUT [flags]``."""

import importlib
import pkgutil
import sys
from collections.abc import Sequence
from types import ModuleType

from pandepth_mm import converters
from pandepth_mm.cli.shared import cli_main, summary_of
from pandepth_mm.errors import InputError

_USAGE = """usage: {prog} NAME DATA_ROOT --out OUT ...

Convert a data set to the annotations that pandepth_mm reads;
`{prog} NAME --help` describes each. NAME is one of

{names}

or a module with a converter that Python finds, such as my_package.my_converter."""


def converter_names() -> list[str]:
    """Names of the shipped converters: the modules of pandepth_mm.converters."""
    return [m.name for m in pkgutil.iter_modules(converters.__path__) if m.name != 'core']


def load_converter(name: str) -> ModuleType:
    """Import the module of a converter.

    Args:
        name: A shipped one, or a module.

    Raises:
        InputError: No such module, or one without ``main``.
    """
    path = f'{converters.__name__}.{name}' if name in converter_names() else name
    if not all(part.isidentifier() for part in path.split('.')):
        raise InputError('NAME', repr(name), f'one of {converter_names()}, or a module')
    try:
        module = importlib.import_module(path)
    except ModuleNotFoundError as e:
        if not e.name or not f'{path}.'.startswith(f'{e.name}.'):
            raise  # it is there, and lacks something
        expected = f'one of {converter_names()}, or a module that Python finds'
        raise InputError('NAME', f'{name}: {e}', expected) from None
    if not hasattr(module, 'main'):
        raise InputError('NAME', f'{name} without main', 'main(argv), as Converter has it')
    return module


@cli_main
def main(argv: Sequence[str] | None = None) -> int:
    """Hand over to the converter that the first argument names.

    Returns:
        The exit code.
    """
    argv = sys.argv[1:] if argv is None else argv
    prog = sys.argv[0]
    if not argv:
        raise InputError('NAME', 'nothing', f'one of {converter_names()}')
    if argv[0] in ('-h', '--help'):
        names = converter_names()
        width = max(map(len, names))
        lines = [
            f'  {name:{width}}  {summary_of(f"{converters.__name__}.{name}")}' for name in names
        ]
        print(_USAGE.format(prog=prog, names='\n'.join(lines)))
        return 0
    module = load_converter(argv[0])
    sys.argv[0] = f'{prog} {argv[0]}'  # for the usage line
    return module.main(argv[1:])
