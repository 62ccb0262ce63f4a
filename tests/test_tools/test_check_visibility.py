"""tools/analysis_tools/check_visibility.py on rendered scenes and on a world that is known."""

import check_visibility
import numpy as np
import pytest
from raw_drive import DRIVE, write_drive

from pandepth_mm.fileio import read_json


@pytest.fixture
def run(tmp_path, capsys):
    """Run the tool; returns what it prints, and its rows by the place of the LiDAR."""

    def run(*flags):
        out = tmp_path / 'out.json'
        check_visibility.main([*map(str, flags), '--out', str(out)])
        return capsys.readouterr().out, {row['place']: row for row in read_json(out)['rows']}

    return run


def test_rendered_scenes(run, monkeypatch):
    """Beside the camera more is wrong than at its place, and most of that is removed."""
    pytest.importorskip('embreex', reason='the ray caster is not installed')
    from scenes import layout

    monkeypatch.setattr(layout, 'SCENES', ('Scene06',))
    printed, rows = run('--size', '416x128', '--frames', 1)
    assert list(rows) == list(check_visibility.PLACES)
    at_camera, kitti, above, beside = (row['wrong'] for row in rows.values())
    assert at_camera < min(kitti, above, beside) / 2
    for name, row in rows.items():
        counts = row['counts']
        assert counts['told'] > 2000 and row['lost'] < 0.02
        assert row['removed'] == counts['wrong_hidden'] / counts['wrong']
        assert f'{name:24}{counts["told"]:14}{row["wrong"]:8.1%}{row["removed"]:9.0%}' in printed
    assert rows['60 cm above']['removed'] > 0.6 < rows['60 cm beside, 30 above']['removed']


def test_drive(run, tmp_path):
    """A world of a road, a wall and a box, by stereo."""
    write_drive(tmp_path, frames=4, moving=True)
    printed, rows = run(tmp_path, '--drive', DRIVE)
    (row,) = rows.values()
    assert row['removed'] > 0.1 and row['lost'] < 0.005 < row['wrong']
    assert printed.count('\n') == 2


def test_counts_by_hand():
    """A plate 5 m away with a hole in the middle, through which a wall shows, and a far corner."""
    cam2img = np.array([[200.0, 0, 10], [0, 200, 10], [0, 0, 1]])
    truth = np.full((21, 21), 5.0)
    depth = np.zeros((21, 21))
    depth[::2, ::2] = 5
    depth[10, 10] = 20  # wrong, and covered
    depth[0, 0] = 20  # wrong, and nothing is beyond it
    depth[20, 20] = 5.4  # neither wrong nor right
    truth[:, 2] = 0  # unknown: one column of the eleven measured
    assert check_visibility.count(depth, truth, cam2img, 0.1).tolist() == [110, 2, 1, 107, 0]


def test_bad_input(capsys, tmp_path):
    second = write_drive(tmp_path, frames=1) / 'image_03'
    second.rename(second.with_name('elsewhere'))
    for flags, message in (
        (['--drive', DRIVE], 'DATA_ROOT, --drive: found one of them'),
        (['--frames', '0'], '--frames: found 0'),
        (['--outlier', '0'], '--outlier: found 0.0'),
        ([str(tmp_path), '--drive', DRIVE], 'no second camera'),
    ):
        with pytest.raises(SystemExit):
            check_visibility.main(flags)
        assert message in capsys.readouterr().err
