"""What the filter for hidden points takes, of wrong measurements and of right ones.

    python tools/analysis_tools/check_visibility.py [--size 1242x375] [--frames 1]
    python tools/analysis_tools/check_visibility.py DATA_ROOT --drive DRIVE[:FIRST-LAST]

The first scans the scenes of demo/scenes (see synthesize_vkitti2.py) by a LiDAR of 64 beams at the
camera and in three places beside it: its rays are cast into the same world. The truth is the depth
that the camera sees in the middle of the pixel.

The second takes the scans of a drive in KITTI's layout. There stereo matching is the truth: a poor
one, since it takes what it cannot match, mostly far away, for nearer or farther than it is.

A measurement is wrong where it lies behind the truth by more than --outlier of it, and right within
half of that. The table has the share of wrong ones among those with a truth, and the shares of the
wrong and of the right ones that the filter takes.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.converters.core.ground_truth import accumulate_scans
from pandepth_mm.converters.kitti_raw import KittiRawConverter
from pandepth_mm.errors import InputError, require_count, require_fraction
from pandepth_mm.fileio import check_writable, write_json
from pandepth_mm.geometry.camera import points_to_depth
from pandepth_mm.geometry.lidar import AZIMUTH_STEP, beam_elevations, beam_rays
from pandepth_mm.geometry.visibility import beam_footprint, hidden_mask

ROOT = Path(__file__).resolve().parents[2]
# place of the LiDAR in the camera's frame, meters: x right, y down, z forward
PLACES = {
    'at the camera': (0, 0, 0),  # hides nothing: what is wrong there is due to the pixels' width
    'as in KITTI': (0.06, -0.08, -0.27),
    '60 cm above': (0, -0.6, 0),
    '60 cm beside, 30 above': (0.6, -0.3, 0),
}
BEAMS = 64
MAX_DEPTH = 80.0  # meters; as of the converters
COUNTS = ('told', 'wrong', 'wrong_hidden', 'right', 'right_hidden')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('root', nargs='?', metavar='DATA_ROOT', help='as of the converter kitti_raw')
    add('--drive', metavar='DRIVE[:FIRST-LAST]', help='with DATA_ROOT: the frames')
    add('--size', default='1242x375', metavar='WxH', help='of rendered images (%(default)s)')
    add('--frames', type=int, default=1, metavar='N', help='of each of five scenes (%(default)s)')
    add('--seed', type=int, default=0, help='of the scenes (%(default)s)')
    add('--outlier', type=float, default=0.1, help='share of the depth (%(default)s)')
    add('--out', metavar='JSON', help='all numbers')
    return parser.parse_args(argv)


def count(depth: np.ndarray, truth: np.ndarray, cam2img: np.ndarray, outlier: float) -> np.ndarray:
    """Measurements, and those that the filter takes.

    Args:
        depth: float (H, W), meters, 0 = no measurement; of a scan.
        truth: The same, 0 = unknown.
        cam2img: (3, 3), pixels.
        outlier: Share of the truth.

    Returns:
        int (5,), the ``COUNTS``.
    """
    hidden = hidden_mask(depth, beam_footprint(cam2img))
    told = (depth > 0) & (truth > 0)
    wrong = told & (depth > (1 + outlier) * truth)
    right = told & (np.abs(depth - truth) <= outlier / 2 * truth)
    return np.array([m.sum() for m in (told, wrong, wrong & hidden, right, right & hidden)])


def scan_scenes(
    size: str, frames: int, seed: int
) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Scans of the rendered scenes: place, depth, truth and intrinsics of each."""
    sys.path.append(str(ROOT / 'demo'))  # the renderer is no part of the package
    try:
        from scenes import camera, render
        from scenes.jobs import parse_size
        from scenes.layout import SCENES, Scene
    except ImportError as e:
        raise InputError('rendered scenes', str(e), 'pip install embreex trimesh') from None
    k = camera.intrinsics(*parse_size(size))
    cam2img = np.array([[k.focal, 0, k.cx], [0, k.focal, k.cy], [0, 0, 1]])
    beams = beam_rays(beam_elevations(BEAMS), AZIMUTH_STEP, limit=60)
    beams /= beams[:, 2:]  # so that distances along them are depths
    for name in tqdm(SCENES, unit='scene'):
        scene = Scene(name, seed)
        static = render.Solid(scene.static)
        for number in range(frames):
            s = camera.camera_place(number, frames)
            pose = camera.camera_pose(scene, s)
            solids = [static, render.Solid(scene.dynamic(s))]
            seen = render.trace(solids, scene.kind, pose.center, camera.rays(k, pose)).depth
            truth = np.where(np.isfinite(seen), seen, 0).reshape(k.height, k.width)
            for place, offset in PLACES.items():
                origin = pose.center + offset @ pose.rotation
                hits = render.trace(solids, scene.kind, origin, beams @ pose.rotation)
                points = pose.to_camera(hits.point[np.isfinite(hits.depth)])
                points = points[points[:, 2] <= MAX_DEPTH]
                yield place, points_to_depth(points, cam2img, truth.shape), truth, cam2img


def scan_drive(root: str, drive: str) -> Iterator[tuple[str, np.ndarray, np.ndarray, np.ndarray]]:
    """Scans of a drive with stereo: its name, depth, that of stereo and intrinsics of each."""
    converter = KittiRawConverter(root, train=[drive], neighbors=0)
    for frame in tqdm(converter.list_frames()['train'], unit='frame'):
        frame = converter.inspect_frame(frame)
        calibration = converter.load_calibration(frame, converter.camera)
        stereo = converter.load_stereo(frame, calibration)
        if stereo is None:
            raise InputError(root, f'no second camera of {frame.name}', 'image_02 and image_03')
        cam2img = calibration.cam2img
        scans = converter.load_scans(frame, calibration.lidar2cam)
        depth = accumulate_scans(scans, cam2img, stereo.shape, converter.max_depth)
        yield 'by stereo', depth, stereo, cam2img


def shares(counts: np.ndarray) -> dict[str, float]:
    """What the table says of the ``COUNTS``."""
    told, wrong, wrong_hidden, right, right_hidden = counts.tolist()
    return dict(
        wrong=wrong / max(told, 1),
        removed=wrong_hidden / max(wrong, 1),
        lost=right_hidden / max(right, 1),
    )


@cli_main
def main(argv: list[str] | None = None) -> None:
    """Count, and print the table."""
    args = parse_args(argv)
    require_fraction(args.outlier, '--outlier')
    require_count(args.frames, '--frames')
    require_count(args.seed, '--seed', least=0)
    if (args.root is None) != (args.drive is None):
        raise InputError('DATA_ROOT, --drive', 'one of them', 'both, or none: rendered scenes')
    if args.out:
        check_writable(args.out, '--out')
    if args.root is None:
        scans = scan_scenes(args.size, args.frames, args.seed)
    else:
        scans = scan_drive(args.root, args.drive)
    total: dict[str, np.ndarray] = {}
    for place, depth, truth, cam2img in scans:
        found = count(depth, truth, cam2img, args.outlier)
        total[place] = total.get(place, 0) + found
    print(f'{"the LiDAR":24}{"with a truth":>14}{"wrong":>8}{"removed":>9}{"right lost":>12}')
    rows = []
    for place, counts in total.items():
        row = shares(counts)
        rows.append(
            dict(place=place, counts=dict(zip(COUNTS, counts.tolist(), strict=True)), **row)
        )
        print(
            f'{place:24}{counts[0]:14}{row["wrong"]:8.1%}{row["removed"]:9.0%}{row["lost"]:12.2%}'
        )
    if args.out:
        write_json(args.out, dict(settings=vars(args), rows=rows))


if __name__ == '__main__':
    main()
