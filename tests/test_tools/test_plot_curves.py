"""tools/analysis_tools/plot_curves.py."""

import importlib.util
import json
from pathlib import Path

import pytest

TOOL = 'analysis_tools/plot_curves'


@pytest.fixture(scope='module')
def tool():
    """The tool as a module."""
    path = Path(__file__).parents[2] / 'tools' / f'{TOOL}.py'
    spec = importlib.util.spec_from_file_location('plot_curves', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def write(path, steps):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('\n'.join(json.dumps(s) for s in steps))
    return path


def test_files(run_tool, tmp_path):
    first = write(
        tmp_path / 'a.json',
        [
            dict(loss=3.0, loss_depth=1.0, step=10),
            {'panoptic/PQ': 0.1},
            dict(loss=2.5, loss_depth=0.9, step=20),
        ],
    )
    resumed = write(tmp_path / 'b.json', [dict(loss=2.0, step=20)])
    out = tmp_path / 'curves.png'
    code, text, _ = run_tool(TOOL, first, resumed, '--out', out)
    assert code == 0 and str(out) in text
    assert out.read_bytes().startswith(b'\x89PNG')


def test_logs_of_a_training(run_tool, toy_config, tool, tmp_path):
    """Trained, then resumed: the two starts make one curve."""
    work = tmp_path / 'work'
    for epochs in (1, 2):
        code, _, err = run_tool(
            'train',
            toy_config,
            '--work-dir',
            work,
            *['--resume'] * (epochs == 2),
            '--cfg-options',
            f'train_cfg.max_epochs={epochs}',
        )
        assert code == 0, err
    logs = tool.find_logs([work])
    assert [log.name for log in logs] == ['scalars.json'] * len(logs)
    losses, _ = tool.curves_of(tool.read_scalars(logs))
    iterations = [i for i, _ in losses['loss']]
    assert iterations == list(range(1, len(iterations) + 1))
    # the folder of one start, and the one of its logs
    assert tool.find_logs([logs[-1].parents[1]]) == logs[-1:]
    assert tool.find_logs([logs[-1].parent]) == logs[-1:]
    out = tmp_path / 'curves.png'
    code, _, _ = run_tool(TOOL, work, '--out', out)
    assert code == 0 and out.is_file()


def test_starts_in_the_order_of_time(tool, tmp_path):
    names = ['20260101_235959', '20251231_000000', '20260102_000001']
    for name in names:
        write(tmp_path / name / 'vis_data' / 'scalars.json', [dict(loss=1)])
    found = tool.find_logs([tmp_path])
    assert [p.parents[1].name for p in found] == sorted(names)


def test_curves_of_a_resumed_run(tool):
    losses, metrics = tool.curves_of(
        [
            dict(loss=3.0, step=10),
            {'panoptic/PQ': 0.1, 'depth/rmse': 900.0, 'semantic/mIoU': None},
            dict(loss=2.5, step=20),
            dict(loss=2.0, step=20),
        ]
    )
    assert losses == dict(loss=[(10, 3.0), (20, 2.0)])
    assert metrics == {'panoptic/PQ': [(10, 0.1)], 'depth/rmse': [(10, 900.0)]}


def test_a_shorter_start_replaces_a_longer_one(tool):
    losses, metrics = tool.curves_of(
        [
            dict(loss=3.0, loss_old=1.0, step=10),
            dict(loss=2.5, loss_old=0.9, step=20),
            {'panoptic/PQ': 0.1},
            dict(loss=4.0, step=5),
            dict(loss=3.5, step=10),
        ]
    )
    assert losses == dict(loss=[(5, 4.0), (10, 3.5)])
    assert metrics == {}


def test_panels_and_their_lines(tool, monkeypatch):
    drawn = []
    monkeypatch.setattr(tool, 'save_figure', lambda figure, path: drawn.append(figure))
    points = [(i, 1.0 + i) for i in range(1, 40)]
    tool.draw(
        {f'loss_{i}': points for i in range(12)},
        {'depth/mae': [(10, 500.0)], 'panoptic/PQ': [(10, 0.3)]},
        'a.png',
    )
    (figure,) = drawn
    assert [axis.get_title() for axis in figure.axes] == [
        'training losses',
        'validation',
        'validation, depth (mm)',
    ]
    lines = figure.axes[0].lines
    assert [list(zip(*line.get_data(), strict=True)) for line in lines] == [points] * 12
    # told apart by marker and color together, neighbors by either
    styles = [(line.get_color(), line.get_marker()) for line in lines]
    assert len(set(styles)) == 12
    for one, two in zip(styles, styles[1:], strict=False):
        assert one[0] != two[0] and one[1] != two[1]


def test_bad_files_are_named(run_tool, tmp_path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'broken.json').write_text('{"loss": 1')
    (tmp_path / 'list.json').write_text('{"loss": 1}\n[2]')
    write(tmp_path / 'v.json', [{'x': 1}])
    for name, named in [
        ('none.json', 'none.json'),
        ('v.json', 'losses'),
        ('broken.json', 'line 1'),
        ('list.json', 'line 2'),
        ('empty', 'empty: found no scalars.json'),
    ]:
        code, _, err = run_tool(TOOL, tmp_path / name, '--out', tmp_path / 'out.png')
        assert code == 2
        assert named in err and 'Traceback' not in err
    assert not (tmp_path / 'out.png').exists()
