"""Make a video of pictures: ``make_video.py FOLDER --out FILE.mp4``.

A folder's pictures come in natural order (frame_2 before frame_10), single files in the order
given. A gif (``--out FILE.gif``) plays in a browser.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError, require_file
from pandepth_mm.fileio import natural_key
from pandepth_mm.visualization.frame.video import check_video_path, read_pictures, write_video

SUFFIXES = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')


def find_pictures(sources: list[str]) -> list[Path]:
    """Files of pictures.

    Args:
        sources: Files, and folders; in a folder only the pictures directly inside count.

    Raises:
        InputError: A source is missing, or a folder has no picture.
    """
    paths = []
    for source in map(Path, sources):
        if source.is_dir():
            found = [
                p for p in source.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != '.'
            ]
            if not found:
                raise InputError(source, 'no picture', 'files ' + ', '.join(SUFFIXES))
            paths += sorted(found, key=natural_key)
        else:
            require_file(source, 'a picture, or a folder of pictures')
            paths.append(source)
    return paths


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Make the video."""
    parser = argparse.ArgumentParser(description='Make a video of pictures')
    parser.add_argument('pictures', nargs='+', help='folder, or files')
    parser.add_argument('--out', required=True, help='.mp4 or .gif to write')
    parser.add_argument('--fps', type=float, default=10.0, help='pictures per second (10)')
    args = parser.parse_args(argv)
    check_video_path(args.out)
    paths = find_pictures(args.pictures)
    progress = tqdm(read_pictures(paths), Path(args.out).name, len(paths), unit='picture')
    count = write_video(args.out, progress, args.fps)
    print(f'{args.out}: {count} pictures')
