"""Reading calibrations: the files of KITTI's data sets and their relatives, ROS, JSON."""

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pandepth_mm.errors import InputError, require_choice, require_file
from pandepth_mm.fileio import PathLike, is_path
from pandepth_mm.geometry.calibration import Calibration, make_calibration

CALIB_SUFFIXES = ('.json', '.txt', '.yaml', '.yml')
CAMERAS = (0, 1, 2, 3)
_MAX_BYTES = 1 << 20  # a calibration is a few lines
# two files that belong together: cameras, place of the LiDAR
_PAIRS = (
    ('calib_cam_to_cam.txt', 'calib_velo_to_cam.txt'),  # KITTI raw
    ('perspective.txt', 'calib_cam_to_velo.txt'),  # KITTI-360
)
_KEYS = ('cam2img', 'lidar2cam', 'image_size')
_KNOWN = (
    'P2, R0_rect, Tr_velo_to_cam (KITTI object, tracking); P2, Tr (odometry); P_rect_02, R_rect_00 '
    '(raw, KITTI-360), beside its calib_velo_to_cam.txt or calib_cam_to_velo.txt; nine numbers '
    "(depth completion); ROS's camera_info as .yaml; cam2img and lidar2cam as .json"
)


def read_calibration(path: PathLike | Sequence[PathLike], camera: int | None = None) -> Calibration:
    """Read a calibration, whatever of the known kinds it is.

    A LiDAR point X projects to ``P R X`` with P the projection of the camera and R the transform to
    its rectified frame. The camera frame of the result is that of the chosen camera: P's fourth
    column is folded into ``lidar2cam``.

    Args:
        path: A file, the folder of KITTI raw's or KITTI-360's two files, or those two. Text has
            lines ``NAME: numbers``: KITTI object and tracking (P0 to P3, R0_rect or R_rect,
            Tr_velo_to_cam or Tr_velo_cam), odometry (P0 to P3, Tr), raw (P_rect_00 to P_rect_03,
            R_rect_00; the file of the LiDAR lies beside it), KITTI-360 (the same), or nine numbers
            alone (depth completion). A line ``image_size: width height`` may be added. ``.yaml``:
            ROS's camera_info, of which the projection matrix counts. ``.json``: ``cam2img``,
            ``lidar2cam`` and ``image_size``, or a camera of Cityscapes.
        camera: Number of the camera, where the file has several: 0 to 3. By default the left color
            camera, 2 (KITTI-360: 0).

    Raises:
        InputError: Missing or unreadable file, none of these kinds, a camera that it does not have,
            or a wrong count of numbers.
    """
    if camera is not None:
        require_choice(camera, CAMERAS, 'camera')
    if not is_path(path):
        return _from_two(path, camera)
    if os.path.isdir(path):
        if not holds_pair(path):
            names = ' or '.join(' and '.join(pair) for pair in _PAIRS)
            raise InputError(path, 'a folder', f'a calibration file, or a folder with {names}')
        cameras = next(c for c, _ in _PAIRS if (Path(path) / c).is_file())
        return read_calibration(Path(path) / cameras, camera)
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
        beside = (Path(path).parent / lidar for _, lidar in _PAIRS)
        return _from_raw(rows, path, camera, next((p for p in beside if p.is_file()), None))
    if any(f'P{number}' in rows for number in CAMERAS):
        return _from_object(rows, path, 2 if camera is None else camera)
    if {'R', 'T'} <= set(rows):
        raise InputError(path, 'the place of the LiDAR alone', f'{_PAIRS[0][0]}, or both files')
    raise InputError(path, f'the lines {sorted(rows)}', f'a calibration: {_KNOWN}')


def read_transform(path: PathLike) -> np.ndarray:
    """Read a rotation and a translation, lines ``R: `` and ``T: ``, as KITTI raw has them.

    Args:
        path: Such as ``calib_imu_to_velo.txt`` and ``calib_velo_to_cam.txt``.

    Returns:
        float64 (4, 4), meters.

    Raises:
        InputError: Missing, without these lines, or not a rotation.
    """
    rows = _rows(_read_text(path))
    matrix = np.c_[_row(rows, path, 'R', (3, 3)), _row(rows, path, 'T', (3,))]
    return make_calibration(np.eye(3), matrix, str(path)).lidar2cam


def holds_pair(folder: PathLike) -> bool:
    """Whether a folder holds the one calibration of KITTI raw or KITTI-360."""
    return any((Path(folder) / cameras).is_file() for cameras, _ in _PAIRS)


def as_calibration(calib: Any, camera: int | None = None) -> Calibration:
    """Make a calibration of what a user has.

    Args:
        calib: What :func:`read_calibration` reads, a :class:`Calibration`, or matrices for
            :func:`pandepth_mm.geometry.calibration.make_calibration`: ``cam2img`` alone, or a dict
            of ``cam2img``, ``lidar2cam`` and ``image_size``.
        camera: For :func:`read_calibration`; matrices are of one camera.

    Raises:
        InputError: Other keys, and what those two refuse.
    """
    if is_path(calib) or (isinstance(calib, (list, tuple)) and all(map(is_path, calib))):
        return read_calibration(calib, camera)
    if isinstance(calib, Calibration):
        calib = calib._asdict()
    if isinstance(calib, Mapping):
        return _from_dict(calib, 'calib')
    return make_calibration(calib)


def _from_dict(matrices: Mapping[str, Any], source: PathLike) -> Calibration:
    """Matrices by name."""
    if 'cam2img' not in matrices or not set(matrices) <= set(_KEYS):
        raise InputError(
            source,
            f'the keys {sorted(map(str, matrices))}',
            'cam2img and, for points, lidar2cam (image_size if you like)',
        )
    return make_calibration(**matrices, source=str(source))


def _from_two(paths: Sequence[PathLike], camera: int | None) -> Calibration:
    """The two files of KITTI raw or KITTI-360, in either order."""
    if len(paths) == 2:
        for cameras, lidar in (paths, paths[::-1]):
            rows = _rows(_read_text(cameras))
            if any(name.startswith('P_rect_') for name in rows):
                return _from_raw(rows, cameras, camera, Path(lidar))
    names = ' or '.join(' and '.join(pair) for pair in _PAIRS)
    raise InputError('calib', ' and '.join(map(str, paths)) or 'no file', f'one file, or {names}')


def _from_object(rows: dict[str, list[str]], path: PathLike, camera: int) -> Calibration:
    """KITTI object, tracking or odometry."""
    projection = _row(rows, path, f'P{camera}', (3, 4))
    size = _size(rows, path, 'image_size')
    if 'Tr' in rows:  # odometry: to the rectified frame at once
        velo2cam, rectify = 'Tr', None
    else:
        velo2cam = 'Tr_velo_cam' if 'Tr_velo_cam' in rows else 'Tr_velo_to_cam'
        rectify = 'R_rect' if 'R_rect' in rows else 'R0_rect'
        if velo2cam not in rows and rectify not in rows:
            return make_calibration(projection, None, str(path), size)
    lidar2cam = np.eye(4)
    lidar2cam[:3] = _row(rows, path, velo2cam, (3, 4))
    if rectify:
        lidar2cam[:3] = _row(rows, path, rectify, (3, 3)) @ lidar2cam[:3]
    return make_calibration(projection, lidar2cam, str(path), size)


def _from_raw(
    rows: dict[str, list[str]], path: PathLike, camera: int | None, lidar: Path | None
) -> Calibration:
    """KITTI raw or KITTI-360, with the file of the LiDAR where there is one."""
    if camera is None:
        camera = 2 if 'P_rect_02' in rows else 0
    projection = _row(rows, path, f'P_rect_{camera:02d}', (3, 4))
    size = _size(rows, path, f'S_rect_{camera:02d}')
    if lidar is None:
        return make_calibration(projection, None, str(path), size)
    text = _read_text(lidar)
    if _rows(text):
        lidar2cam = read_transform(lidar)
    else:  # KITTI-360: camera to LiDAR
        cam2lidar = make_calibration(np.eye(3), _numbers(text.split(), lidar, '', (3, 4)), lidar)
        lidar2cam = np.linalg.inv(cam2lidar.lidar2cam)
    rectify = np.eye(4)
    rectify[:3, :3] = _row(rows, path, 'R_rect_00', (3, 3))
    return make_calibration(projection, rectify @ lidar2cam, str(path), size)


def _from_bare_numbers(text: str, path: PathLike) -> Calibration:
    """KITTI depth completion: nine numbers, the intrinsics."""
    words = text.split()
    if len(words) == 12 and all(map(_is_number, words)):
        raise InputError(
            path,
            '12 numbers without a name',
            f'nine, the intrinsics; or of KITTI-360 {_PAIRS[1][0]}, which lies beside it',
        )
    if len(words) != 9:
        raise InputError(path, f'{len(words)} words without a name', f'a calibration: {_KNOWN}')
    return make_calibration(_numbers(words, path, '', (3, 3)), source=str(path))


def _from_ros(text: str, path: PathLike) -> Calibration:
    """camera_info of ROS: the projection of the rectified image."""
    import yaml  # only here: the rest does with numpy

    try:
        data = next(yaml.safe_load_all(text), None)  # rostopic echo ends with ---
    except (yaml.YAMLError, ValueError, RecursionError) as e:
        raise InputError(path, f'broken YAML ({e})', 'a camera_info of ROS') from None
    if not isinstance(data, dict):
        raise InputError(path, f'a YAML {type(data).__name__}', 'a camera_info of ROS')
    matrix = next((data[k] for k in ('projection_matrix', 'P', 'p') if k in data), None)
    if isinstance(matrix, dict):
        matrix = matrix.get('data')
    if not isinstance(matrix, list):
        raise InputError(
            path, f'the keys {sorted(map(str, data))}', 'projection_matrix, 12 numbers (or P)'
        )
    size = [data.get(f'image_{name}', data.get(name)) for name in ('width', 'height')]
    projection = _numbers(matrix, path, 'projection_matrix', (3, 4))
    return make_calibration(projection, None, str(path), None if size == [None, None] else size)


def _from_json(text: str, path: PathLike) -> Calibration:
    """Matrices in JSON."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as e:
        raise InputError(path, f'broken JSON ({e})', 'cam2img and lidar2cam, matrices') from None
    if not isinstance(data, dict):
        raise InputError(path, f'a JSON {type(data).__name__}', 'an object with cam2img')
    if isinstance(data.get('intrinsic'), dict):  # Cityscapes
        lens = data['intrinsic']
        words = [lens.get('fx'), 0, lens.get('u0'), 0, lens.get('fy'), lens.get('v0'), 0, 0, 1]
        return make_calibration(_numbers(words, path, 'intrinsic', (3, 3)), source=str(path))
    return _from_dict(data, path)


def _read_text(path: PathLike) -> str:
    """Text of a small file, without the byte order mark that some editors write."""
    require_file(path, 'a calibration')
    if os.path.getsize(path) > _MAX_BYTES:
        raise InputError(path, f'{os.path.getsize(path)} bytes', 'a calibration of some lines')
    content = Path(path).read_bytes()
    # Notepad's "Unicode" is UTF-16, with a mark
    encoding = 'utf-16' if content[:2] in (b'\xff\xfe', b'\xfe\xff') else 'utf-8-sig'
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = '\0'
    if '\0' in text:
        raise InputError(path, 'a binary file', 'a calibration')
    return text


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


def _size(rows: dict[str, list[str]], path: PathLike, name: str) -> tuple[int, int] | None:
    """(width, height) of a line, or of ``image_size``, where there is one."""
    name = name if name in rows else 'image_size'
    if name not in rows:
        return None
    width, height = _row(rows, path, name, (2,))
    if not (math.isfinite(width + height) and width.is_integer() and height.is_integer()):
        raise InputError(path, f'{width:g} {height:g}', 'width and height in pixels', name)
    return int(width), int(height)


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
