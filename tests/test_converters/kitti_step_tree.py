"""The small world of `raw_drive.py` in the layout of KITTI's tracking set and KITTI-STEP."""

import functools

import cv2
import numpy as np
import raw_drive
from raw_drive import CAM2IMG, IMU2VELO, LATITUDE, SHIFTS, STEP, VELO2CAM, WALL, numbers

from pandepth_mm.geometry.poses import EARTH_RADIUS

SEQUENCE = '0002'
ROAD, BUILDING, SKY, CAR, VOID = 0, 2, 10, 13, 255  # train ids
TRACK = 2 * 256 + 7
SKY_ROWS = 22  # of them the scan reaches the lower ones
scan_bytes = functools.cache(lambda frame: raw_drive.scan(frame).tobytes())
photo = functools.cache(raw_drive.photo)


def train_ids(frame):
    """What the left color camera sees, with a corner of void."""
    points, _ = raw_drive.camera_points(frame, 2)
    points = points.reshape(raw_drive.HEIGHT, raw_drive.WIDTH, 3)
    low, high = raw_drive.box(frame, False)
    inside = ((points > low - 1e-6) & (points < high + 1e-6)).all(axis=-1)
    ids = np.where(inside, CAR, np.where(np.abs(points[..., 2] - WALL) < 1e-6, BUILDING, ROAD))
    ids[:SKY_ROWS] = SKY
    ids[-5:, -5:] = VOID
    return ids


def panoptic(frame, track=TRACK):
    """The panoptic map, RGB."""
    ids = train_ids(frame)
    instance = np.where(ids == CAR, track, 0)
    return np.stack([ids, instance // 256, instance % 256], axis=-1).astype(np.uint8)


def files(root, number, split='train'):
    """Kind -> file of a frame."""
    name = f'{SEQUENCE}/{number:06d}'
    return dict(
        panoptic=root / f'panoptic_maps/{split}/{name}.png',
        image=root / f'training/image_02/{name}.png',
        second=root / f'training/image_03/{name}.png',
        scan=root / f'training/velodyne/{name}.bin',
        calibration=root / f'training/calib/{SEQUENCE}.txt',
        oxts=root / f'training/oxts/{SEQUENCE}.txt',
    )


def save(path, rgb):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def make_tree(root, frames=5, labeled=(2,), split='train', oxts=True, stereo=False):
    """Write the folder: so many images and scans, panoptic maps of some."""
    scale = np.cos(np.deg2rad(LATITUDE)) * EARTH_RADIUS
    records = [
        [LATITUDE, 8 + np.rad2deg(STEP * frame / scale), 110, 0, 0, 0, *range(24)]
        for frame in range(frames)
    ]
    lines = [
        *(f'P{n}: {numbers(np.c_[CAM2IMG, CAM2IMG @ [SHIFTS.get(n, 0), 0, 0]])}' for n in range(4)),
        f'R_rect {numbers(np.eye(3))}',
        f'Tr_velo_cam {numbers(VELO2CAM[:3])}',
        f'Tr_imu_velo {numbers(IMU2VELO[:3])}',
    ]
    texts = dict(calibration='\n'.join(lines))
    if oxts:
        texts['oxts'] = '\n'.join(' '.join(f'{x:.14g}' for x in record) for record in records)
    for kind, text in texts.items():
        path = files(root, 0)[kind]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for number in range(frames):
        paths = files(root, number, split)
        paths['scan'].parent.mkdir(parents=True, exist_ok=True)
        paths['scan'].write_bytes(scan_bytes(number))
        if number in labeled:
            save(paths['image'], photo(number, 2))
            save(paths['panoptic'], panoptic(number))
            if stereo:
                save(paths['second'], photo(number, 3))
    return root
