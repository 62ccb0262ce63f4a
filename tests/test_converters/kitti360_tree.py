"""The small world of `raw_drive.py` in KITTI-360's layout."""

import functools

import cv2
import numpy as np
from raw_drive import CAM2IMG, HEIGHT, ROAD, STEP, VELO2CAM, WALL, WIDTH, box, cast, numbers, scan

SEQUENCE = '2013_05_28_drive_0000_sync'
BASELINE = 0.6
SKY, ROAD_ID, BUILDING, CAR = 23, 7, 11, 26
CAR_INSTANCE = 26012
SKY_ROWS = 22  # of them the scan reaches the lower ones


def rigid(axis, angle, shift):
    """A rotation (degrees about an axis) and a translation, (4, 4)."""
    matrix = np.eye(4)
    matrix[:3, :3] = cv2.Rodrigues(np.deg2rad(angle) * np.asarray(axis, float))[0]
    matrix[:3, 3] = shift
    return matrix


RECTIFY = rigid([0, 1, 0], 1.2, [0, 0, 0])  # the camera to its rectified frame
CAM_TO_VELO = np.linalg.inv(VELO2CAM) @ RECTIFY
CAM_TO_POSE = rigid([0.6, 0, 0.8], 100, [1.6, 0.4, -1.2])
WORLD = rigid([0, 0.6, 0.8], 70, [1200, 3700, 115])  # of the first frame


@functools.cache
def scan_bytes(frame, moving):
    """The file of a scan."""
    return scan(frame, moving).tobytes()


def camera_pose(frame):
    """The rectified camera to the world, (4, 4)."""
    return WORLD @ rigid([1, 0, 0], 0, [0, 0, STEP * frame])


@functools.cache
def seen(frame, camera=0, moving=False):
    """Points (H, W, 3) in the frame of the first camera, and the depth."""
    place = np.array([BASELINE * camera, 0, STEP * frame])
    v, u = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    rays = np.c_[u, v, np.ones(u.size)] @ np.linalg.inv(CAM2IMG).T
    points = cast(place, rays, frame, moving).reshape(HEIGHT, WIDTH, 3)
    return points, points[..., 2] - place[2]


def photo(points):
    """Noise that is fixed to the surfaces, uint8 (H, W, 3)."""
    cells = np.floor(points * 6 + 0.5).astype(np.int64) + 1000
    noise = (cells * [73856093, 19349663, 83492791]).sum(axis=-1) % 251
    return cv2.merge([noise.astype(np.uint8)] * 3)


def class_ids(points, frame, moving=False):
    """Class ids of what the pixels see."""
    _, y, z = np.moveaxis(points, -1, 0)
    low, high = box(frame, moving)
    inside = ((points > low - 1e-6) & (points < high + 1e-6)).all(axis=-1)
    ids = np.select([inside, np.abs(y - ROAD) < 1e-6, np.abs(z - WALL) < 1e-6], [CAR, 7, BUILDING])
    ids[:SKY_ROWS] = SKY
    return ids.astype(np.uint8)


def files(root, number, sequence=SEQUENCE):
    """Kind -> file of a frame."""
    name = f'{number:010d}'
    labels = root / 'data_2d_semantics/train' / sequence / 'image_00'
    images = root / 'data_2d_raw' / sequence
    return dict(
        image=images / f'image_00/data_rect/{name}.png',
        second=images / f'image_01/data_rect/{name}.png',
        semantic=labels / f'semantic/{name}.png',
        instance=labels / f'instance/{name}.png',
        scan=root / f'data_3d_raw/{sequence}/velodyne_points/data/{name}.bin',
    )


def write_poses(root, frames, name='cam0_to_world.txt', sequence=SEQUENCE):
    """Write one of the two files of poses; returns it."""
    path = root / 'data_poses' / sequence / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    for frame in frames:
        pose, rows = camera_pose(frame), 4
        if name == 'poses.txt':
            pose, rows = pose @ RECTIFY @ np.linalg.inv(CAM_TO_POSE), 3
        lines.append(f'{frame} {numbers(pose[:rows])}\n')
    path.write_text(''.join(lines))
    return path


def write_calibrations(root):
    folder = root / 'calibration'
    folder.mkdir(parents=True)
    lines = ['calib_time: Thu Oct 10 2013', 'corner_dist: 0.1']
    for camera, shift in enumerate((0, -BASELINE)):
        projection = np.c_[CAM2IMG, CAM2IMG @ [shift, 0, 0]]
        lines += [
            f'S_rect_0{camera}: {WIDTH} {HEIGHT}',
            f'R_rect_0{camera}: {numbers(RECTIFY[:3, :3])}',
            f'P_rect_0{camera}: {numbers(projection)}',
        ]
    (folder / 'perspective.txt').write_text('\n'.join(lines))
    (folder / 'calib_cam_to_velo.txt').write_text(numbers(CAM_TO_VELO[:3]))
    (folder / 'calib_cam_to_pose.txt').write_text(
        f'image_00: {numbers(CAM_TO_POSE[:3])}\nimage_01: {numbers(np.eye(4)[:3])}\n'
    )


def write_list(root, split, frames, sequence=SEQUENCE):
    path = root / f'data_2d_semantics/train/2013_05_28_drive_{split}_frames.txt'
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        f'data_2d_raw/{sequence}/image_00/data_rect/{n:010d}.png '
        f'data_2d_semantics/train/{sequence}/image_00/semantic/{n:010d}.png\n'
        for n in frames
    ]
    path.write_text(''.join(lines))
    return path


def make_tree(root, scans=5, labeled=(2,), moving=False, stereo=False):
    """Write the folder: so many scans and poses, labels of some frames; all in train."""
    write_calibrations(root)
    write_poses(root, range(scans))
    write_list(root, 'train', labeled)
    for number in range(scans):
        paths = files(root, number)
        paths['scan'].parent.mkdir(parents=True, exist_ok=True)
        paths['scan'].write_bytes(scan_bytes(number, moving))
    for number in labeled:
        paths = files(root, number)
        points, _ = seen(number, moving=moving)
        semantic = class_ids(points, number, moving)
        images = dict(
            image=photo(points),
            semantic=semantic,
            # the number 0 where there is no instance
            instance=np.where(semantic == CAR, CAR_INSTANCE, semantic.astype(int) * 1000).astype(
                np.uint16
            ),
        )
        if stereo:
            images['second'] = photo(seen(number, 1, moving)[0])
        for kind, pixels in images.items():
            paths[kind].parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(paths[kind]), pixels)
    return root
