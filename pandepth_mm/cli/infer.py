"""Predict for your own images: ``python tools/infer.py IMAGE_OR_DIR ...``.

    python tools/infer.py image.png --points scan.bin --calib calib.txt --out O
    python tools/infer.py images/ --points velodyne/ --calib calib/ --out O
    python tools/infer.py image.png --sparse-depth depth.png --out O

Files of one frame have one stem in their folders. Each frame gets a folder
``O/NAME``: panels, panoptic map, semantic map, depth, instances, the 3D
cloud as PLY and as an HTML page, and result.json. Run again, the command
goes on with the frames that are missing.
"""

import argparse
import hashlib
import os
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pandepth_mm.apis import PanDepthInferencer, PanDepthResult
from pandepth_mm.apis.inferencer import PRECISIONS
from pandepth_mm.apis.inputs import check_sources
from pandepth_mm.apis.result import FILES, SUMMARY
from pandepth_mm.apis.sources import list_frames
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.engine.checkpoint import TRUST_FLAG
from pandepth_mm.engine.model_zoo import find_config
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import KITTI_DEPTH_SCALE, read_json, write_json
from pandepth_mm.visualization.frame.video import check_video_path, read_pictures, write_video

DEMO_MODEL = 'pandepth_effb0_minivkitti_long'
RUN = 'run.json'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Predict for your own images')
    parser.add_argument('image', help='image, or a folder of images')
    parser.add_argument('--out', metavar='D', required=True, help='folder')
    parser.add_argument(
        '--points', metavar='P', help='LiDAR points, .bin (KITTI) or .npy, or a folder of them'
    )
    parser.add_argument(
        '--calib', metavar='P', help="calibration text as KITTI's, one for all or a folder"
    )
    parser.add_argument(
        '--sparse-depth',
        metavar='P',
        help='instead of points: 16-bit PNG or .npy in metres, or a folder',
    )
    parser.add_argument(
        '--depth-scale',
        type=float,
        default=KITTI_DEPTH_SCALE,
        metavar='S',
        help='units per metre of depth PNGs (default: 256, as KITTI)',
    )
    parser.add_argument(
        '--config',
        metavar='C',
        help='config file, or the name of one that comes along (default: the '
        'one that is stored in the weights)',
    )
    parser.add_argument(
        '--weights',
        metavar='W',
        help='checkpoint (default: what comes along for the config; without '
        'a config the demo model)',
    )
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ...')
    parser.add_argument('--precision', choices=list(PRECISIONS), default='fp32')
    parser.add_argument(
        '--depth-resize',
        choices=['splat', 'nearest'],
        default='splat',
        help='how measurements reach the network (see PanDepthInferencer)',
    )
    parser.add_argument('--batch-size', type=int, default=1, metavar='N')
    parser.add_argument(
        '--save',
        nargs='+',
        choices=list(FILES),
        metavar='KIND',
        help=f'what to write: {", ".join(FILES)} (default: all; for a folder '
        'all but page, which takes some MB a frame)',
    )
    parser.add_argument('--video', metavar='FILE', help='make a video of the panels, .mp4 or .gif')
    parser.add_argument('--fps', type=float, default=10.0, help='of the video')
    parser.add_argument(
        '--overwrite', action='store_true', help='compute frames anew that are there already'
    )
    parser.add_argument(
        TRUST_FLAG, action='store_true', help='allow the checkpoint to run code while it is loaded'
    )
    return parser.parse_args(argv)


def choose_model(args: argparse.Namespace) -> None:
    """Complete ``--config`` and ``--weights``.

    Weights alone are enough where they come along, or hold their config.

    Raises:
        InputError: No such config, or no weights for it.
    """
    if args.config is None and args.weights is None:
        args.config = DEMO_MODEL
    if args.config is None:
        return
    model = find_config(args.config)
    args.weights = args.weights or model.weights
    if args.weights is None:
        raise InputError('--weights', 'none', f'a checkpoint: none comes along for {args.config}')
    args.config = str(model.config)


def check_numbers(args: argparse.Namespace) -> None:
    """Refuse numbers that nothing can be done with."""
    for name in ('depth_scale', 'batch_size', 'fps'):
        value = getattr(args, name)
        if not 0 < value < float('inf'):
            raise InputError('--' + name.replace('_', '-'), f'{value}', 'a number above 0')


def choose_kinds(args: argparse.Namespace, single: bool) -> list[str]:
    """What to write for each frame."""
    if args.save is not None:
        kinds = [kind for kind in FILES if kind in args.save]
    else:
        kinds = [k for k in FILES if single or k != 'page']
        if args.calib is None:
            kinds = [k for k in kinds if k not in ('cloud', 'page')]
    for kind in ('cloud', 'page'):
        if kind in kinds and args.calib is None:
            raise InputError(
                '--save', f'{kind} without --calib', 'the calibration, which a cloud needs'
            )
    if args.video:
        check_video_path(args.video)
        if 'panels' not in kinds:
            raise InputError('--video', 'no panels in --save', 'panels, of which the video is made')
    return kinds


def check_run(args: argparse.Namespace, kinds: list[str]) -> None:
    """Compare with the run that the folder holds, or make the folder.

    Raises:
        InputError: The folder is a file, holds something else, or another
            run's results.
    """
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise InputError('--out', f'{out}, a file', 'a folder')
    settings = {
        name: getattr(args, name) and os.path.abspath(getattr(args, name))
        for name in ('image', 'points', 'calib', 'sparse_depth')
    }
    settings.update(
        config=_digest(args.config),
        weights=_digest(args.weights),
        depth_scale=args.depth_scale,
        depth_resize=args.depth_resize,
        precision=args.precision,
        save=kinds,
    )
    file = out / RUN
    if file.is_file() and not args.overwrite:
        earlier = read_json(file)
        for key, value in settings.items():
            if earlier.get(key) != value:
                raise InputError(
                    file,
                    f'results of another run: {earlier.get(key)}',
                    f'{value}; take another folder, or --overwrite',
                    key,
                )
    elif out.is_dir() and any(out.iterdir()) and not args.overwrite:
        raise InputError(
            '--out',
            f'{out}, which holds something else',
            'a new or an empty folder, or --overwrite',
        )
    if args.overwrite:  # so that a run that is stopped is not taken for done
        for result in out.glob(f'*/{SUMMARY}'):
            result.unlink()
    write_json(file, settings)


def _digest(path: str | None) -> str | None:
    """SHA-256 of a file; an address stands for itself."""
    if path is None or not os.path.isfile(path):
        return path
    digest = hashlib.sha256()
    with open(path, 'rb') as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def describe(result: PanDepthResult, seconds: float) -> str:
    """One line about a frame."""
    height, width = result.image.shape[:2]
    parts = [f'{result.name}: {width}x{height}']
    measured = (result.sparse_depth > 0).sum()
    parts.append(f'{measured} measured pixels ({100 * measured / (height * width):.1f} %)')
    if result.segments_info is not None:
        things = Counter(s['category'] for s in result.segments_info if s['isthing'])
        listed = ', '.join(f'{n} {name}' for name, n in things.items())
        parts.append(f'{len(result.segments_info)} segments ({listed or "no thing"})')
    if result.depth is not None:
        guess = ', a guess' if result.depth_is_guess else ''
        parts.append(f'depth {result.depth.min():.1f} to {result.depth.max():.1f} m{guess}')
    return ', '.join(parts) + f', {seconds:.2f} s'


@cli_main
def main(argv: Sequence[str] | None = None) -> None:
    """Check everything, then predict frame by frame."""
    args = parse_args(argv)
    check_numbers(args)
    choose_model(args)
    if not os.path.exists(args.image):
        raise InputError(args.image, 'no such file', 'an image or a folder')
    frames, single = list_frames(args.image, args.sparse_depth, args.points, args.calib)
    check_sources(frames)
    kinds = choose_kinds(args, single)
    inferencer = PanDepthInferencer(
        args.config,
        args.weights,
        device=args.device,
        precision=args.precision,
        depth_resize=args.depth_resize,
        trust_checkpoint=args.trust_checkpoint,
    )
    check_run(args, kinds)
    out = Path(args.out)
    todo = [f for f in frames if not (out / f.name / SUMMARY).is_file()]
    if len(todo) < len(frames):
        print(f'{len(frames) - len(todo)} of {len(frames)} frames are there already')
    results = inferencer.stream(todo, args.depth_scale, args.batch_size)
    bar = tqdm(results, 'frames', len(todo), disable=single)
    start = time.perf_counter()
    for result in bar:
        result.save(out / result.name, kinds)
        now = time.perf_counter()
        bar.write(describe(result, now - start))
        start = now
    if args.video:
        files = [out / f.name / FILES['panels'] for f in frames]
        count = write_video(args.video, read_pictures(files), args.fps)
        print(f'video: {args.video}, {count} frames')
    print(f'results: {out}')
