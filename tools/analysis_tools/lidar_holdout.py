r"""How well a model completes your LiDAR: hold measurements out, and compare.

    python tools/analysis_tools/lidar_holdout.py image.png --points scan.bin --calib calib.txt
    python tools/analysis_tools/lidar_holdout.py drive/image_02/data \
        --points drive/velodyne_points/data --calib drive/.. --every 9 --out holdout.json

Measurements are left out of the input in two ways, one after the other:

* half of the points (--share), drawn at random by a fixed seed;
* every other band of beams (--band, 2 beams), beginning with the second from above, since what lies
  above the highest beam that is given can only be guessed. The gap between two bands that are given
  is three beam spacings wide, where a full scan has one. Beams are told by the order of the points,
  as KITTI's files have it; a scan in another order is cut into 64 rings of equal height instead,
  and the tool says so, see pandepth_mm/geometry/beams.py.

The table has the errors at the pixels of what was left out, where no other point was given, of the
model and of the fills that need no network. The model reads the points on the network's grid, as
--depth-resize brings them there ('rasterize', as PanDepthInferencer does it by default). The fills
are given twice: on that very grid, as the model has it, and on the image's, as somebody without a
network would use them. All are brought to the image's size. Each number is the mean over the frames
of the number of a frame, as in DepthMetric. No ground truth is needed, but what a LiDAR sees behind
the edges of near things counts as error too.
"""

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.apis.inputs import Frame, load_frame
from pandepth_mm.apis.sources import FrameSource, list_frames
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.datasets.transforms.resize_panoptic_depth import DEPTH_RESIZES
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.evaluation.functional import FILLS, ROW, depth_row, resize_bilinear
from pandepth_mm.fileio import check_writable, write_json
from pandepth_mm.geometry.beams import RINGS, find_beams
from pandepth_mm.geometry.camera import points_to_depth, resize_nearest
from pandepth_mm.geometry.point_files import read_points
from pandepth_mm.structures.methods import METHODS

GRIDS = ('network', 'image')
# of a row: key, title
COLUMNS = dict(rmse='RMSE m', mae='MAE m', median='median m', irmse='iRMSE 1/km', imae='iMAE 1/km')


class Heldout(NamedTuple):
    """A frame without some of its points, and these as a depth map (H, W), meters."""

    given: Frame
    gt: np.ndarray


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Hold LiDAR points out')
    add = parser.add_argument
    add('image', nargs='+', help='image, or folder of images; several are evaluated together')
    add('--points', nargs='+', required=True, help='.bin, .npy, .ply or .pcd, or a folder of them')
    add('--calib', nargs='+', required=True, help='calibration, as infer.py takes it; one or each')
    add('--every', type=int, default=1, metavar='N', help='take every Nth frame of a folder')
    add('--config', help='config file or name (the shipped model)')
    add('--weights')
    add('--device')
    add('--depth-resize', default='rasterize', choices=DEPTH_RESIZES)
    add('--share', type=float, default=0.5, metavar='S', help='of the points to hold out (0.5)')
    add('--band', type=int, default=2, metavar='N', help='beams in a band (2)')
    add('--seed', type=int, default=0)
    add('--out', metavar='JSON', help='the numbers, also of each frame')
    return parser.parse_args()


def list_sources(args: argparse.Namespace) -> list[FrameSource]:
    """The frames of the command line.

    Raises:
        InputError: Another number of points or calibrations than of images.
    """
    count = len(args.image)
    calibs = args.calib * count if len(args.calib) == 1 else args.calib
    for flag, given in (('--points', args.points), ('--calib', calibs)):
        if len(given) != count:
            raise InputError(flag, f'{len(given)} of them', f'{count}, one per image or folder')
    sources = []
    for image, points, calib in zip(args.image, args.points, calibs, strict=True):
        sources += list_frames(image, None, points, calib)[0][:: args.every]
    return sources


def hold_out(frame: Frame, held: np.ndarray, max_depth: float) -> Heldout:
    """Divide a frame.

    Args:
        frame: With points.
        held: bool (N,), the points to hold out.
        max_depth: What lies beyond, in meters, is not compared.

    Raises:
        InputError: No point is left to give or to compare with.
    """
    size = frame.image.shape[:2]
    sparse = points_to_depth(frame.points[~held], frame.cam2img, size)
    gt = points_to_depth(frame.points[held], frame.cam2img, size)
    gt[(sparse > 0) | (gt > max_depth)] = 0
    if not gt.any() or not sparse.any():
        raise InputError(
            frame.name, 'no point in the image left to give, or to compare with', 'more points'
        )
    return Heldout(frame._replace(points=frame.points[~held], sparse_depth=sparse), gt)


def predict(
    inferencer: PanDepthInferencer, frame: Frame
) -> Iterator[tuple[tuple[str, str], np.ndarray]]:
    """Dense depth of each method, float (H, W), meters, by (method, grid of its input)."""
    size = frame.image.shape[:2]
    yield ('model', 'network'), inferencer.predict([frame])[0].depth
    small = inferencer.pipeline(frame)['inputs']['sparse_depth'][0].numpy()
    for grid, sparse in zip(GRIDS, (small, frame.sparse_depth), strict=True):
        for name, fill in FILLS.items():
            resize = resize_nearest if name == 'nearest_fill' else resize_bilinear
            yield (name, grid), resize(fill(sparse), size)


def errors(gt: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """RMSE, MAE and median of the absolute error, meters; iRMSE and iMAE, 1/km."""
    row = dict(zip(ROW, depth_row(gt, predicted), strict=True))
    row = dict(row, rmse=row['rmse'] / 1000, mae=row['mae'] / 1000)
    row['median'] = np.median(np.abs(predicted - gt)[gt > 0])
    return {key: float(row[key]) for key in COLUMNS}


def evaluate(
    inferencer: PanDepthInferencer, sources: list[FrameSource], args: argparse.Namespace
) -> tuple[dict[tuple, list[dict]], list[dict]]:
    """Errors of every frame by (held out, method, grid); and what each frame had."""
    max_depth = inferencer.model.max_depth
    rng = np.random.default_rng(args.seed)
    found: dict[tuple, list[dict]] = {}
    frames = []
    for source in tqdm(sources, 'frames', disable=len(sources) == 1):
        frame = load_frame(source, 1.0, max_depth)
        beams, ordered = find_beams(read_points(source.points, source.point_dims))
        protocols = {
            f'{100 * args.share:g} % random': rng.random(len(frame.points)) < args.share,
            f'bands of {args.band}': beams // args.band % 2 == 1,
        }
        pixels = {}
        for protocol, held in protocols.items():
            given, gt = hold_out(frame, held, max_depth)
            counts = [int((depth > 0).sum()) for depth in (given.sparse_depth, gt)]
            pixels[protocol] = dict(zip(('given', 'held_out'), counts, strict=True))
            for (name, grid), depth in predict(inferencer, given):
                found.setdefault((protocol, name, grid), []).append(errors(gt, depth))
        frames.append(
            dict(name=source.name, beams=int(beams.max()) + 1, ordered=ordered, pixels=pixels)
        )
    return found, frames


def report(results: list[dict], frames: list[dict], depth_resize: str) -> str:
    """What was held out, and the table."""
    told = sum(frame['ordered'] for frame in frames)
    beams = ', '.join(map(str, sorted({frame['beams'] for frame in frames})))
    lines = [
        f'{len(frames)} frames, means over them; the network reads them by {depth_resize!r}',
        f'{beams} beams, told by the order of the points in {told} of the frames'
        + (f', {RINGS} rings of elevation in the others' if told < len(frames) else ''),
    ]
    for protocol in frames[0]['pixels']:
        given, held = (
            np.mean([frame['pixels'][protocol][key] for frame in frames])
            for key in ('given', 'held_out')
        )
        lines.append(f'{protocol}: {given:.0f} pixels given, {held:.0f} held out')
    titles = ''.join(title.rjust(12) for title in COLUMNS.values())
    lines.append(f'{"held out":13}{"method":15}{"grid":8}{titles}')
    lines += [
        f'{row["held_out"]:13}{METHODS[row["method"]]:15}{row["grid"]:8}'
        + ''.join(f'{row[key]:12.3f}' for key in COLUMNS)
        for row in results
    ]
    return '\n'.join(lines)


@cli_main
def main() -> None:
    """Print one row per protocol and method."""
    args = parse_args()
    if not 0 < args.share < 1:
        raise InputError('--share', f'{args.share}', 'between 0 and 1')
    require_count(args.every, '--every')
    require_count(args.band, '--band')
    if args.out:
        check_writable(args.out, '--out')
    sources = list_sources(args)
    model = init_model(args.config, args.weights)
    inferencer = PanDepthInferencer(
        model, args.device, depth_resize=args.depth_resize, show_progress=False
    )
    found, frames = evaluate(inferencer, sources, args)
    results = [
        dict(
            zip(('held_out', 'method', 'grid'), key, strict=True),
            **{column: float(np.mean([row[column] for row in rows])) for column in COLUMNS},
            per_frame=rows,
        )
        for key, rows in found.items()
    ]
    print(report(results, frames, args.depth_resize))
    if args.out:
        names = ('config', 'weights', 'depth_resize', 'share', 'band', 'seed')
        settings = {name: getattr(args, name) for name in names}
        write_json(args.out, dict(settings=settings, frames=frames, results=results))


if __name__ == '__main__':
    main()
