r"""How well a model completes your LiDAR: hold points out, and compare.

    python tools/analysis_tools/lidar_holdout.py image.png --points scan.bin \
        --calib calib.txt

Some of the points in the image are left out of the input, by a fixed seed.
Printed are the errors of the depth at their pixels, where no other point was
given, and those of the nearest measurement on the same grid; for both ways in
which points reach the network (``depth_resize`` of PanDepthInferencer).
No ground truth is needed, but what a LiDAR sees behind the edges of near
things counts as error too.
"""

import argparse

import numpy as np

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.apis.inputs import list_frames, load_frame
from pandepth_mm.cli.shared import cli_main
from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.functional import nearest_fill
from pandepth_mm.geometry.camera import points_to_depth, resize_nearest


def parse_args() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description='Hold LiDAR points out')
    parser.add_argument('image', help='image')
    parser.add_argument('--points', required=True, help='.bin or .npy')
    parser.add_argument('--calib', required=True, help='calibration text')
    parser.add_argument('--config', default='pandepth_effb0_minivkitti_long')
    parser.add_argument('--weights')
    parser.add_argument('--device')
    parser.add_argument(
        '--share', type=float, default=0.5, metavar='S', help='of the points to hold out (0.5)'
    )
    parser.add_argument('--seed', type=int, default=0)
    return parser.parse_args()


def errors(predicted: np.ndarray, truth: np.ndarray) -> str:
    """RMSE, MAE and median of the absolute error, metres."""
    error = np.abs(predicted - truth)[truth > 0]
    return f'{np.sqrt((error**2).mean()):9.2f} {error.mean():9.2f} {np.median(error):9.2f}'


@cli_main
def main() -> None:
    """Print a row a way and method."""
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
    truth = points_to_depth(frame.points[held], frame.cam2img, size)
    truth[(given.sparse_depth > 0) | (truth > max_depth)] = 0
    if not truth.any():
        raise InputError(args.points, 'no point left to compare with', 'more points', '--share')
    print(f'{(given.sparse_depth > 0).sum()} pixels given, {(truth > 0).sum()} held out; metres')
    print(f'{"resize":9} {"method":14} {"RMSE":>9} {"MAE":>9} {"median":>9}')
    for resize in ('rasterize', 'nearest'):
        inferencer = PanDepthInferencer(model, args.device, depth_resize=resize)
        (result,) = inferencer.predict([given])
        fill = nearest_fill(inferencer.pipeline(given)['inputs']['sparse_depth'][0].numpy())
        print(f'{resize:9} {"model":14} {errors(result.depth, truth)}')
        print(f'{resize:9} {"nearest fill":14} {errors(resize_nearest(fill, size), truth)}')


if __name__ == '__main__':
    main()
