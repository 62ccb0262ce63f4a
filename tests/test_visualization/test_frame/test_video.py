"""Videos, read back with OpenCV and Pillow."""

import cv2
import numpy as np
import pytest
from PIL import Image

from pandepth_mm.errors import InputError
from pandepth_mm.structures.palette import DRAW_COLORS
from pandepth_mm.visualization.frame.video import MAX_GIF_WIDTH, read_pictures, write_video

COLORS = [(220, 40, 30), (20, 160, 60), (30, 60, 200), (240, 220, 10)]


def make_pictures(height=48, width=64, count=4):
    """One color each above white; a generator, so none can be asked for
    twice."""
    for i in range(count):
        picture = np.full((height, width, 3), 255, dtype=np.uint8)
        picture[: height // 2] = COLORS[i]
        yield picture


def make_dull_image(height=200, width=300):
    """Greens and blues with noise, thousands of colors."""
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    image = np.stack([80 + 60 * x, 90 + 80 * y, 100 + 90 * x * y], axis=-1)
    noise = np.random.default_rng(0).normal(0, 30, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


def read_mp4(path):
    """Frames, RGB, and pictures a second."""
    capture = cv2.VideoCapture(str(path))
    frames = []
    while True:
        found, frame = capture.read()
        if not found:
            return frames, capture.get(cv2.CAP_PROP_FPS)
        frames.append(frame[..., ::-1])


def read_gif(path):
    """Frames, RGB, and the seconds that each is shown."""
    with Image.open(path) as image:
        frames, seconds = [], []
        for i in range(image.n_frames):
            image.seek(i)
            frames.append(np.array(image.convert('RGB')))
            seconds.append(image.info['duration'] / 1000)
    return frames, seconds


def assert_colors(frames, tolerance):
    assert len(frames) == len(COLORS)
    for frame, color in zip(frames, COLORS, strict=True):
        height, width = frame.shape[:2]
        # away from the edge, where codecs smear
        top = frame[4 : height // 2 - 4].astype(int)
        bottom = frame[height // 2 + 4 :].astype(int)
        assert abs(top - color).max() <= tolerance
        assert abs(bottom - 255).max() <= tolerance


@pytest.mark.parametrize('fps', [0.5, 10.0, 29.97])
def test_mp4(tmp_path, fps):
    path = tmp_path / 'new' / 'a.mp4'
    assert write_video(path, make_pictures(), fps) == 4
    frames, found_fps = read_mp4(path)
    assert found_fps == pytest.approx(fps, rel=1e-3)
    assert {f.shape for f in frames} == {(48, 64, 3)}
    assert_colors(frames, tolerance=16)
    assert [p.name for p in path.parent.iterdir()] == ['a.mp4']


def test_mp4_of_odd_sides_keeps_every_pixel(tmp_path):
    write_video(tmp_path / 'a.mp4', make_pictures(47, 63))
    frames, _ = read_mp4(tmp_path / 'a.mp4')
    assert {f.shape for f in frames} == {(48, 64, 3)}
    assert_colors(frames, tolerance=16)  # also in the padded column


def test_mp4_takes_one_picture_at_a_time(tmp_path):
    """The generator writes all of its pictures into the same array."""

    def same_array():
        buffer = np.empty((48, 64, 3), dtype=np.uint8)
        for picture in make_pictures():
            buffer[:] = picture
            yield buffer

    write_video(tmp_path / 'a.mp4', same_array())
    assert_colors(read_mp4(tmp_path / 'a.mp4')[0], tolerance=16)


def test_gif(tmp_path):
    path = tmp_path / 'a.GIF'
    assert write_video(path, make_pictures(47, 63), 4.0) == 4
    frames, seconds = read_gif(path)
    assert seconds == [0.25] * 4
    assert {f.shape for f in frames} == {(47, 63, 3)}
    assert_colors(frames, tolerance=2)
    with Image.open(path) as image:
        assert image.info['loop'] == 0  # for ever
    assert [p.name for p in tmp_path.iterdir()] == ['a.GIF']


def test_gif_is_no_wider_than_stated_nor_faster_than_players(tmp_path):
    pictures = make_pictures(100, 2 * MAX_GIF_WIDTH)
    write_video(tmp_path / 'a.gif', pictures, 1000)
    frames, seconds = read_gif(tmp_path / 'a.gif')
    assert {f.shape for f in frames} == {(50, MAX_GIF_WIDTH, 3)}
    assert seconds == [0.02] * 4


def test_gif_keeps_the_colors_of_the_legend(tmp_path):
    """Swatches of the legend's size among the many colors of an image."""
    picture = make_dull_image()
    for i, color in enumerate(DRAW_COLORS.values()):
        picture[150:163, 20 * i : 20 * i + 19] = color
    write_video(tmp_path / 'a.gif', [picture])
    (frame,), _ = read_gif(tmp_path / 'a.gif')
    for i, color in enumerate(DRAW_COLORS.values()):
        found = frame[150:163, 20 * i : 20 * i + 19].astype(int)
        assert abs(found - color).max() <= 4


@pytest.mark.parametrize('name', ['a.avi', 'mp4', 'a.png'])
def test_other_suffixes_before_any_work(tmp_path, name):

    def untouched():
        raise AssertionError('a picture was made')
        yield

    with pytest.raises(InputError, match=r'suffix: found .*\.mp4'):
        write_video(tmp_path / name, untouched())
    with pytest.raises(InputError, match='fps'):
        write_video(tmp_path / 'a.mp4', untouched(), 0)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['a.mp4', 'a.gif'])
def test_bad_pictures_leave_nothing_behind(tmp_path, name):
    path = tmp_path / name

    def broken():
        yield from make_pictures()
        raise RuntimeError('no more')

    smaller = np.zeros((48, 62, 3), dtype=np.uint8)
    with pytest.raises(RuntimeError, match='no more'):
        write_video(path, broken())
    with pytest.raises(InputError, match=r'picture 5: .*48, 62.*48, 64'):
        write_video(path, [*make_pictures(), smaller])
    with pytest.raises(InputError, match='picture 1: .*float64'):
        write_video(path, [smaller / 255])
    with pytest.raises(InputError, match=r'picture 1: .*\(48, 62\)'):
        write_video(path, [smaller[..., 0]])
    with pytest.raises(InputError, match='at least one'):
        write_video(path, [])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['a.mp4', 'a.gif'])
def test_a_failed_video_leaves_the_earlier_one(tmp_path, name):
    write_video(tmp_path / name, make_pictures())
    before = (tmp_path / name).read_bytes()
    with pytest.raises(InputError):
        write_video(tmp_path / name, [*make_pictures(), np.zeros((2, 2, 3))])
    assert (tmp_path / name).read_bytes() == before


def test_pictures_of_one_width_get_white_below(tmp_path):
    paths = []
    for i, height in enumerate((5, 8, 6)):
        paths.append(tmp_path / f'{i}.png')
        Image.new('RGB', (7, height), (10 * i, 20, 30)).save(paths[-1])
    pictures = list(read_pictures(paths))
    assert [p.shape for p in pictures] == [(8, 7, 3)] * 3
    assert (pictures[2][:6] == (20, 20, 30)).all()
    assert (pictures[2][6:] == 255).all()
    assert (pictures[1] == (10, 20, 30)).all()


@pytest.mark.parametrize(
    'name, message',
    [
        ('wide.png', 'wide.png: found a width of 9 pixels; expected 7'),
        ('text.png', 'text.png: found a file that cannot be decoded'),
        ('none.png', 'none.png: found no such file'),
    ],
)
def test_pictures_are_checked_before_the_first(tmp_path, name, message):
    Image.new('RGB', (7, 5)).save(tmp_path / 'first.png')
    Image.new('RGB', (9, 5)).save(tmp_path / 'wide.png')
    (tmp_path / 'text.png').write_text('no picture')
    with pytest.raises(InputError, match=message):
        next(read_pictures([tmp_path / 'first.png', tmp_path / name]))
