"""Figure of a confusion matrix."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np

from pandepth_mm.fileio import atomic_path

matplotlib.use('Agg')
from matplotlib import pyplot as plt  # noqa: E402

_LEAST = 0.005  # of a row; smaller shares are coloured, not written


def draw_confusion(confusion: Mapping, path: str | Path) -> None:
    """Draw where the pixels of each true class went, in percent of the row.

    Args:
        confusion: ``rows`` and ``columns``, the names of the true and of the
            predicted classes, and ``counts``, pixels, (rows, columns); what
            ``details['confusion']`` of a metric holds.
        path: Picture to write, atomically.

    Raises:
        ValueError: Names that do not fit the counts.
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

    size = 0.5 * np.array(counts.shape[::-1]) + (3.5, 2.5)
    figure, axis = plt.subplots(figsize=size)
    try:
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
            [
                f'{name} ({100 * n / total:.1f} %)'
                for name, n in zip(rows, pixels[:, 0], strict=True)
            ],
        )
        axis.set(xlabel='predicted class', ylabel='true class (share of all pixels)')
        figure.colorbar(image, label='share of the true class')
        figure.tight_layout()
        with atomic_path(path) as tmp:
            figure.savefig(tmp, dpi=110)
    finally:
        plt.close(figure)
