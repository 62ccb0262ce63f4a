"""Print versions, ops and devices, for a bug report: ``pandepth env``."""

import argparse
import importlib.metadata
import platform
from collections.abc import Sequence

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.version import stack_summary

_OTHERS = ('mmsegmentation', 'onedl-mmsegmentation', 'opencv-python', 'pycocotools', 'safetensors')


def problems() -> list[str]:
    """What is wrong with the packages and devices, one line each."""
    try:
        import torch
    except ImportError as e:
        return [f'torch cannot be imported: {e}']
    found = []
    try:
        import torchvision  # noqa: F401
    except ModuleNotFoundError:
        pass  # nothing here needs it
    except Exception as e:  # of another build; anything can come out of it
        found.append(
            f'torchvision does not fit torch ({e}), which ends every training: '
            'pip uninstall torchvision'
        )
    try:
        import pandepth_mm.registry  # noqa: F401
    except ImportError as e:
        found.append(str(e))
    if torch.version.cuda and not torch.cuda.is_available():
        found.append(f'torch was built for CUDA {torch.version.cuda}, and sees no GPU')
    return found


def describe() -> list[str]:
    """Lines about the environment."""
    lines = [f'{platform.platform()}, Python {platform.python_version()}', stack_summary()]
    others = []
    for name in _OTHERS:
        try:
            others.append(f'{name} {importlib.metadata.version(name)}')
        except importlib.metadata.PackageNotFoundError:
            continue
    lines.append(', '.join(others))
    wrong = problems()
    if not any('torch cannot' in problem for problem in wrong):
        import torch

        from pandepth_mm.mmcv_ops import ops_in_use

        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        lines.append(f'devices: {", ".join([*names, "cpu"])}, {torch.get_num_threads()} threads')
        if not wrong:
            lines.append(f"mmcv's ops: {ops_in_use()}")
    lines += [f'problem: {problem}' for problem in wrong] or ['no problem found']
    return lines


@cli_main
def main(argv: Sequence[str] | None = None) -> int:
    """Print them; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description='Print versions, ops in use, devices, problems')
    parser.parse_args(argv)
    lines = describe()
    print('\n'.join(lines))
    return int(any(line.startswith('problem: ') for line in lines))
