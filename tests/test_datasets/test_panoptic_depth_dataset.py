"""PanopticDepthDataset and VKITTI2Dataset: reading and checking."""

import json
import pickle

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.datasets.panoptic_depth_dataset import PanopticDepthDataset
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png, read_panoptic_png
from pandepth_mm.registry import DATASETS
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.vkitti2_meta import CLASSES


@pytest.fixture
def root(tmp_path):
    return make_tiny_dataset(tmp_path / 'out', splits=('train',), empty_frames=(2,))


def build(root, split='train', **kwargs):
    return DATASETS.build(tiny_config(root, split, **kwargs))


def edit(root, change, split='train'):
    """Change the annotation JSON of a split."""
    path = root / f'annotations/panoptic_{split}.json'
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def test_data_info(root):
    dataset = build(root, img_scale=[80, 40])
    assert len(dataset) == 4  # with the frame that has no thing
    info = dataset.get_data_info(0)
    assert info['img_path'] == str(root / 'source/rgb/train_00000.jpg')
    assert info['sparse_depth_path'] == str(root / 'sparse_depth/train_00000.png')
    assert info['gt_depth_map_path'] == str(root / 'gt_depth_map/train_00000.png')
    assert info['dense_depth_path'] == str(root / 'source/depth/train_00000.png')
    assert info['seg_map_path'] == str(root / 'panoptic/train_00000.png')
    scales = [info[f'{k}_scale'] for k in ('sparse_depth', 'gt_depth_map', 'dense_depth')]
    assert scales == [256, 256, 100]
    assert (info['height'], info['width']) == (48, 96)
    assert info['img_scale'] == (80, 40)
    assert (info['scene'], info['variation'], info['camera'], info['frame']) == (
        'Scenetrain',
        'clone',
        'Camera_0',
        0,
    )
    focal = 0.6 * 96
    assert info['cam2img'].tolist() == [[focal, 0, 47.5], [0, focal, 23.5], [0, 0, 1]]
    assert info['cam2img'].dtype == np.float64 and info['num_classes'] == 14
    pickle.dumps(info)
    for segment in info['segments_info']:
        assert segment['isthing'] == (segment['category'] < 3)
        assert set(segment) == {'id', 'category', 'iscrowd', 'isthing'}
    assert {s['category'] for s in info['segments_info'] if not s['isthing']} == {
        CLASSES.index('Sky'),
        CLASSES.index('Road'),
    }
    assert dataset.get_cat_ids(0) == [s['category'] for s in info['segments_info'] if s['isthing']]
    assert dataset.get_cat_ids(2) == []


def test_metainfo_carries_what_metrics_need(root):
    meta = build(root).metainfo
    assert meta['classes'] == CLASSES
    assert meta['thing_classes'] + meta['stuff_classes'] == CLASSES
    assert meta['palette'] == default_palette(CLASSES)
    assert meta['panoptic_ann_file'] == str(root / 'annotations/panoptic_train.json')


def test_tiny_dataset_is_consistent(root):
    """The helper keeps the contract: areas, boxes, ids, densities."""
    coco = COCO(str(root / 'annotations/instances_train.json'))
    panoptic = json.loads((root / 'annotations/panoptic_train.json').read_text())
    assert coco.getImgIds() == [i['id'] for i in panoptic['images']]
    for image, annotation in zip(panoptic['images'], panoptic['annotations'], strict=True):
        ids = read_panoptic_png(root / 'panoptic' / annotation['file_name'])
        values, areas = np.unique(ids, return_counts=True)
        assert dict(zip(values.tolist(), areas.tolist(), strict=True)) == {
            s['id']: s['area'] for s in annotation['segments_info']
        }
        things = [s for s in annotation['segments_info'] if s['category_id'] <= 3]
        records = coco.loadAnns(coco.getAnnIds(imgIds=image['id']))
        assert len(records) == len(things)
        for record, segment in zip(records, things, strict=True):
            mask = coco.annToMask(record)
            np.testing.assert_array_equal(mask, ids == segment['id'])
            assert record['category_id'] == segment['category_id']
        sparse = read_depth_png(root / image['sparse_depth_file'], 256)
        gt_depth = read_depth_png(root / image['gt_depth_map_file'], 256)
        dense = read_depth_png(root / 'source' / image['dense_depth_file'], 100, invalid=65535)
        assert (sparse > 0).mean() == pytest.approx(0.05, abs=1e-3)
        assert (gt_depth > 0).mean() == pytest.approx(0.2, abs=1e-3)
        for depth in (sparse, gt_depth):
            seen = depth > 0
            np.testing.assert_allclose(depth[seen], dense[seen], atol=0.01)


def test_fallback_scale(tmp_path):
    root = make_tiny_dataset(tmp_path, depth_scale=100.0, write_scales=False)
    info = build(root, depth_scale=100).get_data_info(0)
    assert info['sparse_depth_scale'] == info['gt_depth_map_scale'] == 100
    assert info['dense_depth_scale'] == 100  # the record's own


def test_source_root_overrides_info(root):
    (root / 'source').rename(root / 'moved')
    with pytest.raises(InputError, match='source_root'):
        build(root)
    info = build(root, source_root=str(root / 'moved')).get_data_info(1)
    assert info['img_path'] == str(root / 'moved/rgb/train_00001.jpg')


def test_without_any_source_root_files_are_ours(root):

    def change(data):
        del data['info']
        for image in data['images']:
            image['file_name'] = 'source/' + image['file_name']
            image['dense_depth_file'] = 'source/' + image['dense_depth_file']

    edit(root, change)
    info = build(root).get_data_info(0)
    assert info['img_path'] == str(root / 'source/rgb/train_00000.jpg')


def test_filters_and_indices(root):
    drop = dict(filter_empty_gt=True)
    assert len(build(root, filter_cfg=drop)) == 3
    assert len(build(root, filter_cfg=drop, test_mode=True)) == 4
    assert len(build(root, filter_cfg=dict(min_size=48))) == 4
    with pytest.raises(InputError, match='filter_cfg.*no frame left'):
        build(root, filter_cfg=dict(min_size=49))
    subset = build(root, indices=[1, 3])
    assert [subset.get_data_info(i)['img_id'] for i in (0, 1)] == [2, 4]
    with pytest.raises(InputError, match='filter_cfg'):
        build(root, filter_cfg=dict(filter_empty=True))


def test_custom_classes(tmp_path):
    things, stuff = ('Cow',), ('Sky', 'Meadow', 'Road')
    root = make_tiny_dataset(tmp_path, thing_classes=things, stuff_classes=stuff)
    meta = dict(thing_classes=list(things), stuff_classes=list(stuff))
    cfg = tiny_config(root, metainfo=meta)
    cfg['type'] = 'PanopticDepthDataset'
    custom = DATASETS.build(cfg)
    assert custom.metainfo['classes'] == things + stuff
    assert custom.metainfo['palette'] == default_palette(things + stuff)
    categories = {
        s['category'] for i in range(len(custom)) for s in custom.get_data_info(i)['segments_info']
    }
    assert categories == {0, 1, 3}
    # the same through a config that inherits the VKITTI2 type
    inherited = build(root, metainfo=meta).metainfo
    assert inherited['classes'] == things + stuff
    assert inherited['palette'] == custom.metainfo['palette']
    colors = [(1, 2, 3)] * 4
    assert build(root, metainfo=dict(meta, palette=colors)).metainfo['palette'] == colors


def test_subclass_with_its_own_metainfo(root):

    class Own(PanopticDepthDataset):
        METAINFO = dict(
            thing_classes=CLASSES[:3],
            stuff_classes=CLASSES[3:],
            palette=[(i, i, i) for i in range(14)],
        )

    cfg = tiny_config(root)
    del cfg['type']
    assert Own(**cfg).metainfo['palette'][13] == (13, 13, 13)
    assert Own(**cfg).metainfo['classes'] == CLASSES
    # with other classes those that it has in common keep their colors
    other = dict(thing_classes=('Cow',), stuff_classes=CLASSES[3:])
    palette = Own(**cfg, metainfo=other, lazy_init=True).metainfo['palette']
    assert palette[1:] == Own.METAINFO['palette'][3:]
    assert palette[0] == default_palette(('Cow', *CLASSES[3:]))[0]
    Own.METAINFO = dict(Own.METAINFO, palette=[(0, 0, 0)])
    with pytest.raises(InputError, match='palette'):
        Own(**cfg)


def test_stuff_before_things_in_the_json(root):
    """Labels put things first, whatever the order of categories."""
    edit(root, lambda data: data['categories'].sort(key=lambda c: c['isthing']))
    info = build(root).get_data_info(0)
    assert {s['category'] for s in info['segments_info'] if s['isthing']} <= {0, 1, 2}


def test_data_without_truth(root):

    def change(data):
        data['annotations'] = []
        for image in data['images']:
            for key in (
                'gt_depth_map_file',
                'gt_depth_map_scale',
                'dense_depth_file',
                'scene',
                'frame',
            ):
                del image[key]

    edit(root, change)
    info = build(root, test_mode=True).get_data_info(0)
    assert not {'seg_map_path', 'segments_info', 'gt_depth_map_path', 'dense_depth_path'} & set(
        info
    )
    assert info['scene'] is None and info['camera'] == 'Camera_0'


@pytest.mark.parametrize(
    'meta, key',
    [
        (dict(thing_classes=('a',), stuff_classes=()), 'categories'),
        (dict(thing_classes='Car', stuff_classes=('b',)), 'thing_classes'),
        (dict(thing_classes=('a',), stuff_classes=('a',)), 'distinct'),
        (dict(thing_classes=(), stuff_classes=()), 'distinct'),
        (dict(thing_classes=('a',), stuff_classes=('b',), classes=('b', 'a')), 'things first'),
        (dict(thing_classes=('a',), stuff_classes=('b',), palette=[(0, 0, 0)]), 'palette'),
    ],
)
def test_wrong_metainfo(root, meta, key):
    with pytest.raises(InputError, match=key):
        build(root, metainfo=meta)


def test_metainfo_is_needed(root):
    cfg = tiny_config(root)
    cfg['type'] = 'PanopticDepthDataset'
    with pytest.raises(InputError, match='thing_classes'):
        DATASETS.build(cfg)


def test_class_mismatch_names_file_found_and_expected(root):
    meta = dict(thing_classes=('Truck', 'Van', 'Car'), stuff_classes=CLASSES[3:])
    with pytest.raises(InputError) as error:
        build(root, metainfo=meta)
    message = str(error.value)
    assert 'panoptic_train.json' in message
    assert "3 things ['Truck', 'Car', 'Van']" in message
    assert "3 things ['Truck', 'Van', 'Car']" in message


@pytest.mark.parametrize(
    'kwargs, key',
    [
        (dict(img_scale=(96,)), 'img_scale'),
        (dict(img_scale=(96, 0)), 'img_scale'),
        (dict(img_scale=96), 'img_scale'),
        (dict(img_scale=(96.0, 48.0)), 'img_scale'),
        (dict(depth_scale=0), 'depth_scale'),
    ],
)
def test_wrong_config_values(root, kwargs, key):
    with pytest.raises(InputError, match=key):
        build(root, **kwargs)


def _set(key, value, what='images', i=1):

    def change(data):
        data[what][i][key] = value

    return change


def _delete(key, what='images', i=1):

    def change(data):
        del data[what][i][key]

    return change


def _segment(**values):

    def change(data):
        data['annotations'][0]['segments_info'][1].update(values)

    return change


@pytest.mark.parametrize(
    'change, found',
    [
        (lambda data: data.pop('annotations'), "no key 'annotations'"),
        (lambda data: data.update(images={}), 'images: found {}; expected a list'),
        (lambda data: data.update(images=[]), 'no image'),
        (_delete('cam2img'), r"images\[1\]: found no key 'cam2img'"),
        (_delete('sparse_depth_file'), "no key 'sparse_depth_file'"),
        (_set('id', 1), r'images\[1\].id: found 1'),
        (_set('id', 'b'), r'annotations\[1\].image_id: found 2'),
        (_set('width', 0), r'images\[1\].width'),
        (_set('cam2img', [[1, 0], [0, 1]]), r'images\[1\].cam2img'),
        (_set('cam2img', [[1, 0, 2], [0, 'x', 2], [0, 0, 1]]), 'cam2img'),
        (_set('cam2img', [[1, 0, 2], [0, -1, 2], [0, 0, 1]]), 'fy > 0'),
        (_set('cam2img', None), 'cam2img'),
        (_delete('gt_depth_map_file'), 'gt_depth_map_file in 3 of 4'),
        (lambda data: data['annotations'].pop(), 'image id 4'),
        (_set('image_id', 99, 'annotations'), r'annotations\[1\].image_id'),
        (_set('image_id', 1, 'annotations'), r'annotations\[1\].image_id'),
        (_delete('segments_info', 'annotations'), 'segments_info'),
        (_segment(category_id=77), r'segments_info\[1\].category_id: found 77'),
        (_segment(id=1), r'segments_info\[1\].id: found 1'),
        (_segment(id=0), 'void'),
        (_delete('isthing', 'categories'), 'isthing'),
        (_set('id', 1, 'categories'), 'a category id twice'),
        (_set('sparse_depth_file', 'sparse_depth/x.png'), '1 of 20'),
        (_set('height', 47, i=0), r'size \(h, w\) = \(48, 96\)'),
        (_set('sparse_depth_scale', 0, i=0), 'sparse_depth_scale: found 0'),
    ],
)
def test_broken_annotations(root, change, found):
    edit(root, change)
    with pytest.raises(InputError, match=found):
        build(root)


def test_missing_and_broken_json(root):
    path = root / 'annotations/panoptic_train.json'
    path.write_text('{"images": [')
    with pytest.raises(InputError, match='panoptic_train.json.*broken JSON'):
        build(root)
    path.unlink()
    with pytest.raises(InputError, match='panoptic_train.json.*no such file'):
        build(root)


def test_missing_files_give_one_error(root):
    for name in (
        'panoptic/train_00001.png',
        'panoptic/train_00003.png',
        'gt_depth_map/train_00003.png',
    ):
        (root / name).unlink()
    with pytest.raises(InputError) as error:
        build(root)
    message = str(error.value)
    assert '3 of 20' in message and 'panoptic_train.json' in message
    # one of them in full
    assert (
        str(root / 'panoptic/train_00001.png') in message
        or str(root / 'gt_depth_map/train_00003.png') in message
    )


def test_missing_folder(root):
    for file in (root / 'gt_depth_map').iterdir():
        file.unlink()
    (root / 'gt_depth_map').rmdir()
    with pytest.raises(InputError, match='4 of 20.*gt_depth_map'):
        build(root)


@pytest.mark.parametrize(
    'name, image, found',
    [
        ('sparse_depth', np.zeros((48, 96), np.uint8), 'uint8'),
        ('gt_depth_map', np.zeros((40, 96), np.uint16), r'\(40, 96\)'),
        ('panoptic', np.zeros((48, 96), np.uint8), 'uint8 array'),
        ('source/rgb', np.zeros((48, 90, 3), np.uint8), r'\(48, 90\)'),
    ],
)
def test_first_frame_is_read(root, name, image, found):
    suffix = 'jpg' if name == 'source/rgb' else 'png'
    cv2.imwrite(str(root / name / f'train_00000.{suffix}'), image)
    with pytest.raises(InputError, match=found):
        build(root)


def test_undecodable_image(root):
    (root / 'source/rgb/train_00000.jpg').write_bytes(b'none')
    with pytest.raises(InputError, match='cannot be decoded'):
        build(root)


def test_lazy_init_reads_nothing(tmp_path):
    dataset = build(tmp_path / 'absent', lazy_init=True)
    assert dataset.metainfo['classes'] == CLASSES
    with pytest.raises(InputError, match='no such file'):
        dataset.full_init()
