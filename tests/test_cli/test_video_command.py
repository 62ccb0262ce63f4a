"""tools/make_video.py: pictures of a folder into a video."""

import cv2
import numpy as np
import pytest
from PIL import Image

COLORS = {'frame_2.png': (250, 20, 20), 'frame_10.png': (20, 20, 250), 'frame_1.jpg': (20, 200, 20)}


@pytest.fixture
def folder(tmp_path):
    """Three pictures, and files that are none."""
    path = tmp_path / 'pictures'
    path.mkdir()
    for name, color in COLORS.items():
        picture = np.full((32, 48, 3), color[::-1], dtype=np.uint8)
        assert cv2.imwrite(str(path / name), picture)
    (path / 'metrics.json').write_text('{}')
    (path / 'sub').mkdir()
    (path / '.frame_3.png').write_text('being written')
    return path


def colors_of(path):
    """Which of COLORS the frames of a gif have."""
    with Image.open(path) as image:
        found = []
        for i in range(image.n_frames):
            image.seek(i)
            pixel = np.array(image.convert('RGB'))[16, 24].astype(int)
            found.append(min(COLORS, key=lambda n: abs(pixel - COLORS[n]).sum()))
    return found


def test_pictures_of_a_folder_in_natural_order(run_tool, folder, tmp_path):
    out = tmp_path / 'a.gif'
    code, text, _ = run_tool('make_video', folder, '--out', out)
    assert code == 0 and text.strip() == f'{out}: 3 pictures'
    assert colors_of(out) == ['frame_1.jpg', 'frame_2.png', 'frame_10.png']


def test_files_in_the_order_given(run_tool, folder, tmp_path):
    names = ['frame_10.png', 'frame_1.jpg']
    out = tmp_path / 'a.gif'
    code, _, _ = run_tool('make_video', *(folder / n for n in names), '--out', out)
    assert code == 0 and colors_of(out) == names


def test_mp4_with_a_rate(run_tool, folder, tmp_path):
    out = tmp_path / 'a.mp4'
    code, _, _ = run_tool('make_video', folder, '--out', out, '--fps', 5)
    assert code == 0
    capture = cv2.VideoCapture(str(out))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 3
    assert capture.get(cv2.CAP_PROP_FPS) == 5


def test_bad_input(run_tool, folder, tmp_path):
    (folder / 'frame_3.png').write_text('no picture')
    cv2.imwrite(str(tmp_path / 'small.png'), np.zeros((8, 9, 3), np.uint8))
    first = folder / 'frame_1.jpg'
    for pictures, out, named in [
        ([folder], 'a.mp4', 'frame_3.png: found a file that cannot'),
        ([folder / 'sub'], 'a.mp4', 'sub: found no picture'),
        ([tmp_path / 'none'], 'a.mp4', 'none: found no such file'),
        ([first, tmp_path / 'small.png'], 'a.mp4', 'small.png: found a width of 9 pixels'),
        ([first], 'a.avi', "a.avi: suffix: found '.avi'"),
        ([first, '--fps', '-1'], 'a.mp4', 'fps'),
    ]:
        code, _, err = run_tool('make_video', *pictures, '--out', tmp_path / 'out' / out)
        assert code == 2
        assert named in err and 'Traceback' not in err
        assert not list((tmp_path / 'out').glob('*'))
