"""The figure of depth errors."""

import cv2
import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.visualization.figures.depth_errors import draw_depth_errors


def family(**mae):
    """Groups of 100 pixels; names with 'none' have no pixel."""
    return {
        name.replace('_', ' '): dict(
            n_pixels=0 if value is None else 100,
            model=dict(mae=value),
            nearest_fill=dict(mae=value),
        )
        for name, value in mae.items()
    }


def make_details():
    thing = dict(
        n_instances=3, model=dict(median_error=250.0), nearest_fill=dict(median_error=500.0)
    )
    breakdown = {
        'range': family(near=100.0, far=4000.0, none=None),
        'input_distance': family(given=0.0, far=2000.0),
        'edge': family(elsewhere=100.0, at_edges=2000.0),
        'class': family(Car=700.0, Road=300.0, Sky=None),
        'instance': dict(Car=thing),
    }
    return dict(model=dict(per_image_mean={}), breakdown=breakdown, n_instances_without_gt=0)


def test_bars_are_the_numbers_in_meters(tmp_path, drawn):
    draw_depth_errors(make_details(), tmp_path / 'new' / 'depth.png')
    image = cv2.imread(str(tmp_path / 'new' / 'depth.png'))
    assert image.shape[0] > 500 and image.std() > 10
    assert len(list((tmp_path / 'new').iterdir())) == 1
    axes = drawn[0].axes
    assert len(axes) == 5
    legend = [text.get_text() for text in drawn[0].legends[0].texts]
    assert legend == ['model', 'nearest fill']
    heights = [[bar.get_height() for bar in axis.patches] for axis in axes]
    # model, then fill; what has no pixel is left out
    assert heights == [
        [0.1, 4, 0.1, 4],
        [0, 2, 0, 2],
        [0.1, 2, 0.1, 2],
        [0.7, 0.3, 0.7, 0.3],
        [0.25, 0.5],
    ]
    assert all(' m' in axis.get_ylabel() for axis in axes)
    labels = [label.get_text() for label in axes[0].get_xticklabels()]
    assert labels == ['near\n50 %', 'far\n50 %']


@pytest.mark.parametrize('names', [('range',), ('instance',), ('edge', 'class')])
def test_draws_what_is_there(tmp_path, drawn, names):
    details = make_details()
    details['breakdown'] = {n: details['breakdown'][n] for n in names}
    draw_depth_errors(details, tmp_path / 'depth.png')
    assert len(drawn[0].axes) == len(names)


@pytest.mark.parametrize('edges', [family(elsewhere=None), {}])
def test_nothing_measured(tmp_path, edges):
    details = dict(breakdown={'edge': edges, 'instance': {}})
    draw_depth_errors(details, tmp_path / 'depth.png')
    assert np.any(cv2.imread(str(tmp_path / 'depth.png')) < 255)


def test_without_a_breakdown(tmp_path):
    details = make_details()
    del details['breakdown']
    with pytest.raises(InputError, match='breakdown'):
        draw_depth_errors(details, tmp_path / 'depth.png')
    assert not list(tmp_path.iterdir())
