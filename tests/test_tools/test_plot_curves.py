import json
import subprocess
import sys
from pathlib import Path

TOOL = (
    Path(__file__).parents[2] / 'tools' / 'analysis_tools' / 'plot_curves.py')


def run(*args):
    return subprocess.run([sys.executable, TOOL, *map(str, args)],
                          capture_output=True,
                          text=True)


def write(path, steps):
    path.write_text('\n'.join(json.dumps(s) for s in steps))
    return path


def test_a_figure_is_drawn(tmp_path):
    first = write(tmp_path / 'a.json', [
        dict(loss=3.0, loss_depth=1.0, step=10),
        {'panoptic/PQ': 0.1},
        dict(loss=2.5, loss_depth=0.9, step=20)
    ])
    resumed = write(tmp_path / 'b.json', [dict(loss=2.0, step=20)])
    out = tmp_path / 'curves.png'
    result = run(first, resumed, '--out', out)
    assert result.returncode == 0, result.stderr
    assert out.read_bytes().startswith(b'\x89PNG')


def test_curves_of_a_resumed_run(tmp_path):
    sys.path.insert(0, str(TOOL.parent))
    try:
        from plot_curves import curves_of
    finally:
        sys.path.pop(0)
    losses, metrics = curves_of([
        dict(loss=3.0, step=10), {
            'panoptic/PQ': 0.1
        },
        dict(loss=2.5, step=20),
        dict(loss=2.0, step=20)
    ])
    assert losses == dict(loss=[(10, 3.0), (20, 2.0)])
    assert metrics == {'panoptic/PQ': [(10, 0.1)]}


def test_bad_files_are_named(tmp_path):
    for path, named in [(tmp_path / 'none.json', 'none.json'),
                        (write(tmp_path / 'v.json', [{'x': 1}]), 'losses')]:
        result = run(path, '--out', tmp_path / 'out.png')
        assert result.returncode == 2
        assert named in result.stderr and 'Traceback' not in result.stderr
    broken = tmp_path / 'broken.json'
    broken.write_text('{"loss": 1')
    result = run(broken, '--out', tmp_path / 'out.png')
    assert result.returncode == 2 and 'line 1' in result.stderr
    assert not (tmp_path / 'out.png').exists()
