"""One style per method, for every reader and in every figure."""

import subprocess
import sys

import pytest
from color_vision import VISION, smallest_distance
from matplotlib.colors import to_hex

from pandepth_mm.structures.methods import METHODS
from pandepth_mm.visualization.figures.density import draw_density_curves, rmse_key
from pandepth_mm.visualization.figures.depth_errors import draw_depth_errors
from pandepth_mm.visualization.figures.styles import STYLES

WHITE = (255, 255, 255)


@pytest.mark.parametrize('vision', VISION)
def test_methods_can_be_told_apart(vision):
    assert list(STYLES) == list(METHODS)
    colors = [tuple(bytes.fromhex(style.color[1:])) for style in STYLES.values()]
    assert smallest_distance(colors, vision, [WHITE]) > 30


def test_methods_differ_without_color_too():
    for values in zip(*STYLES.values(), strict=True):
        assert len(set(values)) == len(STYLES)


def test_a_method_has_its_style_and_title_in_every_figure(tmp_path, drawn):
    errors = {name: dict(mae=1000.0) for name in METHODS}
    draw_depth_errors(
        dict(breakdown=dict(range=dict(near=dict(errors, n_pixels=1)))), tmp_path / 'a.png'
    )
    metrics = {'input/density': 0.1} | {rmse_key(name): 1000.0 for name in METHODS}
    draw_density_curves(
        {'12 lines': dict(kind='lines', value=12, metrics=metrics)}, 'title', tmp_path / 'b.png'
    )
    bars, curves = drawn[0].axes[0], drawn[1].axes[0]
    assert [t.get_text() for t in drawn[0].legends[0].texts] == list(METHODS.values())
    assert [line.get_label() for line in curves.lines] == list(METHODS.values())
    for bar, line, style in zip(bars.patches, curves.lines, STYLES.values(), strict=True):
        assert to_hex(bar.get_facecolor()) == to_hex(line.get_color()) == to_hex(style.color)
        assert bar.get_hatch() == style.hatch
        assert (line.get_marker(), line.get_linestyle()) == (style.marker, style.line)


def test_figures_leave_pyplot_alone(tmp_path):
    code = (
        'import sys, matplotlib\n'
        'backend = dict.get(matplotlib.rcParams, "backend")\n'
        'from pandepth_mm.visualization.figures.confusion import draw_confusion\n'
        'from pandepth_mm.visualization.figures import density, depth_errors\n'
        'draw_confusion(dict(rows=["a"], columns=["a"], counts=[[1]]), sys.argv[1])\n'
        'assert "matplotlib.pyplot" not in sys.modules\n'
        'assert dict.get(matplotlib.rcParams, "backend") is backend\n'
    )
    subprocess.run([sys.executable, '-c', code, tmp_path / 'a.png'], check=True)
    assert (tmp_path / 'a.png').is_file()
