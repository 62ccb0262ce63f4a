"""Videos of pictures: mp4 through OpenCV, gif through Pillow."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pandepth_mm.errors import InputError, require_choice, require_file, require_positive
from pandepth_mm.fileio import atomic_path

SUFFIXES = ('.mp4', '.gif')
# MPEG-4 part 2: the one codec for mp4 that OpenCV's wheels have everywhere
MP4_CODEC = 'mp4v'
MAX_GIF_WIDTH = 800  # pixels; gifs pack photographs badly


def write_video(path: str | Path, pictures: Iterable[np.ndarray], fps: float = 10.0) -> int:
    """Write pictures as a video, atomically.

    The pictures are taken one by one. Those of an mp4 are written at once; those of a gif are kept
    with 256 colors, at most ``MAX_GIF_WIDTH`` pixels wide. The sides of an mp4 are even: a last row
    or column is repeated where they are not.

    Args:
        path: File to write, .mp4 or .gif.
        pictures: uint8 (H, W, 3), RGB, all of one size; a generator, say.
        fps: Pictures per second. A gif stores hundredths of a second, so there it is rounded, and
            at most 50.

    Returns:
        Number of pictures in the video.

    Raises:
        InputError: Another suffix or a wrong ``fps``, before any picture is taken; no picture; a
            picture of another type or size than the first's.
        OSError: The video cannot be written.
    """
    suffix = check_video_path(path)
    require_positive(fps, 'fps', unit='(pictures per second)')
    frames = _checked(pictures)
    first = next(frames, None)
    if first is None:
        raise InputError('pictures', 'none', 'at least one')
    frames = itertools.chain([first], frames)
    with atomic_path(path) as tmp:
        if suffix == '.mp4':
            return _write_mp4(tmp, frames, first.shape[:2], fps)
        return _write_gif(tmp, frames, fps)


def check_video_path(path: str | Path) -> str:
    """Suffix of a video's file name, in lower case.

    Raises:
        InputError: Not one of ``SUFFIXES``.
    """
    suffix = Path(path).suffix.lower()
    require_choice(suffix, SUFFIXES, path, 'suffix')
    return suffix


def read_pictures(paths: Sequence[str | Path]) -> Iterator[np.ndarray]:
    """Read pictures one by one, as :func:`write_video` takes them.

    Lower ones get white below: the legends of some frames are a line shorter.

    Args:
        paths: Files of pictures, all of one width.

    Yields:
        uint8 (H, W, 3), RGB, all of one size.

    Raises:
        InputError: A file that is no picture, or has another width than the first; before the first
            picture is read whole.
    """
    sizes = []
    for path in paths:
        require_file(path, 'a picture')
        try:
            with Image.open(path) as image:
                sizes.append(image.size)
        except OSError:
            raise InputError(path, 'a file that cannot be decoded', 'a picture') from None
        if sizes[-1][0] != sizes[0][0]:
            raise InputError(
                path,
                f'a width of {sizes[-1][0]} pixels',
                f'{sizes[0][0]}, that of the first picture',
            )
    height = max((size[1] for size in sizes), default=0)
    for path in paths:
        picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if picture is None:
            raise InputError(path, 'a file that cannot be decoded', 'a picture')
        below = height - picture.shape[0]
        yield np.pad(picture[..., ::-1], ((0, below), (0, 0), (0, 0)), constant_values=255)


def _checked(pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Hand the pictures on; all must be RGB and of the first one's size."""
    shape = None
    for number, picture in enumerate(pictures, 1):
        picture = np.asarray(picture)
        if (
            picture.dtype != np.uint8
            or picture.ndim != 3
            or picture.shape[2] != 3
            or 0 in picture.shape
        ):
            raise InputError(
                f'picture {number}',
                f'{picture.dtype} of shape {picture.shape}',
                'uint8 of shape (H, W, 3)',
            )
        shape = shape or picture.shape
        if picture.shape != shape:
            raise InputError(
                f'picture {number}',
                f'size (h, w) = {picture.shape[:2]}',
                f'{shape[:2]}, the size of the first one',
            )
        yield picture


def _write_mp4(path: str, frames: Iterator[np.ndarray], size: tuple, fps: float) -> int:
    """Write an mp4 of frames of a size (height, width)."""
    height, width = size
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    writer = cv2.VideoWriter(
        path, cv2.VideoWriter_fourcc(*MP4_CODEC), fps, (width + width % 2, height + height % 2)
    )
    if not writer.isOpened():
        raise OSError(
            f'OpenCV cannot write a video of {width} x {height} pixels with the codec {MP4_CODEC}'
        )
    count = 0
    try:
        for frame in frames:
            frame = np.pad(frame, pad, mode='edge')
            writer.write(np.ascontiguousarray(frame[..., ::-1]))
            count += 1
    finally:
        writer.release()
    return count


def _write_gif(path: str, frames: Iterator[np.ndarray], fps: float) -> int:
    """Write a gif that repeats forever."""
    images = []
    for frame in frames:
        image = Image.fromarray(frame)
        if image.width > MAX_GIF_WIDTH:
            height = round(image.height * MAX_GIF_WIDTH / image.width)
            image = image.resize((MAX_GIF_WIDTH, max(1, height)), Image.Resampling.LANCZOS)
        # median cut, the default, would turn the colors of small classes into others; without
        # dithering areas of one color stay so
        images.append(
            image.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE)
        )
    # browsers take less than 2/100 s for "as slow as 1/10 s"
    duration = 10 * max(2, round(100 / fps))
    images[0].save(path, save_all=True, append_images=images[1:], duration=duration, loop=0)
    return len(images)
