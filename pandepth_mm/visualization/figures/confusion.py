"""Figure of a confusion matrix."""

from collections.abc import Mapping

import numpy as np

from pandepth_mm.fileio import PathLike
from pandepth_mm.visualization.figures.styles import new_figure, save_figure

_LEAST = 0.005  # of a row; smaller shares are colored, not written


def draw_confusion(confusion: Mapping, path: PathLike) -> None:
    """Draw where the pixels of each class of the ground truth went, in percent of the row.

    Args:
        confusion: ``rows`` and ``columns``, the names of the classes of the ground truth and of the
            predicted ones, and ``counts``, pixels, (rows, columns); what ``details['confusion']``
            of a metric holds.
        path: Picture to write, atomically.

    Raises:
        ValueError: Names that do not fit the counts.
        InputError: A path that cannot be written.
    """
    rows, columns = confusion['rows'], confusion['columns']
    counts = np.asarray(confusion['counts'], dtype=np.float64)
    if counts.shape != (len(rows), len(columns)):
        raise ValueError(
            f'{len(rows)} rows and {len(columns)} columns named '
            f'for a matrix of shape {counts.shape}'
        )
    pixels = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(pixels, 1)
    total = max(pixels.sum(), 1)

    figure = new_figure(0.5 * len(columns) + 3.5, 0.5 * len(rows) + 2.5)
    axis = figure.subplots()
    image = axis.imshow(
        np.where(pixels > 0, shares, np.nan), cmap='Blues', vmin=0, vmax=1, aspect='auto'
    )
    for i, j in np.argwhere(shares >= _LEAST):
        axis.text(
            j,
            i,
            f'{100 * shares[i, j]:.0f}',
            ha='center',
            va='center',
            fontsize=8,
            color='white' if shares[i, j] > 0.5 else 'black',
        )
    axis.set_xticks(range(len(columns)), columns, rotation=45, ha='right')
    axis.set_yticks(
        range(len(rows)),
        [f'{name} ({100 * n / total:.1f} %)' for name, n in zip(rows, pixels[:, 0], strict=True)],
    )
    axis.set(xlabel='predicted class', ylabel='class of the ground truth (share of all pixels)')
    figure.colorbar(image, label='share of the class')
    save_figure(figure, path)
