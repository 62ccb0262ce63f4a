"""Predict for your own images: ``python tools/infer.py IMAGE_OR_DIR ...``.

    python tools/infer.py image.png --points scan.bin --calib calib.txt --out O
    python tools/infer.py images/ --points velodyne/ --calib calib/ --out O
    python tools/infer.py image.png --sparse-depth depth.png --out O

Files of one frame have the same stem in their folders. Each frame gets a folder ``O/NAME``: panels,
panoptic map, semantic map, depth and its uncertainty, instances, the 3D cloud as PLY and as an HTML
page, as far as the model predicts them, and result.json. Run again, the command goes on with the
frames that are missing. tools/dist_infer.sh shares the frames between processes.
"""

import argparse
import hashlib
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from pandepth_mm.apis import PanDepthInferencer, PanDepthResult, init_model
from pandepth_mm.apis.inputs import check_sources
from pandepth_mm.apis.sources import list_frames
from pandepth_mm.apis.writers import SUMMARY, WRITERS, possible_kinds
from pandepth_mm.cli.shared import add_speed_arguments, cli_main
from pandepth_mm.datasets.transforms.resize_panoptic_depth import DEPTH_RESIZES
from pandepth_mm.engine.checkpoint import TRUST_FLAG
from pandepth_mm.engine.model_zoo import ModelFiles, find_model
from pandepth_mm.engine.ranks import LAUNCHERS, join_ranks
from pandepth_mm.errors import InputError, require_count, require_positive
from pandepth_mm.fileio import KITTI_DEPTH_SCALE, PathLike, natural_key, read_json, write_json
from pandepth_mm.geometry.calibration_files import CAMERAS
from pandepth_mm.visualization.frame.video import check_video_path, read_pictures, write_video

RUN = 'run.json'


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Predict for your own images')
    parser.add_argument('image', help='image, or a folder of images')
    parser.add_argument('--out', metavar='D', required=True, help='folder')
    parser.add_argument(
        '--points', metavar='P', help='LiDAR points, .bin, .npy, .ply or .pcd, or a folder of them'
    )
    parser.add_argument(
        '--point-dims',
        type=int,
        metavar='N',
        help='columns of .bin files: 4 for KITTI, 5 for nuScenes, ... (default: told by the '
        'numbers)',
    )
    parser.add_argument(
        '--calib',
        metavar='P',
        help="calibration, one for all or a folder: a text of KITTI's data sets (object, raw, "
        'odometry, tracking, depth completion, KITTI-360), camera_info of ROS (.yaml), or '
        'cam2img and lidar2cam (.json)',
    )
    parser.add_argument(
        '--camera',
        type=int,
        choices=CAMERAS,
        help='which camera of the calibration (default: the one that the folder of the image '
        'names, image_3 say, else the left color camera)',
    )
    parser.add_argument(
        '--sparse-depth',
        metavar='P',
        help='instead of points: 16-bit PNG or .npy in meters, or a folder',
    )
    parser.add_argument(
        '--depth-scale',
        type=float,
        default=KITTI_DEPTH_SCALE,
        metavar='S',
        help='units per meter of depth PNGs (default: 256, as KITTI)',
    )
    parser.add_argument(
        '--config',
        metavar='C',
        help='config file, or the name of a shipped one (default: the '
        'one that is stored in the weights)',
    )
    parser.add_argument(
        '--weights',
        metavar='W',
        help='checkpoint, .pth or .safetensors, a file or an http(s) address '
        '(default: those shipped for the config; without a config the demo model)',
    )
    parser.add_argument('--device', help='cpu, cuda, cuda:1, ...')
    parser.add_argument(
        '--depth-resize',
        choices=list(DEPTH_RESIZES),
        default='rasterize',
        help='how measurements reach the network (see PanDepthInferencer)',
    )
    add_speed_arguments(parser)
    parser.add_argument('--batch-size', type=int, default=1, metavar='N')
    parser.add_argument(
        '--save',
        nargs='+',
        choices=list(WRITERS),
        metavar='KIND',
        help=f'what to write: {", ".join(WRITERS)} (default: all that the model predicts; for a '
        'folder all but page, which takes some MB per frame)',
    )
    parser.add_argument('--video', metavar='FILE', help='make a video of the panels, .mp4 or .gif')
    parser.add_argument('--fps', type=float, default=10.0, help='of the video')
    parser.add_argument(
        '--overwrite', action='store_true', help='recompute frames that are there already'
    )
    parser.add_argument(
        '--skip-bad',
        action='store_true',
        help='go on without frames that cannot be read; they are listed at the end, and the exit '
        'code is 1',
    )
    parser.add_argument(
        TRUST_FLAG, action='store_true', help='allow the checkpoint to run code while it is loaded'
    )
    parser.add_argument(
        '--launcher',
        choices=LAUNCHERS,
        default='none',
        help='who started the processes that share the frames (tools/dist_infer.sh)',
    )
    return parser.parse_args(argv)


def choose_kinds(args: argparse.Namespace, single: bool) -> list[str]:
    """What to write for each frame."""
    impossible = ('cloud', 'page') if args.calib is None else ()
    default = [k for k in WRITERS if k not in impossible and (single or k != 'page')]
    kinds = [kind for kind in WRITERS if kind in (args.save or default)]
    for kind in impossible:
        if kind in kinds:
            raise InputError(
                '--save', f'{kind} without --calib', 'the calibration, which a cloud needs'
            )
    if args.video:
        check_video_path(args.video)
        if 'panels' not in kinds:
            raise InputError(
                '--video', 'no panels in --save', 'panels, which the video is made from'
            )
    return kinds


def check_run(args: argparse.Namespace, model: ModelFiles, kinds: list[str]) -> None:
    """Compare with the run that the folder holds, or make the folder.

    Raises:
        InputError: The folder is a file, holds something else, or another run's results.
    """
    out = Path(args.out)
    if out.exists() and not out.is_dir():
        raise InputError('--out', f'{out}, a file', 'a folder')
    settings = {
        name: getattr(args, name) and os.path.abspath(getattr(args, name))
        for name in ('image', 'points', 'calib', 'sparse_depth')
    }
    settings.update(
        config=_digest(model.config),
        weights=_digest(model.weights),
        camera=args.camera,
        point_dims=args.point_dims,
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


def _digest(path: PathLike | None) -> str | None:
    """SHA-256 of a file; an address stands for itself."""
    if path is None or not os.path.isfile(path):
        return path
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


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


def tell(errors: Iterable[InputError]) -> None:
    """Print a line per error; of a file that several frames share only one."""
    for message in dict.fromkeys(' '.join(str(error).split()) for error in errors):
        print('error:', message, file=sys.stderr)


@cli_main
def main(argv: Sequence[str] | None = None) -> int:
    """Check everything, then predict frame by frame.

    Where a launcher started several processes, each predicts its share of the frames; process 0
    says what there is to say about all of them.

    Returns:
        The exit code: 1 if frames were left out.
    """
    args = parse_args(argv)
    ranks = join_ranks(args.launcher)
    require_count(args.batch_size, '--batch-size')
    require_positive(args.depth_scale, '--depth-scale')
    require_positive(args.fps, '--fps')
    model = find_model(args.config, args.weights)
    frames, single = list_frames(
        args.image, args.sparse_depth, args.points, args.calib, args.camera, args.point_dims
    )
    skipped = check_sources(frames)
    if ranks.rank == 0:
        tell(skipped.values())
    if skipped and not (args.skip_bad and len(skipped) < len(frames)):
        if len(skipped) < len(frames) and ranks.rank == 0:
            print(
                f'{len(skipped)} of {len(frames)} frames are bad; --skip-bad goes on without them',
                file=sys.stderr,
            )
        sys.exit(2)
    frames = [frame for frame in frames if frame.name not in skipped]
    kinds = choose_kinds(args, single)
    inferencer = PanDepthInferencer(
        init_model(*model, args.trust_checkpoint),
        args.device or ranks.device,
        args.precision,
        args.depth_resize,
        optimize=args.optimize,
    )
    out = Path(args.out)
    missing = set()
    if ranks.rank == 0:
        check_run(args, model, kinds)
        missing = {f.name for f in frames if not (out / f.name / SUMMARY).is_file()}
        if len(missing) < len(frames):
            print(f'{len(frames) - len(missing)} of {len(frames)} frames are there already')
    # what process 0 saw, before any of them wrote
    missing = ranks.from_first(missing)
    todo = ranks.share([frame for frame in frames if frame.name in missing])
    results = inferencer.stream(
        todo, args.depth_scale, args.batch_size, skipped if args.skip_bad else None
    )
    bar = tqdm(results, 'frames', len(todo), disable=single or ranks.rank > 0)
    start = time.perf_counter()
    with logging_redirect_tqdm():  # warnings get lines of their own
        for result in bar:
            wanted = kinds if args.save else [k for k in possible_kinds(result) if k in kinds]
            result.save(out / result.name, wanted)
            now = time.perf_counter()
            # in one piece, so that processes do not write into each other's lines
            bar.write(describe(result, now - start) + '\n', end='')
            start = now
    left_out = {name: e for part in ranks.collect(skipped) for name, e in part.items()}
    if ranks.rank > 0:
        return 0
    skipped = {name: left_out[name] for name in sorted(left_out, key=natural_key)}
    done = [frame for frame in frames if frame.name not in skipped]
    if args.video and done:
        files = [out / frame.name / WRITERS['panels'][0] for frame in done]
        count = write_video(args.video, read_pictures(files), args.fps)
        print(f'video: {args.video}, {count} frames')
    if ranks.count > 1:
        print(f'{len(missing)} frames by {ranks.count} processes')
    print(f'results: {out}')
    if skipped:
        print(f'left out: {", ".join(skipped)}', file=sys.stderr)
        tell(skipped.values())
    return int(bool(skipped))
