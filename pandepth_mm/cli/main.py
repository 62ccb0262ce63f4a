"""The tools without a checkout: ``python -m pandepth_mm TOOL ...``.

The console scripts ``pandepth-infer`` and ``pandepth-test`` are the same.
"""

import importlib
import sys

TOOLS = ('infer', 'test', 'train', 'eval_files', 'export_onnx', 'make_video', 'publish_model')
_USAGE = f"""usage: python -m pandepth_mm {{{','.join(TOOLS)}}} ...

The tools of pandepth_mm; `python -m pandepth_mm TOOL --help` describes each.
Configs are named by a file or, where they come along, by their name."""


def run_tool(name: str, prog: str) -> None:
    """Run a tool with the arguments of this process.

    Args:
        name: One of ``TOOLS``.
        prog: Name for its usage line.
    """
    sys.argv[0] = prog
    module = dict(make_video='video', publish_model='publish').get(name, name)
    tool = importlib.import_module(f'pandepth_mm.cli.{module}')
    tool.main()


def infer() -> None:
    """Console script ``pandepth-infer``."""
    run_tool('infer', 'pandepth-infer')


def test() -> None:
    """Console script ``pandepth-test``."""
    run_tool('test', 'pandepth-test')


def main() -> None:
    """Hand over to the tool that the first argument names."""
    names = sys.argv[1:2]
    if names and names[0] in TOOLS:
        del sys.argv[1]
        run_tool(names[0], f'python -m pandepth_mm {names[0]}')
    elif names in (['-h'], ['--help']):
        print(_USAGE)
    else:
        found = f'found {names[0]!r}' if names else 'found no tool'
        print(f'error: {found}; expected one of {", ".join(TOOLS)}', file=sys.stderr)
        sys.exit(2)
