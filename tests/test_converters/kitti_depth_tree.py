"""KITTI depth completion's layout, for the tests of its converter."""

import cv2
import numpy as np
from raw_drive import write_calibrations

SIZE = (128, 400)
TRAIN, VAL = '2011_09_26_drive_0001_sync', '2011_09_28_drive_0002_sync'
CROPPED = 'depth_selection/val_selection_cropped'
TEST = 'depth_selection/test_depth_completion_anonymous'
KINDS = ('image', 'velodyne_raw', 'groundtruth_depth')


def image(path, size=SIZE):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((*size, 3), 90, np.uint8))


def depth(path, share, size=SIZE):
    """The first rows are measured, 10 m away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = np.zeros(size, np.uint16)
    raw[: int(share * size[0])] = 2560
    cv2.imwrite(str(path), raw)


def make_tree(root, raw):
    """Two drives, three frames each, and both selections."""
    for split, drive in (('train', TRAIN), ('val', VAL)):
        for number in (5, 6, 7):
            for camera in (2, 3):
                place = f'image_0{camera}/{number:010d}.png'
                depth(root / split / drive / 'proj_depth/velodyne_raw' / place, 1 / 16)
                depth(root / split / drive / 'proj_depth/groundtruth' / place, 1 / 4)
                place = f'image_0{camera}/data/{number:010d}'
                image(raw / drive[:10] / drive / f'{place}{".jpg" if number == 6 else ".png"}')
        write_calibrations(raw / drive[:10])
    for camera, number in ((2, 8), (3, 8), (2, 23)):
        names = [f'{TRAIN}_{k}_{number:010d}_image_0{camera}' for k in KINDS]
        image(root / CROPPED / 'image' / f'{names[0]}.png', (96, 320))
        depth(root / CROPPED / 'velodyne_raw' / f'{names[1]}.png', 1 / 16, (96, 320))
        depth(root / CROPPED / 'groundtruth_depth' / f'{names[2]}.png', 1 / 4, (96, 320))
        intrinsics(root / CROPPED / 'intrinsics' / f'{names[0]}.txt')
    for number in range(2):
        image(root / TEST / 'image' / f'{number:010d}.png', (96, 320))
        depth(root / TEST / 'velodyne_raw' / f'{number:010d}.png', 1 / 16, (96, 320))
        intrinsics(root / TEST / 'intrinsics' / f'{number:010d}.txt')


def intrinsics(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('300 0 160 0 300 40 0 0 1')
