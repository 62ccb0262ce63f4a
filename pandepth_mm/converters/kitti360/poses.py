"""Where KITTI-360's LiDAR was at each frame."""

from pathlib import Path

import numpy as np

from pandepth_mm.errors import InputError, require_file
from pandepth_mm.geometry.calibration import make_calibration

CAMERA_POSES = 'cam0_to_world.txt'  # the rectified left camera to the world, 4x4
CAM_TO_POSE, CAM_TO_VELO = 'calib_cam_to_pose.txt', 'calib_cam_to_velo.txt'


def read_lidar_poses(path: Path, calibration: Path, lidar2cam: np.ndarray) -> dict[int, np.ndarray]:
    """Poses of the LiDAR.

    Args:
        path: ``cam0_to_world.txt``, 16 numbers per frame, or ``poses.txt``, the poses of the
            inertial unit, 12 numbers.
        calibration: The folder of the calibrations.
        lidar2cam: LiDAR to the rectified left camera, (4, 4).

    Returns:
        Frame number -> LiDAR frame to the world, float64 (4, 4), meters. Where the car stands
        still, frames may have none.

    Raises:
        InputError: Missing, or rows that are no poses.
    """
    if path.name == CAMERA_POSES:
        to_lidar, numbers = np.asarray(lidar2cam), 16
    else:
        cam_to_velo = _matrix(_text(calibration / CAM_TO_VELO), calibration / CAM_TO_VELO)
        place = calibration / CAM_TO_POSE
        rows = (line.partition(':') for line in _text(place).splitlines())
        found = next((rest for name, _, rest in rows if name.strip() == 'image_00'), None)
        if found is None:
            raise InputError(
                place, 'no such line', 'a line "image_00: " with 12 numbers', 'image_00'
            )
        to_lidar, numbers = _matrix(found, place) @ np.linalg.inv(cam_to_velo), 12
    poses = {}
    for number, line in enumerate(_text(path).splitlines(), start=1):
        words = line.split()
        if words:
            try:
                frame, *values = int(words[0]), *map(float, words[1:])
            except ValueError:
                values = []
            if len(values) != numbers or not np.isfinite(values).all():
                raise InputError(
                    path, f'{line[:40]!r}', f'a frame and {numbers} numbers', f'line {number}'
                )
            pose = np.eye(4)
            pose[: numbers // 4] = np.reshape(values, (-1, 4))
            poses[frame] = pose @ to_lidar
    if not poses:
        raise InputError(path, 'no pose', f'lines of a frame and {numbers} numbers')
    return poses


def _text(path: Path) -> str:
    """Content of a text file."""
    require_file(path, 'a file of KITTI-360')
    return path.read_text(encoding='utf-8-sig', errors='replace')


def _matrix(text: str, path: Path) -> np.ndarray:
    """Twelve numbers as a rotation and a translation, float64 (4, 4)."""
    try:
        values = np.array([float(word) for word in text.split()])
    except ValueError as e:
        raise InputError(path, str(e), '12 numbers') from None
    if values.shape != (12,):
        raise InputError(path, f'{len(values)} numbers', '12 numbers')
    return make_calibration(np.eye(3), values.reshape(3, 4), str(path)).lidar2cam
