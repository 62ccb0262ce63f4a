"""The figure of a density sweep."""

import matplotlib

from pandepth_mm.fileio import atomic_path

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402
from matplotlib.ticker import LogLocator, NullFormatter  # noqa: E402

# Colours of Okabe and Ito, which colour-blind people can tell apart; marker,
# dashes and filling say the same without colour.
_CURVES = (
    ('depth/rmse', 'model', '#0072B2', 'o'),
    ('depth/nearest_fill/rmse', 'nearest fill', '#D55E00', 's'),
    ('depth/classical_fill/rmse', 'classical fill', '#009E73', '^'),
)
_PATTERNS = (('random', 'random', '-'), ('lines', 'scan lines', '--'))
_BEAMS = ' (number of beams)'


def draw_density_curves(results: dict[str, dict], title: str, path: str) -> None:
    """Draw RMSE against the density of the network's input.

    Args:
        results: By setting; each with ``kind`` ('random' or 'lines'),
            ``value`` (density or number of lines) and ``metrics`` (RMSE in
            mm, None where there is none).
        title: Title.
        path: Picture to write, atomically.
    """
    figure, axis = plt.subplots(figsize=(7, 4.6))
    for key, name, color, marker in _CURVES:
        for kind, pattern, style in _PATTERNS:
            points = sorted(
                (100 * r['metrics']['input/density'], r['metrics'][key] / 1000, r['value'])
                for r in results.values()
                if r['kind'] == kind and r['metrics'].get(key) is not None
            )
            if not points:
                continue
            x, y, value = zip(*points, strict=True)
            labeled = kind == 'lines' and name == 'model'
            axis.plot(
                x,
                y,
                style,
                color=color,
                marker=marker,
                markerfacecolor=color if kind == 'random' else 'white',
                linewidth=1.4,
                zorder=3 if name == 'model' else 2,
                label=f'{name}, {pattern}{_BEAMS if labeled else ""}',
            )
            if labeled:
                for where, lines in zip(points, value, strict=True):
                    axis.annotate(
                        f'{lines}',
                        where[:2],
                        xytext=(0, -13),
                        textcoords='offset points',
                        ha='center',
                        fontsize=8,
                        color=color,
                    )
    axis.set(
        xscale='log',
        title=title,
        xlabel="pixels of the network's input with depth (%)",
        ylabel='RMSE (m)',
    )
    axis.set_ylim(bottom=0)
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(lambda x, _: f'{x:g}')
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
    figure.tight_layout()
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=120)
    plt.close(figure)
