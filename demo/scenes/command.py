"""Render procedural road scenes in the layout of Virtual KITTI 2.

    python data_converters/synthesize_vkitti2.py OUT --frames 60 \
        --size 416x128 --seed 0 --workers 2

``--frames`` counts the frames of each scene; each is written in every variation (so 60 frames, 5
scenes and 6 variations are 1800 images). A scene is one drive of 240 m, from which the frames are
taken at equal distances; the world is the same for any number and size of frames. Variations change
light, fog and rain; labels and depth are identical among them.

What is complete stays: a run that was stopped goes on where it was. More ``--scenes`` and
``--variations`` can be added to a folder later; another size, seed or number of frames needs
another folder.
"""

import argparse
import sys
from collections.abc import Sequence

from pandepth_mm.converters.core.jobs import available_cores, exit_code
from pandepth_mm.structures.vkitti2_meta import SPLIT_SCENES, VARIATIONS


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('out', metavar='OUT', help='folder to write to')
    parser.add_argument(
        '--frames', type=int, required=True, metavar='N', help='frames of each scene'
    )
    parser.add_argument(
        '--size',
        default='416x128',
        metavar='WxH',
        help='image size (default: 416x128; Virtual KITTI 2 has 1242x375)',
    )
    parser.add_argument(
        '--seed', type=int, default=0, metavar='S', help='decides the scenes (default: 0)'
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=available_cores(),
        metavar='N',
        help='processes (default: all cores)',
    )
    parser.add_argument(
        '--scenes',
        nargs='+',
        metavar='SCENE',
        default=sorted(sum(SPLIT_SCENES.values(), ())),
        help='default: all five',
    )
    parser.add_argument(
        '--variations',
        nargs='+',
        metavar='NAME',
        default=list(VARIATIONS),
        help='default: ' + ' '.join(VARIATIONS),
    )
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program; the exit codes are those of :func:`exit_code`."""
    args = parse_args(argv)
    try:
        from scenes.jobs import parse_size, synthesize
    except ImportError as e:
        print(f'error: {e}; pip install embreex scipy tqdm trimesh', file=sys.stderr)
        return 2

    def command() -> None:
        written = synthesize(
            args.out,
            args.frames,
            parse_size(args.size),
            args.seed,
            args.workers,
            args.scenes,
            args.variations,
        )
        print(f'{args.out}: complete, {written} images written now')

    return exit_code(command)
