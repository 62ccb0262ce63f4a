"""The data contract: what is written is what is read, with keys of today and of before."""

import json

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from pandepth_mm.structures.annotations import (
    FrameRecord,
    coco_categories,
    read_annotations,
    segments_of,
    write_annotations,
)

CATEGORIES = coco_categories(['Car'], ['Sky', 'Road'], [(1, 2, 3), (4, 5, 6), (7, 8, 9)])
IDS = np.array([[0, 2, 2], [513, 513, 70001], [2, 513, 70001]])  # void, Sky, Car, Road


def category_of(segment):
    return {2: 2, 513: 1, 70001: 3}[segment]


def record(**changes):
    values = dict(
        file_name='rgb/a.jpg',
        width=3,
        height=3,
        cam2img=[[5.0, 0.0, 1.0], [0.0, 5.0, 0.5], [0.0, 0.0, 1.0]],
        sparse_depth_file='sparse_depth/a.png',
        sparse_depth_scale=256.0,
        gt_depth_map_file='gt_depth_map/a.png',
        gt_depth_map_scale=256.0,
        dense_depth_file='depth/a.png',
        dense_depth_scale=100.0,
        panoptic_file='a.png',
        segments=segments_of(IDS, category_of, [1]),
    )
    return FrameRecord(**{**values, **changes})


@pytest.fixture
def written(tmp_path):
    """Two frames, the first with a track and an origin, the second with what must be there."""
    tracked = record(scene='Scene01', frame=0)
    tracked.segments[1]['track_id'] = 7
    bare = record(
        file_name='rgb/b.jpg',
        sparse_depth_scale=None,
        gt_depth_map_scale=None,
        dense_depth_file=None,
        dense_depth_scale=None,
        panoptic_file='b.png',
    )
    write_annotations(tmp_path, 'val', [tracked, bare], CATEGORIES, dict(seed=3), first_id=11)
    return tmp_path / 'annotations/panoptic_val.json', [tracked, bare]


def read(path):
    return read_annotations(str(path), ['Car'], ['Sky', 'Road'])


def test_segments_by_hand():
    things = segments_of(IDS, category_of, [1])
    rle = things[1].pop('segmentation')
    assert things == [
        dict(id=2, category_id=2, area=3, bbox=[0, 0, 3, 3], iscrowd=0),
        dict(id=513, category_id=1, area=3, bbox=[0, 1, 2, 2], iscrowd=0),
        dict(id=70001, category_id=3, area=2, bbox=[2, 1, 1, 2], iscrowd=0),
    ]
    np.testing.assert_array_equal(mask_utils.decode([rle])[..., 0], IDS == 513)
    assert segments_of(np.zeros((2, 3), int), category_of, [1]) == []


def test_what_is_written_is_read(written):
    path, records = written
    content = read(path)
    assert content.info == dict(seed=3)
    assert content.labels == {1: 0, 2: 1, 3: 2}
    assert content.is_thing == {1: True, 2: False, 3: False}
    for image_id, frame, expected in zip((11, 12), content.frames, records, strict=True):
        for key, value in vars(expected).items():
            if key not in ('id', 'segments'):
                assert getattr(frame, key) == value, key
        assert frame.id == image_id
        assert [s['id'] for s in frame.segments] == [2, 513, 70001]
        assert not {'segmentation', 'track_id'} & set(frame.segments[1])
    assert 'dense_depth_file' not in content.images[1]


def test_instances_are_the_things(written):
    data = json.loads(written[0].with_name('instances_val.json').read_text())
    assert data['categories'] == CATEGORIES[:1]
    assert data['images'] == json.loads(written[0].read_text())['images']
    first, second = data['annotations']
    assert (first['id'], first['image_id'], first['track_id']) == (1, 11, 7)
    assert (second['id'], second['image_id']) == (2, 12) and 'track_id' not in second
    assert first['segment_id'] == 513 and first['segmentation']['size'] == [3, 3]


def test_keys_of_earlier_versions(written):
    """A file of version 1 of the converter reads like one of today."""
    path, _ = written
    expected = read(path)
    text = path.read_text()
    for former, key in (('depth_gt', 'gt_depth_map'), ('depth', 'dense_depth')):
        for part in ('file', 'scale'):
            text = text.replace(f'"{key}_{part}"', f'"{former}_{part}"')
    assert text.count('"depth_gt_file"') == 2 and text.count('"depth_scale"') == 1
    path.write_text(text)
    assert read(path) == expected
