"""The version of this package and of the OpenMMLab stacks it runs on."""

import importlib.metadata
import importlib.util
import re

__version__ = '0.1.0'

# import name -> (distributions, any of them; first version, first version too new)
Stack = dict[str, tuple[tuple[str, ...], str, str]]
STACKS: dict[str, Stack] = {
    'onedl': {
        'mmcv': (('onedl-mmcv',), '2.3.6', '2.4'),
        'mmengine': (('onedl-mmengine',), '0.10.12', '0.11'),
        'mmdet': (('onedl-mmdetection',), '3.5.1', '3.6'),
    },
    'openmmlab': {
        'mmcv': (('mmcv', 'mmcv-lite'), '2.1.0', '2.2.0'),
        'mmengine': (('mmengine',), '0.10.7', '0.11'),
        'mmdet': (('mmdet',), '3.3.0', '3.4.0'),
    },
}
_SETUP = 'install "pandepth_mm[onedl]", or run `bash tools/setup_env.sh`'


def _installed(distribution: str) -> str | None:
    """Return the version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _release(version: str) -> tuple[int, ...]:
    """Return the release part of a version, e.g. ``2.1.0rc1`` -> (2, 1, 0).

    Trailing zeros go, so that 2.1 and 2.1.0 are equal.
    """
    numbers = re.match(r'\d+(\.\d+)*', version)
    release = [int(n) for n in numbers.group().split('.')] if numbers else []
    while release and release[-1] == 0:
        release.pop()
    return tuple(release)


def installed_stacks() -> dict[str, dict[str, str]]:
    """Return the distributions that are installed, by stack.

    Returns:
        ``{'onedl': {'onedl-mmcv': '2.3.6', ...}}``; a stack of which nothing is installed is left
        out.
    """
    stacks = {}
    for name, stack in STACKS.items():
        found = {
            dist: version
            for dists, _, _ in stack.values()
            for dist in dists
            if (version := _installed(dist)) is not None
        }
        if found:
            stacks[name] = found
    return stacks


def check_stack() -> str:
    """Check the OpenMMLab packages without importing them.

    Returns:
        Name of the stack, a key of :data:`STACKS`.

    Raises:
        ImportError: No stack, a part of one, both at once, or a version that was not tried.
    """
    stacks = installed_stacks()
    if not stacks:
        raise ImportError(
            f'pandepth_mm needs mmcv, mmengine and mmdet, and none is installed: {_SETUP}'
        )
    if len(stacks) > 1:
        names = [', '.join(dists) for dists in stacks.values()]
        raise ImportError(
            'two OpenMMLab stacks are installed over each other '
            f'({names[0]} and {names[1]}): use an environment that has only '
            f'one, {_SETUP}'
        )
    name, found = next(iter(stacks.items()))
    for dists, first, limit in STACKS[name].values():
        present = [dist for dist in dists if dist in found]
        if not present:
            raise ImportError(f'pandepth_mm needs {" or ".join(dists)}: {_SETUP}')
        for dist in present:
            if not _release(first) <= _release(found[dist]) < _release(limit):
                raise ImportError(
                    f'pandepth_mm needs {dist} >={first},<{limit}, found {found[dist]}: {_SETUP}'
                )
    return name


def stack_summary() -> str:
    """Return one line with the versions in use, for logs."""
    stacks = installed_stacks()
    parts = [f'pandepth_mm {__version__}']
    for name, dists in stacks.items():
        parts.append(f'stack {name}')
        parts += [f'{dist} {version}' for dist, version in dists.items()]
    for dist in ('torch', 'numpy'):
        parts.append(f'{dist} {_installed(dist)}')
    return ', '.join(parts)
