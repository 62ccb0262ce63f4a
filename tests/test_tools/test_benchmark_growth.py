"""tools/analysis_tools/benchmark_growth.py on the shipped model."""

import json
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools' / 'analysis_tools'
MODEL = 'pandepth_lite0_minivkitti_long'
VOTES = 'pandepth_lite0_votes_minivkitti'  # whose memory is that of maps, not of RoIs


@pytest.fixture
def growth(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import benchmark
    import benchmark_growth

    monkeypatch.setitem(benchmark.YARDSTICK, 'size', (10, 10))
    return benchmark_growth


def test_every_axis_is_measured(growth, tmp_path, capsys):
    out, figure = tmp_path / 'out.json', tmp_path / 'out.png'
    size = ['--input', '64x256', '--points', '1000']
    growth.main([VOTES, *size, '--repeats', '1', '--out', str(out), '--figure', str(figure)])
    (curves,) = json.loads(out.read_text())['models'].values()
    assert list(curves) == ['pixels', 'points', 'instances']
    works = {axis: curve['work'] for axis, curve in curves.items()}
    assert '1 x 32x128, 1000 points' in works['pixels'][0]
    assert '1 x 128x512, 1000 points' in works['pixels'][-1]
    assert '1 x 64x256, 250 points' in works['points'][0]
    assert works['instances'] == [f'{n} instances' for n in (5, 10, 20, 40, 80)]
    # of torch's allocations, which do not vary
    peaks = curves['pixels']['peak_bytes']
    assert peaks == sorted(peaks) and peaks[-1] > 4 * peaks[0]
    assert 'exponent' in capsys.readouterr().out
    assert figure.read_bytes().startswith(b'\x89PNG')


def test_exponent_is_the_slope_of_the_logarithms(growth):
    assert growth.exponent([3 * f**1.5 for f in growth.FACTORS]) == pytest.approx(1.5)


def test_instances_lie_in_the_image_and_are_seen(growth):
    instances = growth.random_instances(80, (64, 256), 3)
    boxes = instances.bboxes
    assert len(instances) == 80 and set(instances.labels.tolist()) == {0, 1, 2}
    assert boxes.min() >= 0 and (boxes[:, 2:] > boxes[:, :2]).all()
    assert (boxes[:, 2:] <= boxes.new_tensor([256, 64])).all()
    inside = (instances.mask_logits > 0).float().mean()
    assert 0.7 < inside < 0.85  # a disk in its square: pi / 4


def test_too_many_points_are_refused(growth, capsys):
    with pytest.raises(SystemExit) as end:
        growth.main([MODEL, '--input', '64x256', '--points', '5000'])
    assert end.value.code == 2
    assert '--points: found 5000; expected at most 4096' in capsys.readouterr().err
