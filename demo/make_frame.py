r"""Make ``demo/frame``: one rendered frame with a LiDAR and a calibration.

    python data_converters/synthesize_vkitti2.py data/demo_raw --frames 12 \
        --size 1242x375 --seed 0 --scenes Scene02 --variations clone
    python demo/make_frame.py data/demo_raw demo/frame

The scene is one that the demo's model never saw. The LiDAR has 64 beams from -22.5 to 22.5 degrees,
2045 directions per turn, and sees what the camera sees; its frame is x forward, y left, z up, its
origin 0.27 m behind and 0.08 m above the camera.
"""

import argparse
import shutil
from pathlib import Path

import numpy as np

from pandepth_mm.cli.shared import cli_main
from pandepth_mm.fileio import read_depth_png
from pandepth_mm.geometry.camera import back_project
from pandepth_mm.geometry.lidar import beam_elevations, scan_line_mask
from pandepth_mm.structures.vkitti2_meta import CX, CY, DEPTH_INVALID, DEPTH_SCALE, FOCAL

MAX_DEPTH = 80.0  # meters
LIDAR2CAM = np.array([[0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1.0]])


@cli_main
def main() -> None:
    """Write image.jpg, points.bin and calib.txt."""
    parser = argparse.ArgumentParser(description='Make the demo frame')
    parser.add_argument('raw', help='folder of synthesize_vkitti2.py')
    parser.add_argument('out', help='folder to write to')
    parser.add_argument('--frame', type=int, default=0)
    args = parser.parse_args()
    frames = Path(args.raw) / 'Scene02' / 'clone' / 'frames'
    out = Path(args.out)
    depth = read_depth_png(
        frames / 'depth' / 'Camera_0' / f'depth_{args.frame:05d}.png',
        DEPTH_SCALE,
        invalid=DEPTH_INVALID,
    )
    depth[depth > MAX_DEPTH] = 0
    cam2img = np.array([[FOCAL, 0, CX], [0, FOCAL, CY], [0, 0, 1]])
    seen = scan_line_mask(depth, cam2img, beam_elevations(64, (-22.5, 22.5)), azimuth_step=0.176)
    points = back_project(np.where(seen, depth, 0), cam2img)
    points = (points - LIDAR2CAM[:3, 3]) @ LIDAR2CAM[:3, :3]
    reflectance = np.zeros((len(points), 1))
    out.mkdir(parents=True, exist_ok=True)
    np.hstack([points, reflectance]).astype('<f4').tofile(out / 'points.bin')
    projection = np.hstack([cam2img, np.zeros((3, 1))])
    lines = dict(P2=projection, R0_rect=np.eye(3), Tr_velo_to_cam=LIDAR2CAM[:3])
    (out / 'calib.txt').write_text(
        ''.join(
            f'{name}: {" ".join(f"{x:.12e}" for x in matrix.ravel())}\n'
            for name, matrix in lines.items()
        )
    )
    shutil.copyfile(frames / 'rgb' / 'Camera_0' / f'rgb_{args.frame:05d}.jpg', out / 'image.jpg')
    print(f'{out}: {len(points)} points')


if __name__ == '__main__':
    main()
