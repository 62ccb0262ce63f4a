"""Figure of a density sweep."""

from collections.abc import Mapping

from matplotlib.ticker import LogLocator, NullFormatter

from pandepth_mm.fileio import PathLike
from pandepth_mm.structures.methods import METHODS
from pandepth_mm.visualization.figures.styles import STYLES, new_figure, save_figure

_PANELS = dict(random='random pixels', lines='scan lines (number of beams)')


def rmse_key(method: str) -> str:
    """Key of a method's RMSE among the metrics."""
    return 'depth/rmse' if method == 'model' else f'depth/{method}/rmse'


def draw_density_curves(results: Mapping[str, Mapping], title: str, path: PathLike) -> None:
    """Draw RMSE against the density of the network's input, one panel per kind of input.

    Args:
        results: One per setting; each with ``kind`` ('random' or 'lines'), ``value`` (density or
            number of lines) and ``metrics`` (RMSE in mm, None where there is none).
        title: Title.
        path: Picture to write, atomically.

    Raises:
        InputError: A path that cannot be written.
    """
    kinds = [kind for kind in _PANELS if any(r['kind'] == kind for r in results.values())]
    figure = new_figure(1 + 4.5 * len(kinds), 4.6)
    axes = figure.subplots(1, len(kinds), sharex=True, sharey=True, squeeze=False)[0]
    for axis, kind in zip(axes, kinds, strict=True):
        for method, style in STYLES.items():
            points = sorted(
                (100 * r['metrics']['input/density'], r['metrics'][rmse_key(method)] / 1000)
                for r in results.values()
                if r['kind'] == kind and r['metrics'].get(rmse_key(method)) is not None
            )
            if points:
                axis.plot(
                    *zip(*points, strict=True),
                    color=style.color,
                    marker=style.marker,
                    linestyle=style.line,
                    zorder=3 if method == 'model' else 2,
                    label=METHODS[method],
                )
        axis.set(title=_PANELS[kind], xscale='log', xlabel='pixels of the input with depth (%)')
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter(lambda x, _: f'{x:g}')
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.grid(alpha=0.3)
    for r in results.values():
        if r['kind'] == 'lines' and r['metrics'].get('depth/rmse') is not None:
            axes[-1].annotate(
                f'{r["value"]}',
                (100 * r['metrics']['input/density'], r['metrics']['depth/rmse'] / 1000),
                xytext=(0, -14),
                textcoords='offset points',
                ha='center',
                fontsize=8,
                color=STYLES['model'].color,
            )
    axes[0].set(ylabel='RMSE (m)', ylim=(0, None))
    axes[0].legend(fontsize=9)
    figure.suptitle(title)
    save_figure(figure, path)
