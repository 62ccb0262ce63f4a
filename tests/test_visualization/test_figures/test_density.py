"""The figure of a density sweep."""

import pytest

from pandepth_mm.visualization.figures.density import draw_density_curves


def setting(kind, value, density, **rmse):
    metrics = {'input/density': density, 'depth/rmse': rmse.pop('model')}
    metrics |= {f'depth/{name}/rmse': mm for name, mm in rmse.items()}
    return dict(kind=kind, value=value, metrics=metrics)


RESULTS = {
    '64 lines': setting('lines', 64, 0.04, model=2000.0, planar_fill=3000.0),
    'random 0.1': setting('random', 0.1, 0.1, model=1000.0, planar_fill=1500.0),
    'random 0.02': setting('random', 0.02, 0.02, model=1100.0, planar_fill=None),
}


def test_curves_are_the_numbers_in_percent_and_meters(tmp_path, drawn):
    draw_density_curves(RESULTS, 'a title', tmp_path / 'a.png')
    (figure,) = drawn
    pixels, lines = figure.axes
    assert 'random' in pixels.get_title() and 'scan lines' in lines.get_title()
    curves = {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in pixels.lines}
    assert curves == {
        'model': [pytest.approx((2, 1.1)), pytest.approx((10, 1))],
        'planar fill': [pytest.approx((10, 1.5))],
    }
    assert [line.get_ydata()[0] for line in lines.lines] == [2, 3]
    assert [text.get_text() for text in lines.texts] == ['64']
    assert pixels.get_ylim() == lines.get_ylim() and pixels.get_ylim()[0] == 0


@pytest.mark.parametrize(
    'suffix, start', [('png', b'\x89PNG'), ('pdf', b'%PDF'), ('svg', b'<?xml')]
)
def test_one_kind_of_input_in_each_format(tmp_path, drawn, suffix, start):
    path = tmp_path / f'a.{suffix}'
    draw_density_curves({'64 lines': RESULTS['64 lines']}, 'a title', path)
    assert len(drawn[0].axes) == 1
    assert path.read_bytes().startswith(start)
