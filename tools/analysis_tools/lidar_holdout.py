r"""How well a model completes your LiDAR: hold points out, and compare.

    python tools/analysis_tools/lidar_holdout.py image.png --points scan.bin \
        --calib calib.txt

Some of the points in the image are left out of the input, by a fixed seed. The tool prints the
errors at their pixels, where no other point was given, of the model and of the fills that need no
network, on the same grid, for both ways in which points reach the network (``depth_resize`` of
PanDepthInferencer). No ground truth is needed, but what a LiDAR sees behind the edges of near
things counts as error too.
"""

import argparse

import numpy as np

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.apis.inputs import load_frame
from pandepth_mm.apis.sources import list_frames
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.functional import FILLS, ROW, depth_row, resize_bilinear
from pandepth_mm.geometry.camera import points_to_depth, resize_nearest
from pandepth_mm.structures.methods import METHODS

COLUMNS = ('RMSE m', 'MAE m', 'median m', 'iRMSE 1/km', 'iMAE 1/km')


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Hold LiDAR points out')
    parser.add_argument('image', help='image')
    parser.add_argument('--points', required=True, help='.bin, .npy, .ply or .pcd')
    parser.add_argument('--calib', required=True, help='calibration, as infer.py takes it')
    parser.add_argument('--config', default='pandepth_effb0_minivkitti_long')
    parser.add_argument('--weights')
    parser.add_argument('--device')
    parser.add_argument(
        '--share', type=float, default=0.5, metavar='S', help='of the points to hold out (0.5)'
    )
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def format_errors(gt: np.ndarray, predicted: np.ndarray) -> str:
    """RMSE, MAE and median of the absolute error, meters; iRMSE and iMAE, 1/km."""
    row = dict(zip(ROW, depth_row(gt, predicted), strict=True))
    values = (
        row['rmse'] / 1000,
        row['mae'] / 1000,
        np.median(np.abs(predicted - gt)[gt > 0]),
        row['irmse'],
        row['imae'],
    )
    return ''.join(f'{value:12.3f}' for value in values)


@cli_main
def main() -> None:
    """Print one row per way and method."""
    args = parse_args()
    if not 0 < args.share < 1:
        raise InputError('--share', f'{args.share}', 'between 0 and 1')
    (source,), _ = list_frames(args.image, None, args.points, args.calib)
    model = init_model(args.config, args.weights)
    max_depth = model.max_depth
    frame = load_frame(source, 1.0, max_depth)
    size = frame.image.shape[:2]
    rng = np.random.default_rng(args.seed)
    held = rng.random(len(frame.points)) < args.share
    given = frame._replace(
        points=frame.points[~held],
        sparse_depth=points_to_depth(frame.points[~held], frame.cam2img, size),
    )
    gt = points_to_depth(frame.points[held], frame.cam2img, size)
    gt[(given.sparse_depth > 0) | (gt > max_depth)] = 0
    if not gt.any():
        raise InputError(args.points, 'no point left to compare with', 'more points', '--share')
    print(f'{(given.sparse_depth > 0).sum()} pixels given, {(gt > 0).sum()} held out')
    print('resize     method         ' + ''.join(title.rjust(12) for title in COLUMNS))
    for depth_resize in ('rasterize', 'nearest'):
        inferencer = PanDepthInferencer(model, args.device, depth_resize=depth_resize)
        (result,) = inferencer.predict([given])
        sparse = inferencer.pipeline(given)['inputs']['sparse_depth'][0].numpy()
        maps = dict(model=result.depth)
        for name, fill in FILLS.items():
            resize = resize_nearest if name == 'nearest_fill' else resize_bilinear
            maps[name] = resize(fill(sparse), size)
        for name, depth in maps.items():
            print(f'{depth_resize:11}{METHODS[name]:15}{format_errors(gt, depth)}')


if __name__ == '__main__':
    main()
