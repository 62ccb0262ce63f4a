"""How good the depth ground truth of a raw drive is: leave each frame's own scan out, and compare.

    python tools/analysis_tools/check_ground_truth.py DATA_ROOT --drive DRIVE[:FIRST-LAST]

For each frame the neighboring scans are accumulated without the frame's own one, filtered as the
converter kitti_raw does it, and compared with that scan, as far as the camera sees it (the filter
for hidden points takes the rest). What the own scan looked through cannot be removed here, since
that scan is the judge. An outlier is off by more than --outlier of the depth. What the filter for
hidden points does to single scans is measured by check_visibility.py.
"""

import argparse
from collections import defaultdict

import numpy as np
from tqdm import tqdm

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.converters.core.ground_truth import accumulate_scans, filter_depth
from pandepth_mm.converters.kitti_raw import KittiRawConverter
from pandepth_mm.converters.kitti_raw.converter import Frame
from pandepth_mm.errors import InputError, require_fraction
from pandepth_mm.geometry.visibility import beam_footprint, hidden_mask

RANGES = ((0, 10), (10, 20), (20, 40), (40, 80))  # meters


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('root', metavar='DATA_ROOT', help='as of the converter kitti_raw')
    add('--drive', required=True, metavar='DRIVE[:FIRST-LAST]', help='the frames')
    add('--camera', type=int, default=2, help='2 or 3 (%(default)s)')
    add('--neighbors', type=int, default=4, help='scans before and after (%(default)s)')
    add('--outlier', type=float, default=0.1, help='share of the depth (%(default)s)')
    return parser.parse_args(argv)


def check_frame(converter: KittiRawConverter, frame: Frame) -> dict[str, np.ndarray]:
    """Score one frame.

    Args:
        converter: Of the drive.
        frame: With scans beside its own.

    Returns:
        By the name of a map, relative errors and depths of the pixels that it shares with the scan,
        float (2, N).
    """
    calibration = converter.load_calibration(frame, converter.camera)
    cam2img, size = calibration.cam2img, (frame.height, frame.width)
    scans = converter.load_scans(frame, calibration.lidar2cam)
    own = scans.pop(frame.scans.index(0))
    scan, others = (accumulate_scans(s, cam2img, size, converter.max_depth) for s in ([own], scans))
    visible = np.where(hidden_mask(scan, beam_footprint(cam2img)), 0, scan)
    nothing = np.zeros_like(scan)
    stereo = converter.load_stereo(frame, calibration)
    maps = {'all scans': others, 'what is visible': filter_depth(others, nothing, cam2img)[0]}
    if stereo is not None:
        maps['and confirmed by stereo'] = filter_depth(
            others, nothing, cam2img, stereo, converter.stereo_tolerance
        )[0]
        maps['stereo alone'] = stereo
    errors = {}
    for name, depth in maps.items():
        both = (depth > 0) & (visible > 0)
        error = np.abs(depth - visible)[both] / visible[both]
        errors[name] = np.stack([error, visible[both]])
    return errors


def report(errors: dict[str, np.ndarray], outlier: float) -> str:
    """The table as text."""
    titles = [f'{a} to {b} m' for a, b in RANGES]
    lines = ['outliers: ' + ', '.join(['all', *titles]) + ', mean error m, pixels']
    for name, (error, depth) in errors.items():
        wrong = error > outlier
        shares = [wrong] + [wrong[(depth >= a) & (depth < b)] for a, b in RANGES]
        cells = [f'{part.mean():.2%}' if len(part) else '-' for part in shares]
        lines.append(
            f'{name:24} {" ".join(f"{cell:>7}" for cell in cells)} {(error * depth).mean():7.3f} '
            f'{len(error):9}'
        )
    return '\n'.join(lines)


@cli_main
def main(argv: list[str] | None = None) -> None:
    """Score all frames, and print the table."""
    args = parse_args(argv)
    require_fraction(args.outlier, '--outlier')
    converter = KittiRawConverter(
        args.root, train=[args.drive], camera=args.camera, neighbors=args.neighbors
    )
    frames = [frame for frame in converter.list_frames()['train'] if len(frame.scans) > 1]
    if not frames:
        raise InputError(args.drive, 'no frame with a neighboring scan', 'consecutive frames')
    errors = defaultdict(list)
    for frame in tqdm(frames, unit='frame'):
        for name, values in check_frame(converter, converter.inspect_frame(frame)).items():
            errors[name].append(values)
    print(report({k: np.concatenate(v, axis=1) for k, v in errors.items()}, args.outlier))


if __name__ == '__main__':
    main()
