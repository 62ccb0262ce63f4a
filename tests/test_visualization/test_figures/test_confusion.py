"""The confusion matrix as a picture."""

import cv2
import numpy as np
import pytest

from pandepth_mm.visualization.figures.confusion import draw_confusion


def ink(path):
    """Share of the picture's pixels that are dark blue."""
    blue, green, red = cv2.imread(str(path)).transpose(2, 0, 1).astype(int)
    return np.mean((blue - red > 40) & (green < 130))


def test_diagonal_is_dark(tmp_path):
    names = ['Car', 'Road', 'void']
    counts = np.array([[90, 10, 0], [0, 50, 50], [0, 0, 0]])
    draw_confusion(dict(rows=names, columns=names, counts=counts), tmp_path / 'new' / 'a.png')
    draw_confusion(dict(rows=names, columns=names, counts=counts.tolist()), tmp_path / 'again.png')
    first = cv2.imread(str(tmp_path / 'new' / 'a.png'))
    assert (first == cv2.imread(str(tmp_path / 'again.png'))).all()
    draw_confusion(dict(rows=names, columns=names, counts=np.eye(3)), tmp_path / 'right.png')
    assert ink(tmp_path / 'right.png') > 2 * ink(tmp_path / 'again.png') > 0


def test_names_must_fit(tmp_path):
    with pytest.raises(ValueError, match='3 columns'):
        draw_confusion(
            dict(rows=['a'], columns=['a', 'b', 'c'], counts=[[1, 2]]), tmp_path / 'a.png'
        )
    assert not list(tmp_path.iterdir())
