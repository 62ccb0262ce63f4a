"""A small world, and raw drives in KITTI's layout that look at it.

A road, a wall across it at its end, and a box. Colors are noise that is fixed to the surfaces, so
that stereo matching finds them.
"""

import cv2
import numpy as np

from pandepth_mm.geometry.poses import EARTH_RADIUS

HEIGHT, WIDTH, FOCAL = 128, 400, 400.0
CAM2IMG = np.array([[FOCAL, 0, 199.5], [0, FOCAL, 30.0], [0, 0, 1]])
SHIFTS = {2: 0.06, 3: -0.48}  # what P adds to x: the cameras are 0.54 m apart
VELO2CAM = np.array([[0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27], [0, 0, 0, 1.0]])
IMU2VELO = np.array([[1, 0, 0, -0.81], [0, 1, 0, 0.32], [0, 0, 1, -0.8], [0, 0, 0, 1.0]])
DAY, DRIVE = '2011_09_26', '2011_09_26_drive_0009_sync'
STEP = 1.0  # meters a frame
ROAD, WALL = 1.65, 30.0  # below the camera; in front of the first one
LATITUDE = 49.0


def box(frame, moving):
    """Corners of the box, in the first camera's frame; it may move to the right."""
    left = -2.5 + (0.8 * frame if moving else 0)
    return np.array([left, 0.2, 11.0]), np.array([left + 1.6, ROAD, 13.0])


def cast(origin, rays, frame, moving=False):
    """Points where rays (N, 3) from a place meet the world; NaN where they do not."""
    low, high = box(frame, moving)
    with np.errstate(divide='ignore', invalid='ignore'):
        road = np.where(rays[:, 1] > 0, (ROAD - origin[1]) / rays[:, 1], np.inf)
        wall = np.where(rays[:, 2] > 0, (WALL - origin[2]) / rays[:, 2], np.inf)
        a, b = (low - origin) / rays, (high - origin) / rays
    enter, leave = np.minimum(a, b).max(axis=1), np.maximum(a, b).min(axis=1)
    hit = np.where((enter > 0) & (enter < leave), enter, np.inf)
    distance = np.minimum(np.minimum(road, wall), hit)
    points = origin + np.where(np.isfinite(distance), distance, np.nan)[:, None] * rays
    points[points[:, 1] < -4] = np.nan  # the wall ends there
    return points


def camera_points(frame, camera, moving=False):
    """Points (N, 3) that the pixels of a camera see, and its place."""
    place = np.array([-SHIFTS[camera], 0, STEP * frame])
    v, u = np.mgrid[:HEIGHT, :WIDTH].reshape(2, -1)
    rays = np.c_[u, v, np.ones(u.size)] @ np.linalg.inv(CAM2IMG).T
    return cast(place, rays, frame, moving), place


def true_depth(frame, camera=2, moving=False):
    """Depth of each pixel; 0 = sky."""
    points, place = camera_points(frame, camera, moving)
    return np.nan_to_num(points[:, 2] - place[2]).reshape(HEIGHT, WIDTH)


def photo(frame, camera, moving=False):
    """What a camera sees, uint8 (H, W, 3)."""
    points, _ = camera_points(frame, camera, moving)
    sky = np.isnan(points[:, 0])
    cells = np.floor(np.nan_to_num(points) * 6 + 0.5).astype(np.int64) + 1000
    noise = (cells * [73856093, 19349663, 83492791]).sum(axis=1) % 251
    gray = np.where(sky, 250, noise).astype(np.uint8).reshape(HEIGHT, WIDTH)
    return cv2.merge([gray] * 3)


def scan(frame, moving=False):
    """What a LiDAR measures, float32 (N, 4), its own frame."""
    elevation = np.deg2rad(np.linspace(-24.8, 2, 64))[:, None]
    azimuth = np.deg2rad(np.arange(-40, 40, 0.18))
    rays = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth),
            np.cos(elevation) * np.sin(azimuth),
            np.sin(elevation),
        ),
        axis=-1,
    ).reshape(-1, 3)
    # its frame to that of the camera 0, which stands at the origin in the first frame
    place = VELO2CAM[:3, 3] + [0, 0, STEP * frame]
    points = cast(place, rays @ VELO2CAM[:3, :3].T, frame, moving)
    points = points[~np.isnan(points).any(axis=1)]
    points = (points - place) @ VELO2CAM[:3, :3]
    return np.c_[points, np.full(len(points), 0.3)].astype('<f4')


def numbers(values):
    return ' '.join(f'{value:.12g}' for value in np.ravel(values))


def write_calibrations(folder):
    folder.mkdir(parents=True, exist_ok=True)
    lines = ['calib_time: 09-Jan-2012 13:57:47', f'R_rect_00: {numbers(np.eye(3))}']
    for camera, shift in SHIFTS.items():
        projection = np.c_[CAM2IMG, CAM2IMG @ [shift, 0, 0]]
        lines += [f'S_rect_0{camera}: {WIDTH} {HEIGHT}', f'P_rect_0{camera}: {numbers(projection)}']
    (folder / 'calib_cam_to_cam.txt').write_text('\n'.join(lines))
    for name, matrix in (('velo_to_cam', VELO2CAM), ('imu_to_velo', IMU2VELO)):
        text = f'R: {numbers(matrix[:3, :3])}\nT: {numbers(matrix[:3, 3])}\n'
        (folder / f'calib_{name}.txt').write_text(text)


def write_drive(root, frames=5, moving=False, drive=DRIVE, suffix='.png'):
    """Write a drive of DAY; returns its folder."""
    write_calibrations(root / DAY)
    folder = root / DAY / drive
    for kind in ('image_02', 'image_03', 'velodyne_points', 'oxts'):
        (folder / kind / 'data').mkdir(parents=True, exist_ok=True)
    scale = np.cos(np.deg2rad(LATITUDE)) * EARTH_RADIUS
    for frame in range(frames):
        for camera in (2, 3):
            path = folder / f'image_0{camera}' / 'data' / f'{frame:010d}{suffix}'
            cv2.imwrite(str(path), photo(frame, camera, moving))
        scan(frame, moving).tofile(folder / 'velodyne_points' / 'data' / f'{frame:010d}.bin')
        # it drives east, so that the unit's x axis is the world's
        record = [LATITUDE, 8 + np.rad2deg(STEP * frame / scale), 110, 0, 0, 0, *range(24)]
        (folder / 'oxts' / 'data' / f'{frame:010d}.txt').write_text(
            ' '.join(f'{x:.14g}' for x in record)
        )
    return folder
