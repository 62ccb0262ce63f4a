"""Reading calibrations: the files of KITTI's data sets and their relatives, ROS, JSON."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike
from pandepth_mm.geometry.calibration import Calibration, make_calibration

_MAX_BYTES = 1 << 20  # a calibration is a few lines
# folders and lists hold these together: cameras, LiDAR
PAIRS = (
    ('calib_cam_to_cam.txt', 'calib_velo_to_cam.txt'),  # KITTI raw
    ('perspective.txt', 'calib_cam_to_velo.txt'),  # KITTI-360
)
_KNOWN = (
    'P2, R0_rect, Tr_velo_to_cam (KITTI object, tracking); P2, Tr (odometry); P_rect_02, R_rect_00 '
    '(raw, KITTI-360), beside its calib_velo_to_cam.txt or calib_cam_to_velo.txt; nine numbers '
    "(depth completion); ROS's camera_info YAML; JSON with cam2img and lidar2cam"
)


def read_calibration(path: PathLike, camera: int | None = None) -> Calibration:
    """Read a calibration, whatever of the known kinds it is.

    A LiDAR point X projects to ``P R X`` with P the projection of the camera and R the transform
    to its rectified frame. The camera frame of the result is that of the chosen camera: P's fourth
    column is folded into ``lidar2cam``.

    Args:
        path: A file, or the folder of KITTI raw's or KITTI-360's two files. Text has lines
            ``NAME: numbers``: KITTI object and tracking (P0 to P3, R0_rect or R_rect,
            Tr_velo_to_cam or Tr_velo_cam), odometry (P0 to P3, Tr), raw (P_rect_00 to P_rect_03,
            R_rect_00; the file of the LiDAR lies beside it), KITTI-360 (the same), or nine numbers
            alone (depth completion). ``.yaml``: ROS's camera_info. ``.json``: ``cam2img`` and
            ``lidar2cam``, matrices.
        camera: Number of the camera, where the file has several: 0 to 3. By default the left color
            camera, 2 (KITTI-360: 0).

    Raises:
        InputError: Missing or unreadable file, none of these kinds, a camera that it does not
            have, or a wrong count of numbers.
    """
    if camera is not None and camera not in (0, 1, 2, 3):
        raise InputError('camera', repr(camera), '0, 1, 2 or 3')
    if os.path.isdir(path):
        for cameras, _ in PAIRS:
            if (Path(path) / cameras).is_file():
                return read_calibration(Path(path) / cameras, camera)
        raise InputError(
            path, 'a folder', 'a calibration file, or a folder with ' + ' or '.join(map(' and '.join, PAIRS))
        )
    text = _read_text(path)
    suffix = Path(path).suffix.lower()
    if suffix == '.json':
        return _from_json(text, path)
    if suffix in ('.yaml', '.yml'):
        return _from_ros(text, path)
    rows = _rows(text)
    if not rows:
        return _from_bare_numbers(text, path)
    if any(name.startswith('P_rect_') for name in rows):
        return _from_raw(rows, path, camera)
    if any(name in rows for name in ('P0', 'P1', 'P2', 'P3')):
        return _from_object(rows, path, 2 if camera is None else camera)
    raise InputError(path, f'the lines {sorted(rows)}', f'a calibration: {_KNOWN}')


def _from_object(rows: dict[str, list[str]], path: PathLike, camera: int) -> Calibration:
    """KITTI object, tracking or odometry."""
    projection = _row(rows, path, f'P{camera}', (3, 4))
    if 'Tr' in rows:  # odometry: to the rectified frame at once
        velo2cam, rectify = 'Tr', None
    else:
        velo2cam = 'Tr_velo_cam' if 'Tr_velo_cam' in rows else 'Tr_velo_to_cam'
        rectify = 'R_rect' if 'R_rect' in rows else 'R0_rect'
        if velo2cam not in rows and rectify not in rows:
            return make_calibration(projection, source=str(path))
    lidar2cam = np.eye(4)
    lidar2cam[:3] = _row(rows, path, velo2cam, (3, 4))
    if rectify:
        lidar2cam[:3] = _row(rows, path, rectify, (3, 3)) @ lidar2cam[:3]
    return make_calibration(projection, lidar2cam, str(path))


def _from_raw(rows: dict[str, list[str]], path: PathLike, camera: int | None) -> Calibration:
    """KITTI raw or KITTI-360, with the file of the LiDAR where it lies beside this one."""
    if camera is None:
        camera = 2 if 'P_rect_02' in rows else 0
    projection = _row(rows, path, f'P_rect_{camera:02d}', (3, 4))
    size = None
    if f'S_rect_{camera:02d}' in rows:
        size = tuple(_row(rows, path, f'S_rect_{camera:02d}', (2,)).round().astype(int).tolist())
    rectify = np.eye(4)
    rectify[:3, :3] = _row(rows, path, 'R_rect_00', (3, 3))
    velo_to_cam, cam_to_velo = (Path(path).parent / pair[1] for pair in PAIRS)
    lidar2cam = None
    if velo_to_cam.is_file():
        rows = _rows(_read_text(velo_to_cam))
        lidar2cam = np.eye(4)
        lidar2cam[:3, :3] = _row(rows, velo_to_cam, 'R', (3, 3))
        lidar2cam[:3, 3] = _row(rows, velo_to_cam, 'T', (3,))
    elif cam_to_velo.is_file():
        back = np.eye(4)
        back[:3] = _numbers(_read_text(cam_to_velo).split(), cam_to_velo, '', (3, 4))
        lidar2cam = np.linalg.inv(back)
    if lidar2cam is not None:
        lidar2cam = rectify @ lidar2cam
    return make_calibration(projection, lidar2cam, str(path), size)


def _from_bare_numbers(text: str, path: PathLike) -> Calibration:
    """KITTI depth completion: nine numbers, the intrinsics."""
    words = text.split()
    if len(words) == 12 and Path(path).name == PAIRS[1][1]:
        raise InputError(
            path, 'the place of the LiDAR alone', f'{PAIRS[1][0]}, which lies beside it'
        )
    if len(words) != 9:
        raise InputError(path, f'{len(words)} words without a name', f'a calibration: {_KNOWN}')
    return make_calibration(_numbers(words, path, '', (3, 3)), source=str(path))


def _from_ros(text: str, path: PathLike) -> Calibration:
    """camera_info of ROS: the projection of the rectified image."""
    import yaml  # only here: the rest does with numpy

    try:
        data = yaml.safe_load(text)
    except yaml.YAMLError as e:
        raise InputError(path, f'broken YAML ({e})', 'a camera_info of ROS') from None
    if not isinstance(data, dict):
        raise InputError(path, f'a YAML {type(data).__name__}', 'a camera_info of ROS')
    matrix = data.get('projection_matrix', data.get('P', data.get('p')))
    if isinstance(matrix, dict):
        matrix = matrix.get('data')
    if not isinstance(matrix, list):
        raise InputError(
            path, f'the keys {sorted(map(str, data))}', 'projection_matrix', 'camera_info'
        )
    size = [data.get(f'image_{name}', data.get(name)) for name in ('width', 'height')]
    projection = _numbers(matrix, path, 'projection_matrix', (3, 4))
    return make_calibration(projection, None, str(path), None if None in size else tuple(size))


def _from_json(text: str, path: PathLike) -> Calibration:
    """Matrices in JSON."""
    try:
        data = json.loads(text)
    except json.JSONDecodeError as e:
        raise InputError(path, f'broken JSON ({e})', 'cam2img and lidar2cam, matrices') from None
    keys = {'cam2img', 'lidar2cam', 'image_size'}
    if not isinstance(data, dict) or 'cam2img' not in data or set(data) - keys:
        found = f'the keys {sorted(data)}' if isinstance(data, dict) else type(data).__name__
        raise InputError(path, found, 'cam2img and, for points, lidar2cam (image_size if you like)')
    size = data.get('image_size')
    return make_calibration(
        data['cam2img'], data.get('lidar2cam'), str(path), None if size is None else tuple(size)
    )


def _read_text(path: PathLike) -> str:
    """Text of a small file, without the byte order mark that some editors write."""
    if not os.path.isfile(path):
        raise InputError(path, 'no such file', 'a calibration')
    if os.path.getsize(path) > _MAX_BYTES:
        raise InputError(path, f'{os.path.getsize(path)} bytes', 'a calibration of some lines')
    try:
        return Path(path).read_text(encoding='utf-8-sig')
    except UnicodeDecodeError:
        raise InputError(path, 'a binary file', 'a calibration') from None


def _rows(text: str) -> dict[str, list[str]]:
    """The lines ``NAME: words``, also without the colon (tracking), as lists of words by name."""
    rows = {}
    for line in text.splitlines():
        words = line.replace(':', ' ', 1).split()
        if words and (':' in line or len(words) in (10, 13)) and not _is_number(words[0]):
            rows[words[0]] = words[1:]
    return rows


def _is_number(word: str) -> bool:
    """Whether a word is a number."""
    try:
        float(word)
    except ValueError:
        return False
    return True


def _row(rows: dict[str, list[str]], path: PathLike, name: str, shape: tuple) -> np.ndarray:
    """One line as an array, float64."""
    if name not in rows:
        raise InputError(
            path,
            f'the lines {sorted(rows)}',
            f'a line "{name}: " with {math.prod(shape)} numbers, as in KITTI',
            name,
        )
    return _numbers(rows[name], path, name, shape)


def _numbers(words: list[Any], path: PathLike, name: str, shape: tuple) -> np.ndarray:
    """Words as an array of a shape, float64."""
    expected = f'{math.prod(shape)} numbers'
    try:
        values = np.array([float(word) for word in words])
    except (TypeError, ValueError) as e:
        raise InputError(path, str(e), expected, name) from None
    if len(values) != math.prod(shape):
        raise InputError(path, f'{len(values)} numbers', expected, name)
    return values.reshape(shape)
