"""Figure of where depth is wrong."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Patch

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike
from pandepth_mm.structures.methods import METHODS
from pandepth_mm.visualization.figures.styles import STYLES, new_figure, save_figure

_TITLES = {
    'range': 'by depth of the ground truth',
    'input_distance': "by distance to the nearest input\n(pixels of the network's grid)",
    'edge': 'at depth edges',
    'class': 'by class',
}
# Groups of this share of the pixels or less are left out: a handful of pixels says nothing.
_MIN_SHARE = 1e-5


def draw_depth_errors(details: Mapping, path: PathLike) -> None:
    """Draw the breakdown of the depth errors, one panel per family.

    Args:
        details: What the JSON of ``tools/test.py`` has under ``details.depth``. Its ``breakdown``
            has 'range', 'input_distance', 'edge', 'class' and 'instance', ; it draws those that are
            there.
        path: Picture to write, atomically.

    Raises:
        InputError: There is no breakdown, or a path that cannot be written.
    """
    families = details.get('breakdown')
    if not families:
        raise InputError('details', 'no breakdown of depth errors', 'at least one part of it')
    top = [n for n in ('range', 'input_distance', 'edge') if n in families]
    bottom = [n for n in ('class', 'instance') if n in families]
    groups = [group for family in families.values() for group in family.values()]
    methods = [name for name in METHODS if any(name in group for group in groups)]

    figure = new_figure(13, 4.6 * bool(top) + 5 * bool(bottom))
    rows = list(figure.subfigures(bool(top) + bool(bottom), 1, squeeze=False)[:, 0])
    if top:
        axes = rows.pop(0).subplots(
            1, len(top), squeeze=False, width_ratios=[2 if n == 'edge' else 5 for n in top]
        )[0]
        for axis, name in zip(axes, top, strict=True):
            _draw_pixels(axis, families[name], methods, _TITLES[name])
    if bottom:
        widths = [2 + _num_groups(families[n], n) for n in bottom]
        axes = rows.pop(0).subplots(1, len(bottom), squeeze=False, width_ratios=widths)[0]
        for axis, name in zip(axes, bottom, strict=True):
            if name == 'class':
                _draw_pixels(axis, families[name], methods, _TITLES[name], rotation=35)
            else:
                _draw_instances(axis, families[name], methods)
    figure.legend(
        handles=[Patch(**_look(method), label=METHODS[method]) for method in methods],
        loc='outside upper center',
        ncols=len(METHODS),
        title='Where depth is wrong (percentages: share of the pixels with ground truth)',
        title_fontsize=12,
        frameon=False,
    )
    save_figure(figure, path)


def _num_groups(family: Mapping, name: str) -> int:
    """How many groups a panel shows."""
    return len(family if name == 'instance' else _shown(family))


def _shown(family: Mapping[str, Mapping]) -> dict[str, float]:
    """The groups to show, and their shares of the pixels."""
    total = sum(group['n_pixels'] for group in family.values())
    shares = {name: group['n_pixels'] / max(total, 1) for name, group in family.items()}
    return {name: s for name, s in shares.items() if s > _MIN_SHARE}


def _draw_pixels(
    axis: Axes,
    family: Mapping[str, Mapping],
    methods: Sequence[str],
    title: str,
    rotation: float = 0,
) -> None:
    """Bars of the mean absolute error of each group of pixels."""
    shares = _shown(family)
    labels = [
        name.replace(' (', '\n(') + (' ' if rotation else '\n') + _percent(share)
        for name, share in shares.items()
    ]
    _bars(
        axis,
        labels,
        {method: [family[name][method]['mae'] for name in shares] for method in methods},
        rotation,
    )
    axis.set(title=title, ylabel='mean |error| in m')


def _draw_instances(axis: Axes, family: Mapping[str, Mapping], methods: Sequence[str]) -> None:
    """Bars of the median error of the things of each class."""
    labels = [f'{name}\n{group["n_instances"]}' for name, group in family.items()]
    _bars(
        axis,
        labels,
        {
            method: [group[method]['median_error'] for group in family.values()]
            for method in methods
        },
    )
    axis.set(
        title='things, and their number',
        ylabel='median |error| of a thing in m,\nmean over the things',
    )


def _bars(
    axis: Axes, labels: list[str], values: Mapping[str, Sequence[float | None]], rotation: float = 0
) -> None:
    """Grouped bars, values in mm drawn in m."""
    width = 0.8 / max(len(values), 1)
    for i, (method, column) in enumerate(values.items()):
        heights = [np.nan if v is None else v / 1e3 for v in column]
        axis.bar(
            np.arange(len(labels)) + (i - (len(values) - 1) / 2) * width,
            heights,
            width,
            **_look(method),
        )
    if not labels:
        axis.text(0.5, 0.5, 'nothing to show', ha='center', transform=axis.transAxes)
    axis.set_xticks(
        range(len(labels)),
        labels,
        fontsize=9,
        rotation=rotation,
        ha='right' if rotation else 'center',
        rotation_mode='anchor' if rotation else None,
    )
    axis.grid(axis='y', alpha=0.4)
    axis.set_axisbelow(True)
    for side in ('top', 'right'):
        axis.spines[side].set_visible(False)


def _look(method: str) -> dict[str, Any]:
    """Color and hatch of a bar."""
    style = STYLES[method]
    return dict(facecolor=style.color, hatch=style.hatch, edgecolor='white', linewidth=0.5)


def _percent(share: float) -> str:
    """A share as text: '12 %', '0.3 %'."""
    return f'{100 * share:.0f} %' if share >= 0.01 else f'{100 * share:.2g} %'
