"""How figures look: one style per method in all of them."""

from typing import NamedTuple

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pandepth_mm.fileio import PathLike, atomic_path


class Style(NamedTuple):
    """How one method is drawn.

    Attributes:
        color: '#RRGGBB'.
        marker: Of points on a curve, as matplotlib names it.
        line: Dashes of a curve, as matplotlib names them.
        hatch: Of bars, as matplotlib names it.
    """

    color: str
    marker: str
    line: str
    hatch: str


# Of the colors of Okabe and Ito and grays, those four that are farthest apart for readers with any
# kind of color vision, also from the white page. The rest tells the methods apart in print without
# colors.
STYLES = dict(
    model=Style('#0072B2', 'o', '-', ''),
    nearest_fill=Style('#D55E00', 's', '--', '//'),
    classical_fill=Style('#888888', '^', ':', '..'),
    planar_fill=Style('#000000', 'D', '-.', 'xx'),
)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without a window.

    pyplot would choose a backend for the whole process and keep the figure.
    """
    figure = Figure(figsize=(width, height), layout='constrained')
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: PathLike) -> None:
    """Write a figure atomically, in the format that the suffix names.

    Raises:
        InputError: A path that cannot be written.
    """
    with atomic_path(path) as tmp:
        figure.savefig(tmp, dpi=110)
