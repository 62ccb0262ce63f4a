"""Calls that cannot be answered: one clear error each, before long work."""

import os
import re

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from test_apis.conftest import FRAME

from pandepth_mm.apis import PanDepthInferencer, init_model
from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, find_config
from pandepth_mm.errors import InputError

IMAGE = FRAME / 'image.jpg'
POINTS = FRAME / 'points.bin'
CALIB = FRAME / 'calib.txt'
SIZE = (375, 1242)
CLOUD = np.array([[10.0, 0, 0], [20, 1, 1]], np.float32)
K = np.array([[725.0, 0, 620], [0, 725, 187], [0, 0, 1]])


def depth_map(value=10.0, dtype=np.float32, size=SIZE):
    depth = np.zeros(size, dtype)
    depth[200:300:7, ::9] = value
    return depth


def folder(tmp_path, name, *files):
    path = tmp_path / name
    path.mkdir()
    for file in files:
        (path / file).write_bytes(IMAGE.read_bytes())
    return path


def file(tmp_path, name, content=b'nothing of use'):
    path = tmp_path / name
    path.write_bytes(content)
    return path


def png(tmp_path, array, name='d.png'):
    cv2.imwrite(str(tmp_path / name), array)
    return tmp_path / name


# name, arguments of the call (a function of tmp_path), message
CALLS = {
    'image that is missing': (
        lambda t: dict(inputs=t / 'no.png'),
        'no.png: found no such file; expected the image of no',
    ),
    'image that is text': (
        lambda t: dict(inputs=file(t, 'a.png')),
        'a.png: found a file that cannot be decoded; expected an image',
    ),
    'image that is empty': (
        lambda t: dict(inputs=file(t, 'a.png', b'')),
        'a.png: found a file that cannot be decoded',
    ),
    'image of floats': (
        lambda t: dict(inputs=np.zeros((9, 9, 3))),
        r'image: found float64 of shape \(9, 9, 3\); expected '
        r'uint8 \(H, W, 3\)',
    ),
    'image that is gray': (
        lambda t: dict(inputs=np.zeros((9, 9), np.uint8)),
        r'image: found uint8 of shape \(9, 9\)',
    ),
    'image that is a number': (lambda t: dict(inputs=7), 'image: found int; expected a path or'),
    'empty list': (lambda t: dict(inputs=[]), 'image: found an empty list'),
    'folder without images': (
        lambda t: dict(inputs=folder(t, 'a', 'x.txt')),
        'a: found no such file in the folder; expected files ending in .bmp',
    ),
    'two images of one stem': (
        lambda t: dict(inputs=folder(t, 'a', 'x.png', 'x.jpg')),
        'a: found x.jpg and x.png; expected one file per frame',
    ),
    'points without calibration': (
        lambda t: dict(inputs=IMAGE, points=POINTS),
        'calib: found None; expected the calibration',
    ),
    'points and depth at once': (
        lambda t: dict(inputs=IMAGE, points=POINTS, calib=CALIB, sparse_depth=depth_map()),
        'sparse_depth, points: found both',
    ),
    'points that are all NaN': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=CLOUD * np.nan),
        'points: found 2 points, none of them finite',
    ),
    'points of two columns': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=CLOUD[:, :2]),
        r'points: found float32 of shape \(2, 2\); expected numbers \(N, 3\)',
    ),
    'points of an odd size': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=file(t, 'scan.bin', b'123456789')),
        'scan.bin: found 9 bytes that are no meters.*; expected rows of float32',
    ),
    'points of another format': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=file(t, 'scan.las')),
        r"scan.las: found suffix '.las'; expected .bin or .npy or .pcd or .ply",
    ),
    'no points in the file': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=file(t, 'scan.bin', b'')),
        'scan.bin: found no point',
    ),
    'points behind the camera': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=-CLOUD),
        'points: found none of 2 points in the image; expected points that .*'
        'calib.txt projects into it',
    ),
    'points in millimeters': (
        lambda t: dict(inputs=IMAGE, calib=CALIB, points=1000 * CLOUD),
        'points: x, y, z: found depths of .* expected meters, within the 80 m',
    ),
    'calibration that is missing': (
        lambda t: dict(inputs=IMAGE, points=POINTS, calib=t / 'c.txt'),
        'c.txt: found no such file; expected a calibration',
    ),
    'calibration without the LiDAR': (
        lambda t: dict(inputs=IMAGE, points=POINTS, calib=K),
        'calib: lidar2cam: found no place of the LiDAR',
    ),
    'calibration text without the LiDAR': (
        lambda t: dict(
            inputs=IMAGE,
            points=POINTS,
            calib=file(t, 'c.txt', CALIB.read_bytes().split(b'R0_rect')[0]),
        ),
        'c.txt: lidar2cam: found no place of the LiDAR; expected R0_rect',
    ),
    'calibration of another image size': (
        lambda t: dict(inputs=np.zeros((128, 416, 3), np.uint8), points=POINTS, calib=CALIB),
        r'calib.txt: cam2img: found the principal point \(620.5, 187.0\), '
        'far from the middle of an image of 416x128 .*; if it is one, say so by image_size: 416 ',
    ),
    'calibration with a mistyped key': (
        lambda t: dict(inputs=IMAGE, points=CLOUD, calib=dict(cam2img=K, velo2cam=np.eye(4))),
        r"calib: found the keys \['cam2img', 'velo2cam'\]",
    ),
    'calibration that is no rotation': (
        lambda t: dict(inputs=IMAGE, points=CLOUD, calib=dict(cam2img=K, lidar2cam=2 * np.eye(4))),
        'calib: lidar2cam: found .* as its last row',
    ),
    'depth of another size': (
        lambda t: dict(inputs=IMAGE, sparse_depth=depth_map(size=(370, 1224))),
        r'sparse_depth: found size \(h, w\) = \(370, 1224\); expected \(375, 1242\), the '
        'size of the image',
    ),
    'depth PNG of another size': (
        lambda t: dict(inputs=IMAGE, sparse_depth=png(t, depth_map(2560, np.uint16, (370, 1224)))),
        r'd.png: found size \(h, w\) = \(370, 1224\)',
    ),
    'depth of whole numbers': (
        lambda t: dict(inputs=IMAGE, sparse_depth=depth_map(9, np.uint16)),
        'sparse_depth: found uint16; expected float meters',
    ),
    'depth of 8 bits': (
        lambda t: dict(inputs=IMAGE, sparse_depth=png(t, depth_map(200, np.uint8))),
        'd.png: found 1 channel.* of uint8; expected 1 channel of uint16',
    ),
    'depth that is negative': (
        lambda t: dict(inputs=IMAGE, sparse_depth=depth_map(-1)),
        'sparse_depth: found negative or not finite values',
    ),
    'depth that is NaN': (
        lambda t: dict(inputs=IMAGE, sparse_depth=depth_map(np.nan)),
        'sparse_depth: found negative or not finite values',
    ),
    'depth in millimeters': (
        lambda t: dict(inputs=IMAGE, sparse_depth=depth_map(9000)),
        'sparse_depth: units per meter: depth_scale: found depths of 9000 m in '
        'the median; expected meters, within the 80 m',
    ),
    'depth PNG of another scale': (
        lambda t: dict(
            inputs=IMAGE, depth_scale=1.0, sparse_depth=png(t, depth_map(2560, np.uint16))
        ),
        'd.png: units per meter: depth_scale: found depths of 2560 m',
    ),
    'depth scale of zero': (
        lambda t: dict(
            inputs=IMAGE, depth_scale=0, sparse_depth=png(t, depth_map(2560, np.uint16))
        ),
        r'depth_scale: found 0; expected a number above 0 \(units per meter\)',
    ),
    'depth that is a picture': (
        lambda t: dict(inputs=IMAGE, sparse_depth=IMAGE),
        "image.jpg: found suffix '.jpg'; expected .png .* or .npy",
    ),
    'one depth map for two images': (
        lambda t: dict(inputs=[IMAGE, IMAGE], sparse_depth=depth_map()),
        'sparse_depth: found a single one for 2 images',
    ),
    'too few depth maps': (
        lambda t: dict(inputs=[IMAGE, IMAGE], sparse_depth=[depth_map()]),
        'sparse_depth: found 1 of them; expected 2',
    ),
    'folder of points with one missing': (
        lambda t: dict(
            inputs=folder(t, 'a', 'x.jpg', 'y.jpg'),
            calib=CALIB,
            points=file(folder(t, 'b'), 'x.bin', POINTS.read_bytes()).parent,
        ),
        r'b/y\.\*: found no such file; expected the points of y',
    ),
    'folder of points of other names': (
        lambda t: dict(
            inputs=folder(t, 'a', 'x.jpg', 'y.jpg'), calib=CALIB, points=folder(t, 'b', 'z.bin')
        ),
        'b: points: found none for 2 of 2 images, the first is x; expected a file of the same stem',
    ),
    'batch of none': (lambda t: dict(inputs=IMAGE, batch_size=0), 'batch_size: found 0'),
}


@pytest.mark.parametrize('name', CALLS)
def test_bad_call(name, inferencer, tmp_path):
    arguments, message = CALLS[name]
    with pytest.raises(InputError) as error:
        inferencer(**arguments(tmp_path))
    assert re.search(message, str(error.value)), str(error.value)
    assert '; expected ' in str(error.value)


def cut(tmp_path):
    whole = open(find_config(DEFAULT_MODEL).weights, 'rb').read()
    return file(tmp_path, 'cut.pth', whole[:100_000])


class Evil:
    def __reduce__(self):
        return print, ('this ran',)


def evil(tmp_path):
    torch.save(dict(state_dict=dict(a=Evil())), tmp_path / 'evil.pth')
    return tmp_path / 'evil.pth'


def weights_of_other_classes(tmp_path):
    checkpoint = torch.load(find_config(DEFAULT_MODEL).weights, weights_only=True)
    checkpoint['meta']['dataset_meta'] = dict(classes=['a', 'b'])
    torch.save(checkpoint, tmp_path / 'other.pth')
    return tmp_path / 'other.pth'


# name, arguments of from_config (a function of tmp_path), message
MODELS = {
    'config that is missing': (
        lambda t: dict(config='no.py'),
        'no.py: found no such file; expected a '
        'config file, or the name of a shipped one: pandepth_effb0',
    ),
    'config that is broken': (
        lambda t: dict(
            config=file(t, 'c.py', b'model = ('), weights=find_config(DEFAULT_MODEL).weights
        ),
        'c.py: found .*; expected a config that mmengine can read',
    ),
    'config without a model': (
        lambda t: dict(
            config=file(t, 'c.py', b'lr = 1'), weights=find_config(DEFAULT_MODEL).weights
        ),
        'found no dict "model"',
    ),
    'config of another model': (
        lambda t: dict(
            config=Config(dict(model=dict(type='mmdet.RPN', backbone=(_config().model.backbone)))),
            weights=find_config(DEFAULT_MODEL).weights,
        ),
        'config: model: found .*; expected types and arguments that exist',
    ),
    'config with a mistyped argument': (
        lambda t: dict(
            config=Config(dict(_config(), model=dict(_config().model, num_thing=3))),
            weights=find_config(DEFAULT_MODEL).weights,
        ),
        'config: model: found TypeError: .*num_thing',
    ),
    'config with a mistyped type': (
        lambda t: dict(
            config=Config(dict(_config(), model=dict(_config().model, type='PanDeph'))),
            weights=find_config(DEFAULT_MODEL).weights,
        ),
        'config: model: found KeyError: .*PanDeph',
    ),
    'weights that no metafile names': (
        lambda t: dict(config='pandepth_effb5_vkitti2'),
        'weights: found none; expected a checkpoint: none is shipped for pandepth_effb5',
    ),
    'weights that are missing': (
        lambda t: dict(config=DEFAULT_MODEL, weights=t / 'w.pth'),
        'w.pth: found no such file',
    ),
    'weights that are text': (
        lambda t: dict(config=DEFAULT_MODEL, weights=file(t, 'w.pth')),
        'w.pth: found a file that is no checkpoint',
    ),
    'weights that are cut off': (
        lambda t: dict(config=DEFAULT_MODEL, weights=cut(t)),
        'cut.pth: found an unreadable file',
    ),
    'weights that would run code': (
        lambda t: dict(config=DEFAULT_MODEL, weights=evil(t)),
        'evil.pth: found a checkpoint that could run code.*trust_checkpoint',
    ),
    'weights of another model': (
        lambda t: dict(config='pandepth_effb0_minivkitti', weights=_depth_only(t)),
        'd.pth: found [0-9]+ of the [0-9]+ weights of the model .* is missing',
    ),
    'weights of other classes': (
        lambda t: dict(config=DEFAULT_MODEL, weights=weights_of_other_classes(t)),
        'meta.dataset_meta.classes: found the names of 2 classes; expected 14',
    ),
    'device of no name': (
        lambda t: dict(config=DEFAULT_MODEL, device='tpu0'),
        "device: found 'tpu0'; expected 'cpu'",
    ),
    'precision of no name': (
        lambda t: dict(config=DEFAULT_MODEL, precision='int8'),
        "precision: found 'int8'; expected one of",
    ),
    'half precision on a CPU': (
        lambda t: dict(config=DEFAULT_MODEL, device='cpu', precision='fp16'),
        "precision: found 'fp16' on a CPU; expected 'fp32' or 'bf16'",
    ),
    'resize of no name': (
        lambda t: dict(config=DEFAULT_MODEL, depth_resize='linear'),
        "depth_resize: found 'linear'",
    ),
    'config without a size': (
        lambda t: dict(
            config=Config(dict(model=_config().model)), weights=find_config(DEFAULT_MODEL).weights
        ),
        'config: test_dataloader.dataset.img_scale: found no img_scale',
    ),
}


def _config():
    return Config.fromfile(find_config(DEFAULT_MODEL).config)


def _depth_only(tmp_path):
    checkpoint = torch.load(find_config(DEFAULT_MODEL).weights, weights_only=True)
    weights = {k: v for k, v in checkpoint['state_dict'].items() if k.startswith('depth_head')}
    torch.save(weights, tmp_path / 'd.pth')
    return tmp_path / 'd.pth'


@pytest.mark.parametrize('name', MODELS)
def test_bad_model(name, tmp_path, capsys):
    arguments, message = MODELS[name]
    with pytest.raises(InputError) as error:
        PanDepthInferencer.from_config(**arguments(tmp_path))
    assert re.search(message, str(error.value)), str(error.value)
    assert 'this ran' not in capsys.readouterr().out


@pytest.mark.parametrize(
    'model, message',
    [
        ('no.pth', 'no.pth: found no such file'),
        (torch.nn.Linear(1, 1), 'model: found Linear; expected a model of init_model'),
        (IMAGE, 'image.jpg: found'),
    ],
)
def test_model_that_is_none(model, message):
    with pytest.raises(InputError, match=message):
        PanDepthInferencer(model)


def test_weights_of_no_name():
    with pytest.raises(InputError, match=f'effb0: found no such file; .* {DEFAULT_MODEL}$'):
        PanDepthInferencer.from_pretrained('pandepth_effb0')


def test_a_config_object_names_no_weights():
    with pytest.raises(InputError, match='weights: found None; .*since the config is not a name'):
        init_model(_config())


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')
def test_gpu_that_is_not_there():
    with pytest.raises(
        InputError,
        match="device: found 'cuda:0', and torch "
        "sees 0 GPUs; expected 'cpu', or a GPU that is there",
    ):
        PanDepthInferencer(device='cuda:0')


def test_trusted_weights_may_run_code(tmp_path, capsys):
    """What the refusal protects from, and the way around it."""
    with pytest.raises(InputError, match='weights of the model'):
        init_model(DEFAULT_MODEL, evil(tmp_path), trust_checkpoint=True)
    assert 'this ran' in capsys.readouterr().out


def test_reading_weights_changes_nothing_for_the_process():
    before = set(torch.serialization.get_safe_globals())
    environment = dict(os.environ)
    init_model()
    assert set(torch.serialization.get_safe_globals()) == before
    assert dict(os.environ) == environment
