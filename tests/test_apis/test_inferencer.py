"""The inferencer against the data set's pipeline, loops and other calls."""

import dataclasses
import pickle
import shutil
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from kitti_frames import MMDET3D, OBJECT, needs_kitti, project_homogeneous
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.structures import PixelData
from test_apis.conftest import FRAME
from tiny_dataset import make_tiny_dataset

from pandepth_mm.apis import Calibration, PanDepthInferencer, init_model
from pandepth_mm.apis.inputs import load_frame
from pandepth_mm.apis.sources import FrameSource
from pandepth_mm.datasets import VKITTI2Dataset
from pandepth_mm.engine.checkpoint import read_checkpoint, write_weights
from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, find_config
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import write_depth_png
from pandepth_mm.geometry.camera import back_project, resize_intrinsics
from pandepth_mm.registry import MODELS
from pandepth_mm.structures.frame_maps import predicted_maps
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.vkitti2_meta import CLASSES

ARRAYS = ('image', 'sparse_depth', 'panoptic', 'semantic', 'depth')


def same(a, b):
    """Whether two results hold the same."""
    return (
        a.segments_info == b.segments_info
        and all(np.array_equal(getattr(a, key), getattr(b, key)) for key in ARRAYS)
        and all(np.array_equal(x, y) for x, y in zip(a.instances, b.instances, strict=True))
    )


def test_result_of_the_demo_frame(inferencer, result):
    assert result.classes == CLASSES and result.name == 'image'
    assert result.palette.tolist() == [list(c) for c in default_palette(CLASSES)]
    for key in ARRAYS:
        assert getattr(result, key).shape[:2] == (375, 1242)
    assert result.depth.dtype == np.float32
    assert 0 < result.depth.min() and result.depth.max() <= 80
    image = cv2.imread(str(FRAME / 'image.jpg'))
    assert np.array_equal(result.image, image[..., ::-1])
    # the panoptic map is described by segments_info
    ids, areas = np.unique(result.panoptic[result.panoptic > 0], return_counts=True)
    assert ids.tolist() == [s['id'] for s in result.segments_info]
    assert areas.tolist() == [s['area'] for s in result.segments_info]
    for segment in result.segments_info:
        assert segment['category'] == CLASSES[segment['category_id']]
        assert segment['isthing'] == (segment['instance_id'] > 0) == (segment['category_id'] < 3)
    assert sum(s['isthing'] for s in result.segments_info) >= 2
    assert len(result.instances.masks) == len(result.instances.scores)
    # a real picture: road below, sky above
    road, sky = result.semantic[300:, 500:700], result.semantic[20:60, 300:500]
    assert (road == CLASSES.index('Road')).mean() > 0.9
    assert (sky == CLASSES.index('Sky')).mean() > 0.9


def test_depth_is_near_the_points_that_were_given(result):
    seen = result.sparse_depth > 0
    error = np.abs(result.depth - result.sparse_depth)[seen]
    assert np.median(error / result.sparse_depth[seen]) < 0.05


def test_the_uncertainty_that_a_model_predicts_is_in_the_result(
    inferencer, result, frame, monkeypatch
):
    assert result.depth_uncertainty.shape == result.depth.shape
    assert result.depth_uncertainty.dtype == np.float32 and (result.depth_uncertainty > 0).all()
    original = inferencer.model.test_step

    def test_step(data):
        samples = original(data)
        for sample in samples:
            sample.pred_depth_uncertainty = PixelData(data=0.03 * sample.pred_depth_map.data)
        return samples

    monkeypatch.setattr(inferencer.model, 'test_step', test_step)
    found = inferencer(**frame)
    assert np.array_equal(found.depth, result.depth)
    np.testing.assert_allclose(found.depth_uncertainty, 0.03 * found.depth, rtol=1e-6)


def test_a_model_that_predicts_no_uncertainty(faithful, frame):
    found = PanDepthInferencer.from_config(*faithful, device='cpu')(**frame)
    assert found.depth is not None and found.depth_uncertainty is None


@pytest.mark.parametrize('depth_resize', ['nearest', 'rasterize'])
def test_same_as_the_pipeline_of_the_data_set(depth_resize, inferencer, tmp_path):
    """With the same depth map and resize, to the last bit."""
    root = make_tiny_dataset(tmp_path, num_frames=2, splits=('test',))
    cfg = Config.fromfile(find_config(DEFAULT_MODEL).config).test_dataloader.dataset
    for transform in cfg.pipeline:
        if transform.type.endswith('ResizePanopticDepth'):
            transform.depth_resize = depth_resize
    dataset = VKITTI2Dataset(
        data_root=str(root),
        ann_file='annotations/panoptic_test.json',
        img_scale=cfg.img_scale,
        pipeline=cfg.pipeline,
        test_mode=True,
    )
    alone = PanDepthInferencer(inferencer.model, depth_resize=depth_resize)
    for i in range(2):
        info = dataset.get_data_info(i)
        with torch.no_grad():
            (sample,) = inferencer.model.test_step(pseudo_collate([dataset[i]]))
        expected = predicted_maps(sample, (48, 96))
        found = alone(
            info['img_path'],
            sparse_depth=info['sparse_depth_path'],
            calib=np.array(info['cam2img']),
        )
        assert np.array_equal(found.depth, expected.depth)
        assert np.array_equal(found.semantic, expected.semantic)
        assert np.array_equal(found.instances.scores, expected.instances.scores)
        assert (found.panoptic == 0).sum() == (expected.panoptic % 1000 == 14).sum()


def test_points_reach_the_network_where_they_lie(inferencer, frame):
    """Against a loop over the points, at the network's size."""
    source = FrameSource('f', frame['inputs'], None, frame['points'], frame['calib'])
    loaded = load_frame(source, 256, 80)
    packed = inferencer.pipeline(loaded)['inputs']['sparse_depth'][0].numpy()
    points = np.fromfile(frame['points'], '<f4').reshape(-1, 4)
    width, height = 840, 254  # the most pixels of the config, at the image's aspect
    cam2img = resize_intrinsics(loaded.cam2img, (width / 1242, height / 375))
    expected = np.zeros((height, width), np.float32)
    for x, y, z, _ in points.astype(np.float64):
        x, y, z = -y, -z - 0.08, x - 0.27  # the demo's Tr_velo_to_cam
        u = cam2img[0, 0] * x / z + cam2img[0, 2]
        v = cam2img[1, 1] * y / z + cam2img[1, 2]
        col, row = int(np.floor(u + 0.5)), int(np.floor(v + 0.5))
        if 0 <= row < height and 0 <= col < width and not (0 < expected[row, col] < z):
            expected[row, col] = z
    np.testing.assert_allclose(packed, expected, rtol=1e-6)
    # nearest, as the paper has it, loses many of them
    nearest = PanDepthInferencer(inferencer.model, depth_resize='nearest')
    few = nearest.pipeline(loaded)['inputs']['sparse_depth'][0].numpy()
    assert 0 < (few > 0).sum() < 0.6 * (packed > 0).sum()


def test_a_depth_map_and_its_points_are_the_same_input(inferencer, result, tmp_path):
    calib = Calibration(result.cam2img, np.eye(4))
    depth = np.rint(result.sparse_depth * 256) / 256
    write_depth_png(tmp_path / 'depth.png', depth)
    np.save(tmp_path / 'depth.npy', depth)
    points = back_project(depth, result.cam2img)
    image = cv2.imread(str(FRAME / 'image.jpg'))
    by_array = inferencer(image, sparse_depth=depth, calib=calib.cam2img)
    others = [
        inferencer(image, sparse_depth=tmp_path / 'depth.png', calib=calib),
        inferencer(
            image, sparse_depth=tmp_path / 'depth.npy', calib=dict(cam2img=calib.cam2img.tolist())
        ),
        inferencer(image, points=points, calib=calib),
    ]
    assert all(same(by_array, other) for other in others[:2])
    np.testing.assert_allclose(others[2].depth, by_array.depth, atol=1e-2)
    # a scale of 1/512 m halves every depth
    half = inferencer(image, sparse_depth=tmp_path / 'depth.png', depth_scale=512)
    np.testing.assert_allclose(half.sparse_depth, depth / 2)


def test_lists_folders_and_batches(inferencer, frame, result, tmp_path):
    image = cv2.imread(str(frame['inputs']))
    for name in ('b', 'a', 'c'):
        for folder, key, suffix in (
            ('image', 'inputs', '.jpg'),
            ('points', 'points', '.bin'),
            ('calib', 'calib', '.txt'),
        ):
            (tmp_path / folder).mkdir(exist_ok=True)
            shutil.copy(frame[key], tmp_path / folder / (name + suffix))
    cv2.imwrite(str(tmp_path / 'image' / 'a.jpg'), image[:, ::-1])
    single = inferencer(tmp_path / 'image' / 'a.jpg', points=frame['points'], calib=frame['calib'])
    found = inferencer(
        tmp_path / 'image', points=tmp_path / 'points', calib=tmp_path / 'calib', batch_size=2
    )
    assert [r.name for r in found] == ['a', 'b', 'c']
    for one, other in zip((single, result, result), found, strict=True):
        # convolutions of a batch add up in another order
        np.testing.assert_allclose(one.depth, other.depth, atol=1e-2)
        assert (one.semantic == other.semantic).mean() > 0.999
    # a list of arrays, one calibration for all
    again = inferencer(
        [image, image], points=[frame['points'], str(frame['points'])], calib=frame['calib']
    )
    assert [r.name for r in again] == ['frame_000000', 'frame_000001']
    assert same(dataclasses.replace(again[0], name='image'), result)


def test_images_of_other_sizes_in_one_batch(inferencer):
    rng = np.random.default_rng(0)
    images = [
        rng.integers(0, 256, (h, w, 3), dtype=np.uint8) for h, w in ((37, 53), (128, 416), (1, 1))
    ]
    found = inferencer(images, batch_size=3)
    assert [r.depth.shape for r in found] == [(37, 53), (128, 416), (1, 1)]


def test_without_measurements_the_depth_is_a_guess(inferencer, result):
    guess = inferencer(FRAME / 'image.jpg')
    assert guess.depth_is_guess and not result.depth_is_guess
    assert 'guess' in repr(guess) and 'guess' not in repr(result)
    assert guess.cam2img is None and guess.depth.shape == (375, 1242)


def test_without_calibration_the_field_of_view_is_assumed(inferencer, result):
    """Which is that of the demo's camera, so that nothing changes."""
    found = inferencer(FRAME / 'image.jpg', sparse_depth=result.sparse_depth)
    assert found.cam2img is None
    known = inferencer(FRAME / 'image.jpg', sparse_depth=result.sparse_depth, calib=result.cam2img)
    assert same(found, known) and known.cam2img is not None


def test_bfloat16_is_near_float32(frame, result):
    found = PanDepthInferencer(device='cpu', precision='bf16')(**frame)
    assert found.depth.dtype == np.float32
    assert (found.semantic == result.semantic).mean() > 0.97
    assert np.median(np.abs(found.depth - result.depth)) < 0.1
    assert len(found.instances.scores) > 0


def test_weights_of_a_gpu_load_on_the_cpu(tmp_path, frame, result):
    """The storages of a file saved on a GPU are marked 'cuda:0'."""
    import zipfile

    source = find_config(DEFAULT_MODEL).weights
    path = tmp_path / 'cuda.pth'
    cpu, cuda = b'X\x03\x00\x00\x00cpu', b'X\x06\x00\x00\x00cuda:0'
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, 'w') as new:
        for item in old.infolist():
            content = old.read(item)
            if item.filename.endswith('data.pkl'):
                assert cpu in content
                content = content.replace(cpu, cuda)
            new.writestr(item, content)
    with pytest.raises(RuntimeError, match='CUDA'):
        torch.load(path, weights_only=False)
    loaded = PanDepthInferencer.from_config(DEFAULT_MODEL, path, device='cpu')
    assert same(loaded(**frame), result)


def test_ways_to_build_a_model(frame, result, tmp_path):
    files = find_config(DEFAULT_MODEL)
    config = Config.fromfile(files.config)
    model = init_model(config, files.weights)
    assert model.cfg is config and model.dataset_meta['classes'] == CLASSES
    for other in (
        init_model(),
        init_model(str(files.config)),
        init_model(f'{DEFAULT_MODEL}.py'),
        init_model(weights=Path(files.weights)),
    ):
        assert not other.training
        assert all(map(torch.equal, model.state_dict().values(), other.state_dict().values()))
    assert same(PanDepthInferencer.from_pretrained(DEFAULT_MODEL, device='cpu')(**frame), result)
    by_config = PanDepthInferencer.from_config(config, files.weights, device='cpu')
    assert same(by_config(**frame), result)
    # a palette of the user's own, as the config states it
    colors = [[i, 2 * i, 3 * i] for i in range(14)]
    config.test_dataloader.dataset.metainfo = dict(
        thing_classes=CLASSES[:3], stuff_classes=CLASSES[3:], palette=colors
    )
    assert PanDepthInferencer.from_config(config, files.weights).palette.tolist() == colors


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
def test_weights_of_an_address(suffix, frame, result, tmp_path, monkeypatch):
    """Downloaded once, from this machine; a broken download is not kept."""
    monkeypatch.setattr(torch.hub, '_hub_dir', str(tmp_path / 'hub'))
    files = find_config(DEFAULT_MODEL)
    checkpoint = read_checkpoint(files.weights)
    checkpoint['meta']['cfg'] = Config.fromfile(files.config).pretty_text
    write_weights(tmp_path / f'w{suffix}', checkpoint['state_dict'], checkpoint['meta'])
    served = []

    class Handler(SimpleHTTPRequestHandler):
        def log_request(self, *_):
            served.append(self.path)

    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Handler, directory=tmp_path))
    url = f'http://127.0.0.1:{server.server_port}/w{suffix}'
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        whole = (tmp_path / f'w{suffix}').read_bytes()
        (tmp_path / f'w{suffix}').write_bytes(whole[:100_000])
        with pytest.raises(InputError, match=f'{url}: found an unreadable file'):
            init_model(weights=url)
        (tmp_path / f'w{suffix}').write_bytes(whole)
        for _ in range(2):
            found = PanDepthInferencer.from_pretrained(url, device='cpu')(**frame)
            assert same(found, result)
        assert served == [f'/w{suffix}'] * 2
        with pytest.raises(InputError, match=f'no{suffix}: found no download .*404'):
            PanDepthInferencer.from_pretrained(url.replace('/w', '/no'))
    finally:
        server.shutdown()
        server.server_close()
    with pytest.raises(InputError, match='found no download .*; expected an address that can'):
        init_model(weights=url.replace('/w', '/x'))


@pytest.mark.parametrize('missing', ['depth_head', 'roi_head', 'semantic_head'])
def test_models_without_a_branch(missing, tmp_path, frame):
    config = Config.fromfile(find_config(DEFAULT_MODEL).config)
    config.model[missing] = None
    if missing == 'roi_head':
        config.model.update(instance_neck=None, rpn_head=None)
    if missing == 'depth_head':
        config.model.semantic_head.geometry_channels = 0
        config.model.instance_neck.geometry_channels = 0
    else:
        config.model.panoptic_fusion = None
    torch.save(MODELS.build(config.model).state_dict(), tmp_path / 'w.pth')
    found = PanDepthInferencer.from_config(config, tmp_path / 'w.pth')(**frame)
    assert (found.depth is None) == (missing == 'depth_head')
    assert (found.semantic is None) == (missing == 'semantic_head')
    assert (found.instances is None) == (missing == 'roi_head')
    assert (found.panoptic is None) == (missing != 'depth_head')
    paths = found.save(tmp_path / 'out')
    assert ('cloud' in paths) == (missing == 'roi_head')
    assert all(path.stat().st_size for path in paths.values())


@needs_kitti
def test_genuine_frames(inferencer):
    """The README's lines, and where the points lie in the result."""
    found = inferencer(
        OBJECT / 'image_2_000000.png',
        points=OBJECT / 'velodyne_000000.bin',
        calib=OBJECT / 'calib_000000.txt',
    )
    assert found.depth.shape == (370, 1224)
    seen = found.sparse_depth > 0
    assert 15_000 < seen.sum() < 25_000
    error = np.abs(found.depth - found.sparse_depth)[seen]
    assert np.median(error) < 0.5  # meters
    with open(MMDET3D / '000008.pkl', 'rb') as f:
        camera = pickle.load(f)['data_list'][0]['images']['CAM2']
    found = inferencer(
        mmcv.imread(MMDET3D / '000008.png'),
        points=MMDET3D / '000008.bin',
        calib={key: camera[key] for key in ('cam2img', 'lidar2cam')},
    )
    points = np.fromfile(MMDET3D / '000008.bin', '<f4').reshape(-1, 4)
    uv, _ = project_homogeneous(points[:, :3], np.array(camera['lidar2img']))
    col, row = np.floor(uv + 0.5).astype(int).T
    inside = (col >= 0) & (col < 1242) & (row >= 0) & (row < 375)
    drawn = np.zeros((375, 1242), bool)
    drawn[row[inside], col[inside]] = True
    assert (drawn == (found.sparse_depth > 0)).mean() > 0.9999
