"""The transforms of pandepth_mm, alone and as pipelines."""

import json
from pathlib import Path

import cv2
import mmcv
import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_panoptic_png, write_panoptic_png
from pandepth_mm.geometry.camera import back_project
from pandepth_mm.registry import DATASETS, TRANSFORMS
from pandepth_mm.structures.vkitti2_meta import CLASSES

VKITTI2 = Path(__file__).parents[2] / '..' / 'shared' / 'data' / 'vkitti2_scene01_morning'
LOAD = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanopticMap'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='LoadDepthMap', key='gt_depth_map'),
    dict(type='LoadDepthMap', key='dense_depth', invalid=65535, optional=True),
]
MAPS = ('gt_seg_map', 'gt_panoptic_seg', 'sparse_depth', 'gt_depth_map', 'dense_depth')
TEST = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadDepthMap', key='sparse_depth'),
    dict(type='ResizePanopticDepth'),
    dict(type='LoadPanopticMap'),
    *LOAD[3:],
    dict(type='PackPanopticDepthInputs'),
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('out'), empty_frames=(2,))


def build(root, pipeline, **kwargs):
    return DATASETS.build(tiny_config(root, pipeline=pipeline, **kwargs))


def make(type, **kwargs):
    return TRANSFORMS.build(dict(type=type, **kwargs))


@pytest.fixture
def loaded(root):
    """Results of a frame with three things after loading."""
    return build(root, LOAD)[0]


@pytest.fixture
def record(root):
    """The same frame before it."""
    return build(root, []).get_data_info(0)


def test_load_depth_map(root, loaded):
    depth = loaded['sparse_depth']
    assert depth.dtype == np.float32 and depth.shape == (48, 96)
    raw = cv2.imread(str(root / 'sparse_depth/train_00000.png'), -1)
    np.testing.assert_array_equal(depth, raw / 256)
    assert (loaded['gt_depth_map'] != depth).any()


def test_load_dense_depth(root, loaded):
    """To the bit what the metrics read from the file when they did so themselves."""
    raw = cv2.imread(str(root / 'source/depth/train_00000.png'), -1)
    expected = np.where(raw == 65535, 0, raw.astype(np.float32) / np.float32(100))
    assert loaded['dense_depth'].dtype == np.float32 and (raw == 65535).any()
    np.testing.assert_array_equal(loaded['dense_depth'], expected)


def test_load_dense_depth_where_the_record_has_it(root, loaded):
    del loaded['dense_depth'], loaded['dense_depth_path']
    results = make('LoadDepthMap', key='dense_depth', optional=True)(loaded)
    assert 'dense_depth' not in make('PackPanopticDepthInputs')(results)['data_samples']
    with pytest.raises(InputError, match='no dense_depth file'):
        make('LoadDepthMap', key='dense_depth')(loaded)


def test_load_dense_depth_as_ground_truth(root, loaded):
    dense = make(
        'LoadDepthMap', key='gt_depth_map', source='dense_depth', invalid=65535, max_depth=30
    )(loaded)['gt_depth_map']
    raw = cv2.imread(str(root / 'source/depth/train_00000.png'), -1)
    near = raw <= 3000  # centimeters; the sky is 65535
    np.testing.assert_allclose(dense[near], raw[near] / 100)
    assert (dense[~near] == 0).all() and 0 < near.sum() < near.size


def test_load_real_virtual_kitti_depth():
    path = next(VKITTI2.rglob('depth_00000.png'), None)
    if path is None:
        pytest.skip(f'no depth below {VKITTI2}')
    depth = make('LoadDepthMap', key='gt_depth_map', source='dense_depth', invalid=65535)(
        dict(height=375, width=1242, dense_depth_path=str(path), dense_depth_scale=100)
    )['gt_depth_map']
    raw = cv2.imread(str(path), -1)
    assert (depth == 0).mean() == pytest.approx(0.139, abs=0.001)  # sky
    seen = raw < 65535
    np.testing.assert_allclose(depth[seen], raw[seen] / 100)  # centimeters
    assert (depth[~seen] == 0).all() and depth[seen].min() > 1


def test_load_depth_map_refusals(root, loaded):
    with pytest.raises(InputError, match='LoadDepthMap.key'):
        make('LoadDepthMap', key='depth')
    del loaded['gt_depth_map_path']
    with pytest.raises(InputError, match=f'no gt_depth_map file for image {loaded["img_path"]}'):
        make('LoadDepthMap', key='gt_depth_map')(loaded)
    loaded['ori_shape'] = (48, 95)
    with pytest.raises(InputError, match='sparse_depth/train_00000.png'):
        make('LoadDepthMap', key='sparse_depth')(loaded)


def test_load_panoptic_map_against_a_loop(root, loaded, record):
    ids = read_panoptic_png(root / 'panoptic/train_00000.png')
    segments = record['segments_info']
    things = [s for s in segments if s['isthing']]
    expected = np.full(ids.shape, 255)
    for segment, internal in zip(segments, loaded['segments_info'], strict=True):
        expected[ids == segment['id']] = segment['category']
        np.testing.assert_array_equal(
            loaded['gt_panoptic_seg'] == internal['id'], ids == segment['id']
        )
        assert internal['category'] == segment['category'] == internal['id'] % 1000
        assert (internal['id'] >= 1000) == internal['isthing'] == segment['isthing']
    assert (loaded['gt_panoptic_seg'][ids == 0] == len(CLASSES)).all()
    assert loaded['gt_panoptic_seg'].dtype == np.int32
    np.testing.assert_array_equal(loaded['gt_seg_map'], expected)
    assert loaded['gt_seg_map'].dtype == np.uint8
    assert loaded['gt_bboxes_labels'].tolist() == [s['category'] for s in things]
    assert not loaded['gt_ignore_flags'].any() and len(things) == 3
    data = json.loads((root / 'annotations/panoptic_train.json').read_text())
    boxes = {s['id']: s['bbox'] for s in data['annotations'][0]['segments_info']}
    for segment, mask, box in zip(
        things, loaded['gt_masks'].masks, loaded['gt_bboxes'].numpy(), strict=True
    ):
        np.testing.assert_array_equal(mask, ids == segment['id'])
        x, y, w, h = boxes[segment['id']]
        assert box.tolist() == [x, y, x + w, y + h]


def test_void_and_crowd(tmp_path):
    ids = np.zeros((6, 8), np.int32)
    ids[:2], ids[3:5, 1:4], ids[4, 6] = 16777215, 500, 500  # cut in two
    ids[5, 7] = 65536
    path = tmp_path / 'panoptic.png'
    write_panoptic_png(path, ids)
    results = make('LoadPanopticMap')(
        dict(
            height=6,
            width=8,
            num_classes=5,
            seg_map_path=str(path),
            segments_info=[
                dict(id=65536, category=1, isthing=True, iscrowd=0),
                dict(id=16777215, category=4, isthing=False, iscrowd=0),
                dict(id=500, category=0, isthing=True, iscrowd=1),
            ],
        )
    )
    assert results['gt_bboxes'].numpy().tolist() == [[7, 5, 8, 6], [1, 3, 7, 5]]
    assert results['gt_ignore_flags'].tolist() == [False, True]
    assert results['gt_masks'].masks.sum((1, 2)).tolist() == [1, 7]
    values, counts = np.unique(results['gt_seg_map'], return_counts=True)
    assert values.tolist() == [0, 1, 4, 255]
    assert counts.tolist() == [7, 1, 16, 24]
    values, counts = np.unique(results['gt_panoptic_seg'], return_counts=True)
    assert values.tolist() == [4, 5, 1001, 2000]
    assert counts.tolist() == [16, 24, 1, 7]
    packed = make('PackPanopticDepthInputs')(
        dict(
            results,
            img=np.zeros((6, 8, 3), np.uint8),
            sparse_depth=np.zeros((6, 8), np.float32),
            cam2img=np.eye(3),
        )
    )['data_samples']
    assert packed.gt_instances.labels.tolist() == [1]
    assert packed.ignored_instances.labels.tolist() == [0]
    assert [(s['id'], s['iscrowd']) for s in packed.segments_info] == [
        (1001, False),
        (4, False),
        (2000, True),
    ]


def test_ids_must_agree(record):
    segments = record['segments_info']
    load = make('LoadPanopticMap')
    with pytest.raises(InputError, match=r'00000.png.*ids \[70600\]'):
        load(dict(record, segments_info=segments[:-1]))
    extra = segments + [dict(segments[0], id=5), dict(segments[0], id=99999)]
    with pytest.raises(InputError, match=r'no pixel of.*\[5, 99999\]'):
        load(dict(record, segments_info=extra))
    with pytest.raises(InputError, match='48, 95'):
        load(dict(record, ori_shape=(48, 95)))
    del record['seg_map_path']
    with pytest.raises(InputError, match='no panoptic ground truth'):
        load(record)


def test_image_without_things(root):
    results = build(root, LOAD)[2]
    assert results['gt_bboxes'].numpy().shape == (0, 4)
    assert results['gt_masks'].masks.shape == (0, 48, 96)
    resized = make('ResizePanopticDepth')(dict(results, img_scale=(50, 30)))
    flipped = make('FlipPanopticDepth', prob=1)(resized)
    marked = make('IgnoreTinyInstances')(flipped)
    sample = make('PackPanopticDepthInputs')(marked)['data_samples']
    assert len(sample.gt_instances) == 0
    assert sample.gt_instances.masks.masks.shape == (0, 30, 50)


@pytest.mark.parametrize('img_scale', [(80, 40), (200, 31), (96, 48)])
def test_resize(loaded, img_scale):
    before = {k: loaded[k].copy() for k in MAPS}
    boxes = loaded['gt_bboxes'].numpy().copy()
    masks, k = loaded['gt_masks'].masks.copy(), loaded['cam2img'].copy()
    image = loaded['img'].copy()
    results = make('ResizePanopticDepth')(dict(loaded, img_scale=img_scale))

    w, h = img_scale
    assert results['img'].shape == (h, w, 3)
    assert results['img_shape'] == (h, w) and results['ori_shape'] == (48, 96)
    np.testing.assert_array_equal(results['img'], mmcv.imresize(image, (w, h)))
    sx, sy = w / 96, h / 48
    assert results['scale_factor'] == (sx, sy)
    # one and the same source pixel for all maps: the nearest to the center
    rows = np.floor((np.arange(h) + 0.5) * 48 / h).astype(int)
    cols = np.floor((np.arange(w) + 0.5) * 96 / w).astype(int)
    for key, array in before.items():
        np.testing.assert_array_equal(results[key], array[rows][:, cols])
        assert results[key].dtype == array.dtype
    np.testing.assert_array_equal(results['gt_masks'].masks, masks[:, rows][:, :, cols])
    assert (results['gt_masks'].height, results['gt_masks'].width) == (h, w)
    for box, mask in zip(results['gt_bboxes'].numpy(), results['gt_masks'].masks, strict=True):
        v, u = np.nonzero(mask)
        assert box.tolist() == [u.min(), v.min(), u.max() + 1, v.max() + 1]
    # each edge within a pixel of where the scaled box has it
    assert np.abs(results['gt_bboxes'].numpy() - boxes * [sx, sy, sx, sy]).max() <= 1
    new_k = results['cam2img']
    np.testing.assert_allclose(new_k[0, 2], (w - 1) / 2)
    np.testing.assert_allclose(new_k[1, 2], (h - 1) / 2)
    np.testing.assert_allclose([new_k[0, 0], new_k[1, 1]], [k[0, 0] * sx, k[1, 1] * sy])
    np.testing.assert_array_equal(results['ori_cam2img'], k)
    assert new_k.dtype == np.float64


def test_resize_keeps_ratio_when_asked(loaded):
    results = make('ResizePanopticDepth', keep_ratio=True)(dict(loaded, img_scale=(80, 80)))
    assert results['img_shape'] == (40, 80)
    assert results['sparse_depth'].shape == (40, 80)
    assert results['gt_masks'].masks.shape[1:] == (40, 80)


@pytest.mark.parametrize(
    ('img_scale', 'expected'),
    [
        ((96, 48), (48, 96)),  # as many pixels
        ((400, 300), (48, 96)),  # never enlarged
        ((48, 24), (24, 48)),
        ((96, 12), (24, 48)),  # the number of pixels counts, the shape stays
    ],
)
def test_resize_shrinks_only_when_asked(loaded, img_scale, expected):
    resize = make('ResizePanopticDepth', shrink_only=True)
    results = resize(dict(loaded, img_scale=img_scale))
    assert results['img_shape'] == results['sparse_depth'].shape == expected


def test_measurements_of_the_image_are_kept(loaded):
    given = loaded['sparse_depth'].copy()
    resize = make('ResizePanopticDepth', keep_measurements=True)
    results = resize(dict(loaded, img_scale=(40, 20)))
    np.testing.assert_array_equal(results['ori_sparse_depth'], given)
    assert results['sparse_depth'].shape == (20, 40)
    packed = make('PackPanopticDepthInputs')(dict(results, img_id=0))
    kept = packed['data_samples'].ori_sparse_depth.data
    assert kept.dtype == torch.float32
    np.testing.assert_array_equal(kept[0], given)
    assert 'ori_sparse_depth' not in make('ResizePanopticDepth')(dict(loaded, img_scale=(40, 20)))


def test_resize_needs_img_scale(loaded):
    with pytest.raises(InputError, match='img_scale'):
        make('ResizePanopticDepth')(dict(loaded, img_scale=None))


def test_flip(loaded):
    before = {k: loaded[k].copy() for k in ('img', *MAPS)}
    boxes, masks = loaded['gt_bboxes'].numpy().copy(), loaded['gt_masks'].masks.copy()
    loaded['cam2img'] = np.array([[50.0, 0, 40], [0, 50, 20], [0, 0, 1]])
    results = make('FlipPanopticDepth', prob=1)(loaded)
    assert results['flip'] and results['flip_direction'] == 'horizontal'
    for key, array in before.items():
        np.testing.assert_array_equal(results[key], array[:, ::-1])
    np.testing.assert_array_equal(results['gt_masks'].masks, masks[..., ::-1])
    np.testing.assert_allclose(results['gt_bboxes'].numpy()[:, [0, 2]], 96 - boxes[:, [2, 0]])
    assert results['cam2img'].tolist() == [[50, 0, 95 - 40], [0, 50, 20], [0, 0, 1]]


def test_no_flip_changes_nothing(loaded):
    depth, k = loaded['sparse_depth'].copy(), loaded['cam2img']
    results = make('FlipPanopticDepth', prob=0)(loaded)
    assert not results['flip'] and results['cam2img'] is k
    np.testing.assert_array_equal(results['sparse_depth'], depth)


def test_flip_follows_its_probability(loaded):
    flip = make('FlipPanopticDepth', prob=0.5)
    np.random.seed(0)
    flips = sum(bool(flip(dict(loaded))['flip']) for _ in range(100))
    assert 30 < flips < 70


@pytest.mark.parametrize('order', [1, -1])
def test_points_keep_their_place(loaded, order):
    """Through the pipeline's resize and flip, up to half a source pixel."""
    source, k = loaded['sparse_depth'].copy(), loaded['cam2img']
    # a different depth for each point, to find it again
    source[source > 0] = 5 + 0.01 * np.arange((source > 0).sum())
    loaded.update(sparse_depth=source, img_scale=(70, 40))
    results = loaded
    for transform in [('ResizePanopticDepth', {}), ('FlipPanopticDepth', dict(prob=1))][::order]:
        results = make(transform[0], **transform[1])(results)
    before = {p[2]: p for p in back_project(source, k)}
    after = back_project(results['sparse_depth'], results['cam2img'])
    assert len(after) > 50
    for x, y, z in after:
        shift = np.abs(before[z][:2] - [-x, y]) * k[0][0] / z
        assert shift.max() <= 0.5 + 1e-3


def test_training_pipeline(root):
    pipeline = LOAD + [
        dict(type='ResizePanopticDepth'),
        dict(type='FlipPanopticDepth', prob=0.5),
        dict(type='PhotoMetricDistortion'),
        dict(type='IgnoreTinyInstances'),
        dict(type='PackPanopticDepthInputs'),
    ]
    dataset = build(root, pipeline, img_scale=(80, 40))
    items = [dataset[i] for i in range(4)]
    assert [i['data_samples'].img_id for i in items] == [1, 2, 3, 4]
    for item in items:
        inputs, sample = item['inputs'], item['data_samples']
        assert inputs['img'].shape == (3, 40, 80)
        assert inputs['sparse_depth'].shape == (1, 40, 80)
        assert inputs['sparse_depth'].dtype == torch.float32
        assert inputs['cam2img'].shape == (3, 3)
        assert inputs['cam2img'].dtype == torch.float32
        assert isinstance(sample, DetDataSample)
        assert sample.gt_sem_seg.sem_seg.shape == (1, 40, 80)
        assert sample.gt_sem_seg.sem_seg.dtype == torch.int64
        assert sample.gt_depth_map.data.shape == (1, 40, 80)
        assert sample.gt_depth_map.data.dtype == torch.float32
        assert torch.equal(sample.sparse_depth.data, inputs['sparse_depth'])
        assert sample.gt_instances.masks.masks.shape[1:] == (40, 80)
        labels = sample.gt_panoptic_seg.sem_seg % 1000
        assert torch.equal(labels.where(labels < 14, 255).long(), sample.gt_sem_seg.sem_seg)


def test_tiny_instances_are_ignored(loaded):
    """One whose last pixel is lost in the resize, at its place, and a crowd, not the rest."""
    masks, boxes = loaded['gt_masks'].masks, loaded['gt_bboxes'].numpy().copy()
    masks[1] = 0
    loaded['gt_ignore_flags'][2] = True
    results = make('ResizePanopticDepth')(dict(loaded, img_scale=(80, 40)))
    labels = results['gt_bboxes_labels']
    marked = make('IgnoreTinyInstances', min_side=0, min_area=1)(results)
    assert marked['gt_ignore_flags'].tolist() == [False, True, True]
    sample = make('PackPanopticDepthInputs')(marked)['data_samples']
    assert sample.gt_instances.labels.tolist() == [labels[0]]
    assert sample.ignored_instances.labels.tolist() == labels[1:].tolist()
    lost = sample.ignored_instances.bboxes.tensor[0].numpy()
    np.testing.assert_allclose(lost, boxes[1] * [80 / 96, 40 / 48, 80 / 96, 40 / 48], rtol=1e-6)


@pytest.mark.parametrize('kwargs', [dict(min_side=-1), dict(min_area=0.5)])
def test_limits_of_tiny_instances(kwargs):
    with pytest.raises(InputError, match=next(iter(kwargs))):
        make('IgnoreTinyInstances', **kwargs)


def test_test_pipeline_keeps_ground_truth_at_original_size(root):
    dataset = build(root, TEST, img_scale=(80, 40), test_mode=True)
    item, record = dataset[1], dataset.get_data_info(1)
    inputs, sample = item['inputs'], item['data_samples']
    assert inputs['img'].dtype == torch.uint8
    assert inputs['img'].shape == (3, 40, 80)
    assert sample.sparse_depth.data.shape == (1, 40, 80)
    assert sample.gt_sem_seg.sem_seg.shape == (1, 48, 96)
    depth = read_depth_png(record['gt_depth_map_path'], 256)
    np.testing.assert_array_equal(sample.gt_depth_map.data[0], depth)
    dense = read_depth_png(root / 'source/depth/train_00001.png', 100, invalid=65535)
    np.testing.assert_array_equal(sample.dense_depth.data[0], dense)
    assert sample.dense_depth.data.shape == (1, 48, 96)
    assert sample.ori_shape == (48, 96) and sample.img_shape == (40, 80)
    for key in ('img_id', 'img_path', 'scale_factor', 'scene', 'variation', 'camera', 'frame'):
        assert key in sample.metainfo

    panoptic, segments = sample.gt_panoptic_seg.sem_seg, sample.segments_info
    assert panoptic.shape == (1, 48, 96) and panoptic.dtype == torch.int32
    ids = read_panoptic_png(record['seg_map_path'])
    assert len(segments) == len(record['segments_info'])
    for segment, listed in zip(segments, record['segments_info'], strict=True):
        assert set(segment) == {'id', 'category', 'isthing', 'iscrowd'}
        np.testing.assert_array_equal(panoptic[0] == segment['id'], ids == listed['id'])


def test_segments_that_the_resize_loses_are_not_listed(loaded):
    results = make('ResizePanopticDepth')(dict(loaded, img_scale=(3, 2)))
    sample = make('PackPanopticDepthInputs')(results)['data_samples']
    present = np.unique(results['gt_panoptic_seg'])
    assert {s['id'] for s in sample.segments_info} == set(present) - {len(CLASSES)}
    assert 0 < len(sample.segments_info) < len(results['segments_info'])


def test_pack_without_ground_truth(loaded):
    """What an inferencer has: image, sparse depth, intrinsics."""
    keys = ('img', 'img_shape', 'ori_shape', 'sparse_depth', 'cam2img', 'segments_info')
    packed = make('PackPanopticDepthInputs')({k: loaded[k] for k in keys})
    assert set(packed['inputs']) == {'img', 'sparse_depth', 'cam2img'}
    for key in ('gt_sem_seg', 'gt_panoptic_seg', 'gt_depth_map', 'dense_depth', 'segments_info'):
        assert key not in packed['data_samples']
