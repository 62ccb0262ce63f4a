"""Files that people have: the right values, or one line that says what is wrong.

Good ones are read by what the inferencer reads with; bad ones go through the inferencer and through
tools/infer.py, which has no model yet when it refuses them.
"""

import json
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from test_apis.conftest import FRAME

from pandepth_mm.apis.inputs import check_sources, load_frame
from pandepth_mm.apis.sources import list_frames
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import write_depth_png
from pandepth_mm.geometry.calibration import make_calibration
from pandepth_mm.geometry.camera import points_to_depth, transform_points

WIDTH, HEIGHT = 416, 128
K = np.array([[242.8, 0, 207.5], [0, 247.4, 63.5], [0, 0, 1]])
P2 = np.c_[K, K @ [0.06, 0, 0.0027]]
P3 = np.c_[K, K @ [-0.48, 0, 0.0027]]
VELO2CAM = np.array([[0, -1, 0, 0], [0, 0, -1, -0.08], [1, 0, 0, -0.27]])
POINTS = np.fromfile(FRAME / 'points.bin', '<f4').reshape(-1, 4)[::5]
PIXELS = cv2.resize(cv2.imread(str(FRAME / 'image.jpg')), (WIDTH, HEIGHT))


def line(name, numbers):
    return f'{name}: ' + ' '.join(map(repr, np.ravel(numbers).tolist())) + '\n'


TEXT = (
    line('P2', P2) + line('P3', P3) + line('R0_rect', np.eye(3)) + line('Tr_velo_to_cam', VELO2CAM)
)
ROS = (
    f'image_width: {WIDTH}\nimage_height: {HEIGHT}\n'
    f'projection_matrix: {{rows: 3, cols: 4, data: {np.c_[K, np.zeros(3)].ravel().tolist()}}}\n'
)


def measured(projection=P2):
    """What must come out, from the matrices alone."""
    calibration = make_calibration(projection, VELO2CAM)
    points = transform_points(POINTS[:, :3], calibration.lidar2cam)
    return points_to_depth(points, calibration.cam2img, (HEIGHT, WIDTH))


@pytest.fixture
def kit(tmp_path):
    """image.png, points.bin, object.txt and depth.png of one frame, in the working folder."""
    cv2.imwrite(str(tmp_path / 'image.png'), PIXELS)
    POINTS.tofile(tmp_path / 'points.bin')
    (tmp_path / 'object.txt').write_text(TEXT)
    write_depth_png(tmp_path / 'depth.png', measured())
    return tmp_path


def put(path, content):
    """Write a file, its folders too; its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    elif isinstance(content, bytes):
        path.write_bytes(content)
    elif path.suffix == '.npy':
        np.save(path, content)
    elif isinstance(content, Image.Image):
        content.save(path)
    else:
        assert cv2.imwrite(str(path), content)
    return path


def cut(path, part):
    """Cut a file off."""
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    return path


def read(**call):
    """The frames of a call, after the look into all files."""
    sources, _ = list_frames(
        call.pop('inputs'),
        *(call.pop(k, None) for k in ('sparse_depth', 'points', 'calib')),
        **call,
    )
    assert check_sources(sources) == {}
    return [load_frame(source, 256, 80) for source in sources]


# ---- images

PIL = Image.fromarray(PIXELS[..., ::-1])
GRAY = np.repeat(cv2.cvtColor(PIXELS, cv2.COLOR_BGR2GRAY)[..., None], 3, 2)
ON_ITS_SIDE = Image.Exif()
ON_ITS_SIDE[0x0112] = 6

# name, how to write it, what must come out, how near in the mean
IMAGES = {
    'image.PNG': (lambda p: PIL.save(p, 'png'), PIXELS, 0),
    'alpha.png': (lambda p: PIL.convert('RGBA').save(p), PIXELS, 0),
    'gray.png': (lambda p: PIL.convert('L').save(p), GRAY, 1),
    'gray_alpha.png': (lambda p: PIL.convert('LA').save(p), GRAY, 1),
    'palette.png': (lambda p: PIL.quantize(256).save(p), PIXELS, 8),
    'bits.png': (
        lambda p: PIL.convert('1', dither=0).save(p),
        (GRAY > 127).astype(np.uint8) * 255,
        3,
    ),
    'image.jpg': (lambda p: PIL.save(p, quality=98), PIXELS, 3),
    'cmyk.jpg': (lambda p: PIL.convert('CMYK').save(p, quality=98), PIXELS, 3),
    'followed.jpg': (
        lambda p: put(p, put(p, PIXELS).read_bytes() + b'the video of a phone' * 9999),
        PIXELS,
        5,
    ),
    'side.jpg': (
        lambda p: PIL.rotate(90, expand=True).save(p, quality=98, exif=ON_ITS_SIDE),
        PIXELS,
        3,
    ),
    'phone.jpg': (
        lambda p: PIL.rotate(90, expand=True).save(
            p, 'MPO', quality=98, exif=ON_ITS_SIDE, save_all=True, append_images=[PIL]
        ),
        PIXELS,
        3,
    ),
    'image.webp': (lambda p: PIL.save(p, lossless=True), PIXELS, 0),
    'image.tiff': (lambda p: put(p, PIXELS), PIXELS, 0),
    'image.bmp': (lambda p: put(p, PIXELS), PIXELS, 0),
    'image.ppm': (lambda p: put(p, PIXELS), PIXELS, 0),
}


@pytest.mark.parametrize('name', IMAGES)
def test_images(name, kit):
    write, expected, tolerance = IMAGES[name]
    write(kit / name)
    # that the depth map has the image's size is checked by the header alone, too
    (frame,) = read(inputs=kit / name, sparse_depth=kit / 'depth.png')
    assert frame.image.dtype == np.uint8 and frame.image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(frame.image.astype(int) - expected).mean() <= tolerance


# ---- calibrations and points: the same measured pixels

# name, arguments (a function of the folder), projection that must come out
SAME = {
    'object': (lambda t: {}, P2),
    'text of Windows': (
        lambda t: dict(calib=put(t / 'c.txt', b'\xef\xbb\xbf' + TEXT.encode())),
        P2,
    ),
    'odometry': (lambda t: dict(calib=put(t / 'c.txt', line('P2', P2) + line('Tr', VELO2CAM))), P2),
    'two files': (lambda t: dict(calib=raw(t / 'raw')), P2),
    'two files, the first named': (lambda t: dict(calib=raw(t / 'raw')[0]), P2),
    'two files in a folder': (lambda t: dict(calib=raw(t / 'raw')[0].parent), P2),
    'two files, the right camera': (lambda t: dict(calib=raw(t / 'raw'), camera=3), P3),
    'JSON': (
        lambda t: dict(
            calib=put(
                t / 'c.json', json.dumps(dict(cam2img=P2.tolist(), lidar2cam=VELO2CAM.tolist()))
            )
        ),
        P2,
    ),
    'camera 3': (lambda t: dict(camera=3), P3),
    'image_3': (lambda t: dict(inputs=put(t / 'image_3/0.png', PIXELS)), P3),
    'image_03': (lambda t: dict(inputs=put(t / 'image_03/0.png', PIXELS)), P3),
    'image_03 of raw': (lambda t: dict(inputs=put(t / 'image_03/data/0.png', PIXELS)), P3),
    'image_2': (lambda t: dict(inputs=put(t / 'image_2/0.png', PIXELS)), P2),
    'image_3, but camera 2': (
        lambda t: dict(inputs=put(t / 'image_3/0.png', PIXELS), camera=2),
        P2,
    ),
    'image_31 is no camera': (lambda t: dict(inputs=put(t / 'image_31/0.png', PIXELS)), P2),
    'x, y, z': (lambda t: dict(points=bin_file(t / 'p.bin', POINTS[:, :3])), P2),
    'float64': (lambda t: dict(points=bin_file(t / 'p.bin', POINTS.astype('<f8'))), P2),
    'five columns': (lambda t: dict(points=bin_file(t / 'p.bin', WIDE)), P2),
    'five columns by name': (lambda t: dict(points=bin_file(t / 'p.pcd.bin', WIDE)), P2),
    'seven columns stated': (
        lambda t: dict(points=bin_file(t / 'p.bin', np.c_[WIDE, WIDE[:, :2]]), point_dims=7),
        P2,
    ),
    'array': (lambda t: dict(points=WIDE), P2),
    'points that are lacking': (
        lambda t: dict(points=np.r_[POINTS, np.full((9, 4), np.nan, np.float32)]),
        P2,
    ),
}
WIDE = np.c_[POINTS[:, :3], POINTS[:, 3:] * 255, np.arange(len(POINTS)) % 32].astype('<f4')


def bin_file(path, table):
    table.tofile(path)
    return path


def raw(folder):
    """The two files of KITTI raw."""
    cameras = (
        'calib_time: 09-Jan-2012 13:57:47\n'
        + line('R_rect_00', np.eye(3))
        + line('S_rect_02', [416.0, 128.0])
        + line('P_rect_02', P2)
        + line('S_rect_03', [416.0, 128.0])
        + line('P_rect_03', P3)
    )
    lidar = line('R', VELO2CAM[:, :3]) + line('T', VELO2CAM[:, 3])
    return [
        put(folder / 'calib_cam_to_cam.txt', cameras),
        put(folder / 'calib_velo_to_cam.txt', lidar),
    ]


@pytest.mark.parametrize('name', SAME)
def test_the_same_measured_pixels(name, kit):
    arguments, projection = SAME[name]
    call = dict(inputs=kit / 'image.png', points=kit / 'points.bin', calib=kit / 'object.txt')
    (frame,) = read(**{**call, **arguments(kit)})
    expected = measured(projection)
    assert (expected > 0).sum() > 1000
    np.testing.assert_allclose(frame.sparse_depth, expected, atol=1e-4)
    np.testing.assert_allclose(frame.cam2img, K, atol=1e-9)
    other = measured(P3 if projection is P2 else P2)
    assert ((frame.sparse_depth > 0) == (other > 0)).mean() < 0.97


@pytest.mark.parametrize(
    'name, text', [('nine.txt', ' '.join(map(str, K.ravel()))), ('info.yaml', ROS)]
)
def test_calibrations_without_a_lidar(name, text, kit):
    calib = put(kit / name, text)
    (frame,) = read(inputs=kit / 'image.png', sparse_depth=kit / 'depth.png', calib=calib)
    assert frame.calibrated and frame.cam2img.tolist() == K.tolist()
    assert np.array_equal(frame.sparse_depth > 0, measured() > 0)


@pytest.mark.parametrize(
    'cx, cy, size, fits',
    [
        (207.5, 63.5, None, True),
        (207.5, 3, None, True),  # the lower part of an image
        (207.5, 120, None, True),
        (130, 63.5, None, True),
        (103.5, 31.5, None, False),  # of images of half the size
        (415, 127, None, False),  # of double the size
        (207.5, 128, None, False),
        (207.5, -1, None, False),
        (103.5, 31.5, (WIDTH, HEIGHT), True),  # the user says that it is one of this size
        (207.5, 63.5, (WIDTH, HEIGHT + 1), False),
        (207.5, 63.5, (HEIGHT, WIDTH), False),
    ],
)
def test_calibrations_that_can_belong_to_the_image(cx, cy, size, fits, kit):
    calib = dict(cam2img=[[242.8, 0, cx], [0, 247.4, cy], [0, 0, 1]], image_size=size)
    sources, _ = list_frames(kit / 'image.png', kit / 'depth.png', None, calib)
    assert (check_sources(sources) == {}) == fits
    if fits:
        assert load_frame(sources[0], 256, 80).cam2img[0, 2] == cx
    else:
        with pytest.raises(InputError, match='calib: (cam2img|image_size): found '):
            load_frame(sources[0], 256, 80)


# ---- one line

DEPTH = np.zeros((HEIGHT, WIDTH), np.uint16)
DEPTH[60::7, ::5] = 2560
METRES = DEPTH.astype(np.float32) / 256

# name, arguments (a function of the folder), message
BAD = {
    'image of 16 bits': (
        lambda t: dict(inputs=put(t / 'a.png', PIXELS.astype(np.uint16) * 200)),
        'a.png: found an image of more than 8 bits a channel; expected 8 bits',
    ),
    'gray image of 16 bits': (lambda t: dict(inputs=put(t / 'a.png', DEPTH)), 'more than 8 bits'),
    'TIFF of 16 bits': (
        lambda t: dict(inputs=put(t / 'a.tiff', PIXELS.astype(np.uint16) * 200)),
        'more than 8 bits',
    ),
    'TIFF of floats': (
        lambda t: dict(inputs=put(t / 'a.tif', Image.fromarray(METRES))),
        'more than 8 bits',
    ),
    'PPM of 16 bits': (
        lambda t: dict(inputs=put(t / 'a.ppm', PIXELS.astype(np.uint16) * 200)),
        'more than 8 bits',
    ),
    'JPEG that is cut off': (
        lambda t: dict(inputs=cut(put(t / 'a.jpg', PIXELS), 0.6)),
        'a.jpg: found a JPEG that breaks off; expected a complete image',
    ),
    'JPEG without its header': (
        lambda t: dict(inputs=cut(put(t / 'a.jpg', PIXELS), 0.001)),
        'a.jpg: found a file that cannot be decoded',
    ),
    'PNG that is cut off': (
        lambda t: dict(inputs=cut(put(t / 'a.png', PIXELS), 0.6)),
        'a.png: found a PNG that breaks off',
    ),
    'webp that is cut off': (
        lambda t: dict(inputs=cut(put(t / 'a.webp', PIXELS), 0.6)),
        'a.webp: found a file that cannot be decoded',
    ),
    'TIFF that is cut off': (
        lambda t: dict(inputs=cut(put(t / 'a.tiff', PIXELS), 0.3)),
        'a.tiff: found a file that cannot be decoded',
    ),
    'BMP that is cut off': (
        lambda t: dict(inputs=cut(put(t / 'a.bmp', PIXELS), 0.3)),
        'a.bmp: found a file that cannot be decoded',
    ),
    'link to nothing': (
        lambda t: dict(inputs=link(t / 'a.png')),
        'a.png: found no such file; expected the image of a',
    ),
    'folder with the name of an image': (
        lambda t: dict(inputs=put(t / 'a/x.png/y.txt', '').parents[1]),
        'x.png: found a folder; expected the image of x',
    ),
    'depth of 8 bits': (
        lambda t: dict(sparse_depth=put(t / 'd.png', DEPTH.astype(np.uint8))),
        r'd.png: found 1 channel\(s\) of uint8; expected 1 channel of uint16',
    ),
    'depth in colors': (
        lambda t: dict(sparse_depth=put(t / 'd.png', PIXELS)),
        r'd.png: found 3 channel\(s\) of uint8',
    ),
    'depth of another size': (
        lambda t: dict(sparse_depth=put(t / 'd.png', DEPTH[:100])),
        r'd.png: found size \(h, w\) = \(100, 416\); expected \(128, 416\), the size of the im',
    ),
    'depth that is cut off': (
        lambda t: dict(sparse_depth=cut(put(t / 'd.png', DEPTH), 0.7)),
        'd.png: found a file that cannot be decoded; expected a 16-bit depth PNG',
    ),
    'depth that is a JPEG': (
        lambda t: dict(sparse_depth=put(t / 'd.png', put(t / 'a.jpg', PIXELS).read_bytes())),
        'd.png: found a file that cannot be decoded',
    ),
    'depth in a TIFF': (
        lambda t: dict(sparse_depth=put(t / 'd.tiff', DEPTH)),
        r"d.tiff: found suffix '.tiff'; expected .png .16 bits. or .npy",
    ),
    'depth of whole numbers': (
        lambda t: dict(sparse_depth=put(t / 'd.npy', DEPTH)),
        'd.npy: found uint16; expected float meters',
    ),
    'depth of objects': (
        lambda t: dict(sparse_depth=put(t / 'd.npy', METRES.astype(object))),
        'd.npy: found a file that cannot be read .*; expected an array of numbers',
    ),
    'depth of three axes': (
        lambda t: dict(sparse_depth=put(t / 'd.npy', METRES[..., None])),
        r'd.npy: found size \(h, w\) = \(128, 416, 1\)',
    ),
    'depth that is negative': (
        lambda t: dict(sparse_depth=put(t / 'd.npy', -METRES)),
        'd.npy: found negative or not finite values; expected meters',
    ),
    'depth that is NaN': (
        lambda t: dict(sparse_depth=put(t / 'd.npy', np.full_like(METRES, np.nan))),
        'd.npy: found negative or not finite values',
    ),
    'depth in an archive': (
        lambda t: dict(sparse_depth=archive(t / 'd.npy')),
        'd.npy: found a file that cannot be read .several arrays',
    ),
    'depth in millimeters': (
        lambda t: dict(sparse_depth=put(t / 'd.npy', METRES * 1000)),
        'd.npy: units per meter: depth_scale: found depths of 1e.04 m in the median',
    ),
    'points in millimeters': (
        lambda t: dict(points=bin_file(t / 'p.bin', POINTS * np.float32(1000))),
        'p.bin: x, y, z: found depths of .* m in the median',
    ),
    'no point': (lambda t: dict(points=put(t / 'p.bin', b'')), 'p.bin: found no point; expected'),
    'points that are cut off': (
        lambda t: dict(points=cut(bin_file(t / 'p.bin', POINTS), 0.50001)),
        'p.bin: found .* bytes that look like 4 columns of float32, 16 bytes a point, and a rest',
    ),
    'points of another width than stated': (
        lambda t: dict(points=bin_file(t / 'p.bin', POINTS[:1001]), point_dims=5),
        'p.bin: found .* bytes that look like 5 columns .*, and a rest; expected .*--point-dims',
    ),
    'points that are a text': (
        lambda t: dict(points=put(t / 'p.bin', '1.0 2.0 3.0 0.5\n' * 300)),
        'p.bin: found 4800 bytes that are no meters',
    ),
    'points of another program': (
        lambda t: dict(points=put(t / 'p.las', 'LASF')),
        "p.las: found suffix '.las'; expected .bin or .npy or .pcd or .ply",
    ),
    'PCD that is cut off': (
        lambda t: dict(points=put(t / 'p.pcd', PCD + POINTS[:-1].tobytes())),
        'p.pcd: found .* bytes after the header; expected .* points of 16 bytes',
    ),
    'calibration of half the size': (
        lambda t: dict(inputs=put(t / 'a.png', cv2.resize(PIXELS, None, fx=2, fy=2))),
        r'object.txt: cam2img: found the principal point .207.5, 63.5., far from the middle of an '
        'image of 832x256 pixels; .* say so by image_size: 832 256',
    ),
    'calibration of double the size': (
        lambda t: dict(inputs=put(t / 'a.png', cv2.resize(PIXELS, None, fx=0.5, fy=0.5))),
        'far from the middle of an image of 208x64 pixels',
    ),
    'size in KITTI raw': (
        lambda t: dict(inputs=put(t / 'a.png', PIXELS[8:, :-4]), calib=raw(t / 'raw')[0]),
        'calib_cam_to_cam.txt: image_size: found a calibration of images of 416x128 pixels; '
        'expected one of 412x120',
    ),
    'size in camera_info': (
        lambda t: dict(
            inputs=put(t / 'a.png', PIXELS[8:]), points=None, calib=put(t / 'c.yaml', ROS)
        ),
        'c.yaml: image_size: found a calibration of images of 416x128',
    ),
    'camera_info with points': (
        lambda t: dict(calib=put(t / 'c.yaml', ROS)),
        'c.yaml: lidar2cam: found no place of the LiDAR; expected .*lidar2cam .matrices, .json',
    ),
    'half of KITTI raw': (
        lambda t: dict(calib=shutil.copy(raw(t / 'raw')[0], t)),
        'calib_cam_to_cam.txt: lidar2cam: found no place of the LiDAR; .*the second file',
    ),
    'camera that is not there': (lambda t: dict(camera=1), 'object.txt: P1: found the lines'),
    'camera by the folder that is not there': (
        lambda t: dict(inputs=put(t / 'image_1/a.png', PIXELS)),
        'object.txt: P1: found the lines',
    ),
    'calibration of something else': (
        lambda t: dict(calib=put(t / 'c.txt', 'fx: 7\nfy: 8\n')),
        r"c.txt: found the lines \['fx', 'fy'\]; expected a calibration: P2, R0_rect",
    ),
    'calibration that is an image': (
        lambda t: dict(calib=t / 'image.png'),
        'image.png: found a binary file; expected a calibration',
    ),
    'no calibration in the folder': (
        lambda t: dict(calib=put(t / 'c/readme.md', '').parent),
        'c: found no such file in the folder; expected files ending in .json',
    ),
}
PCD = (
    'VERSION 0.7\nFIELDS x y z intensity\nSIZE 4 4 4 4\nTYPE F F F F\nCOUNT 1 1 1 1\n'
    f'WIDTH {len(POINTS)}\nHEIGHT 1\nPOINTS {len(POINTS)}\nDATA binary\n'
).encode()


def link(path):
    path.symlink_to(path.parent / 'nothing.png')
    return path


def archive(path):
    np.savez(path.with_suffix('.npz'), METRES, METRES)
    return path.with_suffix('.npz').rename(path)


@pytest.mark.parametrize('name', BAD)
def test_one_line(name, inferencer, kit, run_tool):
    arguments, message = BAD[name]
    call = arguments(kit)
    if 'sparse_depth' not in call:
        call = dict(dict(points=kit / 'points.bin', calib=kit / 'object.txt'), **call)
    call = dict(dict(inputs=kit / 'image.png'), **call)
    with pytest.raises(InputError) as error:
        inferencer(**call)
    assert re.search(message, str(error.value)), str(error.value)
    args = [call.pop('inputs')]
    for key, value in call.items():
        args += [] if value is None else [f'--{key.replace("_", "-")}', value]
    code, _, err = run_tool('infer', *args, '--out', kit / 'out', '--save', 'depth')
    lines = [text for text in err.splitlines() if text.startswith('error: ')]
    assert code == 2 and len(lines) == 1 and 'Traceback' not in err, err
    assert re.search(message, lines[0]) and lines[0][7:] == ' '.join(str(error.value).split())


# ---- folders


@pytest.fixture
def drive(kit):
    """Folders of four frames: 1, 2, 9 and 10."""
    for number in (1, 2, 9, 10):
        put(kit / f'images/{number}.png', PIXELS)
        put(kit / f'points/{number}.bin', (kit / 'points.bin').read_bytes())
        put(kit / f'depth/{number}.png', (kit / 'depth.png').read_bytes())
        put(kit / f'calib/{number}.txt', TEXT)
    return kit


def test_natural_order(drive):
    folders = dict(points=drive / 'points', calib=drive / 'calib')
    sources, single = list_frames(drive / 'images', None, **folders)
    assert not single and [source.name for source in sources] == ['1', '2', '9', '10']
    for source in sources:
        for field in ('image', 'points', 'calib'):
            assert Path(getattr(source, field)).stem == source.name


def test_one_pair_of_files_for_a_folder(drive):
    calib = raw(drive / 'raw')[0].parent
    frames = read(inputs=drive / 'images', points=drive / 'points', calib=calib)
    for frame in frames:
        np.testing.assert_allclose(frame.sparse_depth, measured(), atol=1e-4)


def test_names_of_val_selection_cropped(kit):
    """As KITTI's depth completion has them; and its test set, where all are named alike."""
    nine = ' '.join(map(str, K.ravel()))
    for number in (5, 13):
        stem = f'2011_09_26_drive_0002_sync_{{}}_{number:010d}_image_02'
        put(kit / f'val/image/{stem.format("image")}.png', PIXELS)
        depth = np.where(DEPTH > 0, DEPTH + number, 0).astype(np.uint16)
        for folder in ('velodyne_raw', 'groundtruth_depth'):
            put(kit / f'val/{folder}/{stem.format(folder)}.png', depth)
        put(kit / f'val/intrinsics/{stem.format("image")}.txt', nine)
    for folder in ('velodyne_raw', 'groundtruth_depth'):
        frames = read(
            inputs=kit / 'val/image',
            sparse_depth=kit / 'val' / folder,
            calib=kit / 'val/intrinsics',
        )
        assert [frame.sparse_depth.max() for frame in frames] == [2565 / 256, 2573 / 256]
        assert all(frame.cam2img.tolist() == K.tolist() for frame in frames)


def test_every_bad_frame_is_told_and_can_be_left_out(drive, run_tool):
    put(drive / 'depth/2.png', DEPTH.astype(np.uint8))
    (drive / 'depth/9.png').unlink()
    args = ('infer', drive / 'images', '--sparse-depth', drive / 'depth', '--save', 'depth')
    code, out, err = run_tool(*args, '--out', drive / 'out')
    assert code == 2 and not out and not (drive / 'out').exists()
    lines = err.splitlines()
    assert len(lines) == 3 and 'depth/2.png: found 1 channel(s) of uint8' in lines[0]
    assert 'depth/9.*: found no such file; expected the sparse_depth of 9' in lines[1]
    assert lines[2] == '2 of 4 frames are bad; --skip-bad goes on without them'
    # one more, which only reading it whole shows
    cut_off = drive / 'depth/10.png'
    content = bytearray(cut_off.read_bytes())
    content[len(content) // 2] ^= 255
    cut_off.write_bytes(content)
    code, out, err = run_tool(*args, '--out', drive / 'out', '--skip-bad')
    assert code == 1 and sorted(p.name for p in (drive / 'out').iterdir()) == ['1', 'run.json']
    assert 'results: ' in out
    at = err.splitlines().index('left out: 2, 9, 10')
    told = err.splitlines()[at + 1 :]
    assert [line.startswith('error: ') for line in told] == [True] * 3
    assert '10.png: found a file that cannot be decoded' in told[2]
    # mended, the run goes on
    for name in ('2', '9', '10'):
        put(drive / f'depth/{name}.png', (drive / 'depth.png').read_bytes())
    code, out, _ = run_tool(*args, '--out', drive / 'out')
    assert code == 0 and '1 of 4 frames are there already' in out
    expected = cv2.imread(str(drive / 'out/1/depth.png'), cv2.IMREAD_UNCHANGED)
    found = cv2.imread(str(drive / 'out/10/depth.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(found, expected)


def test_a_file_that_all_frames_share_is_told_once(drive, run_tool):
    put(drive / 'c.txt', TEXT.replace('P2', 'P7'))
    args = ('infer', drive / 'images', '--points', drive / 'points', '--calib', drive / 'c.txt')
    code, _, err = run_tool(*args, '--out', drive / 'out', '--skip-bad')
    assert code == 2 and len(err.splitlines()) == 1 and 'c.txt: P2: found the lines' in err


def test_frames_that_are_left_out_in_python(drive, inferencer):
    put(drive / 'points/2.bin', b'')
    np.full((50, 4), np.nan, np.float32).tofile(drive / 'points/9.bin')
    folders = dict(points=drive / 'points', calib=drive / 'calib')
    sources, _ = list_frames(drive / 'images', None, **folders)
    bad = check_sources(sources)
    assert list(bad) == ['2'] and 'found no point' in str(bad['2'])
    with pytest.raises(InputError, match='points/2.bin: found no point'):
        inferencer(drive / 'images', **folders)
    with pytest.raises(InputError, match='found 50 points, none of them finite'):
        list(inferencer.stream(sources[2:]))
    results = list(inferencer.stream(sources, batch_size=2, skipped=bad))
    assert [result.name for result in results] == ['1', '10'] and sorted(bad) == ['2', '9']
