"""The files of KITTI's data sets and their relatives, ROS and JSON: all give the same matrices."""

import json

import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.calibration import Calibration
from pandepth_mm.geometry.calibration_files import as_calibration, read_calibration

K = np.array([[700.0, 0, 300], [0, 710, 100], [0, 0, 1]])
# the camera stands 5 cm from the LiDAR's rectified frame
P = np.c_[K, K @ [0.05, 0.01, 0.002]]
ANGLE = 0.02
RECTIFY = np.array(
    [[np.cos(ANGLE), -np.sin(ANGLE), 0], [np.sin(ANGLE), np.cos(ANGLE), 0], [0, 0, 1]]
)
# x forward, y left, z up to x right, y down, z forward
AXES = np.array([[0, -1, 0, 0.1], [0, 0, -1, -0.2], [1, 0, 0, 0.3], [0, 0, 0, 1.0]])
TO_RECTIFIED = np.eye(4)
TO_RECTIFIED[:3] = RECTIFY @ AXES[:3]
LIDAR2CAM = TO_RECTIFIED.copy()
LIDAR2CAM[:3, 3] += [0.05, 0.01, 0.002]
SIZE = (610, 200)


def line(name, numbers, colon=':'):
    return f'{name}{colon} ' + ' '.join(map(repr, np.ravel(numbers).tolist())) + '\n'


OTHER = P * 0.5 + np.eye(3, 4)  # what another camera has; never right
OBJECT = (
    ''.join(line(f'P{i}', P if i == 2 else OTHER) for i in range(4))
    + line('R0_rect', RECTIFY)
    + line('Tr_velo_to_cam', AXES[:3])
    + line('Tr_imu_to_velo', AXES[:3])
    + '\n'
)
RAW = 'calib_time: 09-Jan-2012 13:57:47\ncorner_dist: 9.950000e-02\n' + ''.join(
    line(f'S_{i:02d}', [1392, 512])
    + line(f'R_rect_{i:02d}', RECTIFY if i == 0 else np.eye(3))
    + line(f'S_rect_{i:02d}', [1.0 * x for x in SIZE])
    + line(f'P_rect_{i:02d}', P if i == 2 else OTHER)
    for i in range(4)
)
RAW_LIDAR = (
    'calib_time: 15-Mar-2012 11:37:16\n'
    + line('R', AXES[:3, :3])
    + line('T', AXES[:3, 3])
    + 'delta_f: 0.0 0.0\n'
)
KITTI360 = 'calib_time: 01-Jan-2020 00:00:00\n' + ''.join(
    line(f'S_rect_{i:02d}', SIZE)
    + line(f'R_rect_{i:02d}', RECTIFY)
    + line(f'P_rect_{i:02d}', OTHER if i else P)
    for i in range(2)
)
KITTI360_LIDAR = ' '.join(map(repr, np.linalg.inv(AXES)[:3].ravel().tolist()))
ROS = f"""\
image_width: {SIZE[0]}
image_height: {SIZE[1]}
camera_name: front
camera_matrix: {{rows: 3, cols: 3, data: {(2 * K).ravel().tolist()}}}
distortion_coefficients: {{rows: 1, cols: 5, data: [-0.3, 0.1, 0, 0, 0]}}
projection_matrix:
  rows: 3
  cols: 4
  data: {P.ravel().tolist()}
"""
ROS_ECHO = f"""\
header: {{seq: 0, frame_id: camera}}
height: {SIZE[1]}
width: {SIZE[0]}
D: [0.0, 0.0]
K: {K.ravel().tolist()}
P: {P.ravel().tolist()}
---
"""
JSON = json.dumps(dict(cam2img=P.tolist(), lidar2cam=TO_RECTIFIED.tolist(), image_size=SIZE))
CITYSCAPES = json.dumps(
    dict(
        intrinsic=dict(fx=K[0][0], fy=K[1][1], u0=K[0][2], v0=K[1][2]),
        extrinsic=dict(baseline=0.2, x=1.7),
    )
)

# name: files, the one to read, has the LiDAR, has the size
KINDS = {
    'object': ({'000000.txt': OBJECT}, '000000.txt', True, None),
    'object of a camera alone': ({'c.txt': OBJECT.split('R0_rect')[0]}, 'c.txt', False, None),
    'object with a size': (
        {'c.txt': OBJECT + f'image_size: {SIZE[0]} {SIZE[1]}\n'},
        'c.txt',
        True,
        SIZE,
    ),
    'tracking': (
        {
            '0000.txt': OBJECT.split('R0_rect')[0]
            + line('R_rect', RECTIFY, '')
            + line('Tr_velo_cam', AXES[:3], '')
            + line('Tr_imu_velo', AXES[:3], '')
        },
        '0000.txt',
        True,
        None,
    ),
    'odometry': (
        {'calib.txt': OBJECT.split('R0_rect')[0] + line('Tr', TO_RECTIFIED[:3])},
        'calib.txt',
        True,
        None,
    ),
    'raw': (
        {'calib_cam_to_cam.txt': RAW, 'calib_velo_to_cam.txt': RAW_LIDAR},
        'calib_cam_to_cam.txt',
        True,
        SIZE,
    ),
    'folder of raw': (
        {'calib_cam_to_cam.txt': RAW, 'calib_velo_to_cam.txt': RAW_LIDAR},
        '.',
        True,
        SIZE,
    ),
    'raw of a camera alone': ({'calib_cam_to_cam.txt': RAW}, '.', False, SIZE),
    'KITTI-360': (
        {'perspective.txt': KITTI360, 'calib_cam_to_velo.txt': KITTI360_LIDAR},
        'perspective.txt',
        True,
        SIZE,
    ),
    'folder of KITTI-360': (
        {'perspective.txt': KITTI360, 'calib_cam_to_velo.txt': KITTI360_LIDAR},
        '.',
        True,
        SIZE,
    ),
    'ROS': ({'camera_info.yaml': ROS}, 'camera_info.yaml', False, SIZE),
    'ROS, echoed': ({'camera_info.yml': ROS_ECHO}, 'camera_info.yml', False, SIZE),
    'ROS 2, echoed': (
        {'c.YAML': ROS_ECHO.replace('P:', 'p:').replace('K:', 'k:')},
        'c.YAML',
        False,
        SIZE,
    ),
    'JSON': ({'c.json': JSON}, 'c.json', True, SIZE),
    'Cityscapes': ({'c.json': CITYSCAPES}, 'c.json', False, None),
    'Windows': ({'c.txt': '\ufeff' + OBJECT.replace('\n', '\r\n')}, 'c.txt', True, None),
    'JSON of Windows': ({'c.json': '\ufeff' + JSON}, 'c.json', True, SIZE),
}


def write(folder, files):
    for name, text in files.items():
        (folder / name).write_text(text, encoding='utf-8', newline='')


@pytest.mark.parametrize('kind', KINDS)
def test_kinds(kind, tmp_path):
    files, name, has_lidar, size = KINDS[kind]
    write(tmp_path, files)
    found = read_calibration(tmp_path / name)
    np.testing.assert_allclose(found.cam2img, K, atol=1e-9)
    assert found.image_size == size
    if has_lidar:
        np.testing.assert_allclose(found.lidar2cam, LIDAR2CAM, atol=1e-9)
    else:
        assert found.lidar2cam is None
    # a calibration that is read already stays as it is
    assert as_calibration(found).image_size == size
    np.testing.assert_array_equal(as_calibration(found).cam2img, found.cam2img)


def test_nine_numbers(tmp_path):
    text = ' '.join(map(repr, K.ravel().tolist()))
    write(tmp_path, {'a.txt': text + '\n', 'b.txt': text.replace('0.0 710', '\n0.0 710')})
    for name in ('a.txt', 'b.txt'):
        found = read_calibration(tmp_path / name)
        assert found.cam2img.tolist() == K.tolist() and found.lidar2cam is None
    (tmp_path / 'c.txt').write_text(text, encoding='utf-16')
    assert read_calibration(tmp_path / 'c.txt').cam2img.tolist() == K.tolist()


@pytest.mark.parametrize('kind', ['raw', 'KITTI-360'])
def test_two_files_of_any_name_in_any_order(kind, tmp_path):
    cameras, lidar = KINDS[kind][0].values()
    (tmp_path / 'other').mkdir()
    write(tmp_path, {'cameras.txt': cameras, 'other/lidar.txt': lidar})
    pair = [tmp_path / 'cameras.txt', str(tmp_path / 'other/lidar.txt')]
    for calib in (pair, tuple(pair[::-1])):
        np.testing.assert_allclose(as_calibration(calib).lidar2cam, LIDAR2CAM, atol=1e-9)
    with pytest.raises(InputError, match='calib: found .* expected one file, or calib_cam_to_cam'):
        as_calibration([pair[1], pair[1]])
    with pytest.raises(InputError, match='calib: found no file'):
        as_calibration([])


@pytest.mark.parametrize('kind', ['object', 'tracking', 'odometry', 'raw', 'KITTI-360'])
def test_other_cameras(kind, tmp_path):
    files, name, _, _ = KINDS[kind]
    shifted = np.c_[K, K @ [-0.5, 0, 0]]  # half a meter to the right
    third = 'P_rect_01' if kind == 'KITTI-360' else 'P_rect_03' if kind == 'raw' else 'P3'
    camera = int(third[-1])
    start, mark, rest = files[name].partition(f'{third}:')
    files = {**files, name: start + line(third, shifted) + rest.split('\n', 1)[1]}
    assert mark
    write(tmp_path, files)
    found = read_calibration(tmp_path / name, camera)
    np.testing.assert_allclose(found.cam2img, K, atol=1e-9)
    np.testing.assert_allclose(
        found.lidar2cam, TO_RECTIFIED + np.outer(np.eye(4)[0], [0, 0, 0, -0.5]), atol=1e-9
    )


def test_matrices():
    for calib in (
        K,
        K.tolist(),
        Calibration(K),
        dict(cam2img=K),
        dict(cam2img=K, lidar2cam=None, image_size=None),
    ):
        assert as_calibration(calib).cam2img.tolist() == K.tolist()
    assert as_calibration(dict(cam2img=K, image_size=[7, 8])).image_size == (7, 8)
    with pytest.raises(InputError, match=r"calib: found the keys \['cam2img', 'velo2cam'\]"):
        as_calibration(dict(cam2img=K, velo2cam=AXES))


# what replaces a part of a good file, and the message
BAD = [
    ('object', 'P2', 'P9', r"P2: found the lines \['P0', 'P1', 'P3', 'P9'"),
    ('object', ' 0.3\n', '\n', 'Tr_velo_to_cam: found 11 numbers; expected 12 numbers'),
    ('object', 'P2: 700', 'P2: x', "P2: found could not convert string to float: 'x"),
    ('object', 'P2: 700.0', 'P2: nan', 'cam2img: found numbers that are not finite'),
    ('object', 'R0_rect:', 'R0:', r'R0_rect: found the lines .*"R0_rect: " with 9 numbers'),
    ('object', 'R0_rect: 0.9', 'R0_rect: 3.9', 'lidar2cam: found .* a rotation'),
    ('object', 'P', 'Q', r'found the lines .* expected a calibration: P2, R0_rect'),
    ('object with a size', 'image_size: 610', 'image_size: 6.5', 'image_size: found 6.5 200'),
    ('object with a size', 'image_size: 610', 'image_size: 0', 'image_size: found 0'),
    ('tracking', 'R_rect', 'R_rct', 'R0_rect: found the lines'),
    ('odometry', 'Tr: ', 'Tr: 1 ', 'Tr: found 13 numbers'),
    ('raw', 'P_rect_02', 'P_rect_2', 'P_rect_02: found the lines'),
    ('raw', 'R_rect_00', 'R_rect_0', 'R_rect_00: found the lines'),
    ('ROS', 'projection_matrix', 'projection', r"found the keys \['camera_matrix'"),
    ('ROS', ':', '', 'found a YAML str'),
    ('ROS', 'rows: 3\n', 'rows: [\n', 'found broken YAML'),
    ('ROS', 'data: [700.0', 'data: [x', "projection_matrix: found could not convert .*'x'"),
    ('ROS', 'image_width: 610', 'image_width: 0', 'image_size: found 0'),
    ('ROS', 'image_width: 610', 'image: 610', 'image_size: found None'),
    ('JSON', '{', '', 'found broken JSON'),
    ('JSON', 'cam2img', 'K', r"found the keys \['K', 'image_size', 'lidar2cam'\]; expected cam2i"),
    ('JSON', '[[', '[', 'found .*JSON|cam2img: found'),
]


@pytest.mark.parametrize('kind, old, new, message', BAD)
def test_bad_files(kind, old, new, message, tmp_path):
    files, name, _, _ = KINDS[kind]
    assert old in files[name]
    write(tmp_path, {**files, name: files[name].replace(old, new)})
    with pytest.raises(InputError, match=message) as error:
        read_calibration(tmp_path / name, 2)
    assert name in str(error.value)


@pytest.mark.parametrize(
    'name, content, message',
    [
        ('a.txt', b'', 'found 0 words without a name; expected a calibration: P2, R0_rect'),
        ('a.txt', b'\x80\x81\x82', 'found a binary file'),
        ('a.txt', bytes(9), 'found a binary file'),
        ('a.txt', b'\xff\xfe\x00', 'found a binary file'),
        ('a.txt', bytes(2 << 20), 'found 2097152 bytes'),
        ('a.txt', b'1 2 3 4 5 6 7 8 x', "found could not convert string to float: 'x'"),
        ('a.txt', KITTI360_LIDAR.encode(), 'found 12 numbers without a name.*perspective.txt'),
        ('a.txt', RAW_LIDAR.encode(), 'found the place of the LiDAR alone.*calib_cam_to_cam'),
        ('a.json', b'[1]', 'found a JSON list; expected an object with cam2img'),
        ('a.json', b'{"intrinsic": {"fx": 1}}', 'a.json: intrinsic: .*expected 9 numbers'),
        ('a.yaml', b'', 'found a YAML NoneType'),
        (
            'a.yaml',
            b'!!python/object/apply:os.mkdir [x]',
            'found broken YAML .could not determine a constructor',
        ),
    ],
)
def test_files_that_are_no_calibration(name, content, message, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_calibration(tmp_path / name)


def test_no_file_and_no_camera(tmp_path):
    with pytest.raises(InputError, match='found no such file'):
        read_calibration(tmp_path / 'calib.txt')
    with pytest.raises(InputError, match='found a folder; expected .*calib_cam_to_cam.txt'):
        read_calibration(tmp_path)
    with pytest.raises(InputError, match=r'camera: found 4; expected one of \[0, 1, 2, 3\]'):
        read_calibration(tmp_path, 4)
