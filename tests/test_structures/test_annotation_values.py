"""Values of a wrong type, in every field of an annotation JSON; and odd ones that are right."""

import copy
import json
import math

import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.prediction_files import frame_names
from pandepth_mm.structures.annotations import check_files, read_annotations
from pandepth_mm.structures.frame_names import id_order

CAM2IMG = [[77.0, 0, 63.5], [0, 77.0, 31.5], [0, 0, 1]]
DATA = dict(
    info=dict(data_root='.'),
    categories=[dict(id=7, name='car', isthing=1), dict(id=9, name='sky', isthing=0)],
    images=[
        dict(
            id=i,
            file_name=f'{i}.png',
            width=128,
            height=64,
            cam2img=CAM2IMG,
            sparse_depth_file=f's{i}.png',
            gt_depth_map_file=f'g{i}.png',
            sparse_depth_scale=256,
            frame=i,
        )
        for i in (1, 2)
    ],
    annotations=[
        dict(
            image_id=i,
            file_name=f'{i}.png',
            segments_info=[dict(id=1000, category_id=7, iscrowd=0), dict(id=2, category_id=9)],
        )
        for i in (1, 2)
    ],
)
TYPES = dict(
    true=True, half=0.5, text='12', empty='', list=[1], dict={}, nan=math.nan, huge=10**400
)
IMAGE, RECORD = ('images', 1), ('annotations', 1)
SEGMENT, CATEGORY = (*RECORD, 'segments_info', 0), ('categories', 0)
NO_FILE = ('true', 'half', 'empty', 'list', 'dict', 'nan', 'huge')
NO_ID = ('true', 'half', 'empty', 'list', 'dict', 'nan')
NO_WHOLE = ('true', 'half', 'text', 'list', 'dict', 'nan')
NO_SCALE = ('true', 'text', 'list', 'dict', 'nan', 'huge')
# place -> names of TYPES that it refuses, and more values that it does
PLACES = {
    (*IMAGE, 'id'): (NO_ID, [None, 1]),
    (*IMAGE, 'file_name'): (NO_FILE, [None]),
    (*IMAGE, 'width'): (NO_WHOLE, [None, 0, -3]),
    (*IMAGE, 'height'): (NO_WHOLE, [None, 0, -3]),
    (*IMAGE, 'cam2img'): (TYPES, [None, [CAM2IMG], [[1, 0, 2], [0, -1, 2], [0, 0, 1]]]),
    (*IMAGE, 'cam2img', 0): (TYPES, [None, [True, 0, 1], ['77', 0, 63.5], [77, 0]]),
    (*IMAGE, 'cam2img', 1, 1): (('true', 'text', 'list', 'dict', 'nan', 'huge'), [None, 0, -1]),
    (*IMAGE, 'sparse_depth_file'): (NO_FILE, [None]),
    (*IMAGE, 'gt_depth_map_file'): (NO_FILE, [None]),
    (*IMAGE, 'dense_depth_file'): (NO_FILE, []),
    (*IMAGE, 'depth_file'): (NO_FILE, []),  # of earlier versions
    (*IMAGE, 'sparse_depth_scale'): (NO_SCALE, [0, -256, math.inf]),
    (*IMAGE, 'gt_depth_map_scale'): (NO_SCALE, [0]),
    (*IMAGE, 'depth_gt_scale'): (NO_SCALE, [0]),
    (*IMAGE, 'frame'): (('true', 'half', 'list', 'dict', 'nan'), []),
    (*IMAGE, 'scene'): (('true', 'half', 'list', 'dict', 'nan'), []),
    (*RECORD, 'image_id'): (TYPES, [None, 1, 3, '2']),
    (*RECORD, 'file_name'): (NO_FILE, [None]),
    (*RECORD, 'segments_info'): (('true', 'half', 'text', 'dict', 'list'), [None, [None], [[]]]),
    (*SEGMENT, 'id'): ((*NO_WHOLE, 'huge'), [None, 0, -1, 2, 2**24]),
    (*SEGMENT, 'category_id'): (TYPES, [None, 8]),
    (*SEGMENT, 'iscrowd'): (('half', 'text', 'list', 'dict', 'nan', 'huge'), [2]),
    (*CATEGORY, 'id'): (NO_WHOLE, [None, 9]),
    (*CATEGORY, 'name'): (TYPES, [None, 'Car']),
    (*CATEGORY, 'isthing'): (('half', 'text', 'list', 'dict', 'nan'), [None, 2, 0]),
    ('info',): (('true', 'half', 'text', 'list', 'huge'), []),
    ('info', 'data_root'): (('true', 'half', 'list', 'dict'), []),
    ('images',): (TYPES, [None, [], [None, None], 'ab']),
    ('annotations',): (('true', 'text', 'dict', 'list'), [None, [[]]]),
    ('categories',): (TYPES, [None, [], [None]]),
}
BAD = [
    pytest.param(place, value, id=f'{".".join(map(str, place))}={str(value)[:24]}')
    for place, (names, values) in PLACES.items()
    for value in (*(TYPES[name] for name in names), *values)
]


def write(path, place=(), value=None):
    data = copy.deepcopy(DATA)
    entry = data
    for key in place[:-1]:
        entry = entry[key]
    if place:
        entry[place[-1]] = value
    path.write_text(json.dumps(data))
    return read_annotations(str(path), ('car',), ('sky',))


@pytest.mark.parametrize('place, value', BAD)
def test_one_line_for_a_wrong_value(tmp_path, place, value):
    with pytest.raises(InputError) as error:
        write(tmp_path / 'a.json', place, value)
    message = str(error.value)
    assert message.startswith(f'{tmp_path / "a.json"}: {place[0]}')
    assert 'found' in message and 'expected' in message and '\n' not in message
    assert len(message) < 400


@pytest.mark.parametrize(
    'place, value',
    [
        ((*IMAGE, 'gt_depth_map_scale'), None),
        ((*IMAGE, 'dense_depth_file'), None),
        ((*IMAGE, 'scene'), ''),
        ((*IMAGE, 'license'), [1]),
        ((*SEGMENT, 'iscrowd'), None),
        ((*SEGMENT, 'iscrowd'), True),
        ((*SEGMENT, 'area'), 'x'),
        ((*SEGMENT, 'bbox'), None),
        ((*CATEGORY, 'isthing'), True),
        (('info',), None),
        (('info', 'data_root'), None),
        (('annotations',), []),
    ],
)
def test_odd_values_that_are_right(tmp_path, place, value):
    found = write(tmp_path / 'a.json', place, value)
    assert found.labels == {7: 0, 9: 1} and found.is_thing == {7: True, 9: False}
    assert [frame.id for frame in found.frames] == [1, 2]


def test_text_ids_and_a_byte_order_mark(tmp_path):
    path = tmp_path / 'a.json'
    text = json.dumps(DATA).replace('"id": 1,', '"id": "a_1",').replace('_id": 1,', '_id": "a_1",')
    path.write_text(text, encoding='utf-8-sig')
    found = read_annotations(str(path), ('car',), ('sky',))
    assert [frame.id for frame in found.frames] == ['a_1', 2]
    assert [frame.panoptic_file for frame in found.frames] == ['1.png', '2.png']


@pytest.mark.parametrize('text', ['', '[' * 100000, '{"images": 1' + '0' * 5000 + '}', '[]', '\0'])
def test_broken_json(tmp_path, text):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(InputError, match='a.json: found'):
        read_annotations(str(tmp_path / 'a.json'), ('car',), ('sky',))


@pytest.mark.parametrize('kind', ['dangling', 'folder', 'nul', 'no folder', 'escapes'])
def test_listed_files_that_are_none(tmp_path, kind):
    (tmp_path / 'a.png').write_bytes(b'')
    path = tmp_path / 'b.png'
    if kind == 'dangling':
        path.symlink_to(tmp_path / 'gone.png')
    elif kind == 'folder':
        path.mkdir()
    elif kind == 'nul':
        path = f'{tmp_path}\0/b.png'
    elif kind == 'no folder':
        path = tmp_path / 'a.png' / 'b.png'
    else:
        path = tmp_path / '../../nowhere/b.png'
    check_files('a.json', [str(tmp_path / 'a.png')])
    with pytest.raises(InputError, match='1 of 2 listed files missing'):
        check_files('a.json', [str(tmp_path / 'a.png'), str(path)])


def test_names_and_order_of_odd_ids():
    images = [dict(id=i, file_name='0.png') for i in ('a/b', 'a-b', '7', 7, 'aachen_000000_000019')]
    names = frame_names(images)
    assert len(set(names.values())) == 5 and not any('/' in name for name in names.values())
    assert names[7] == '0_id7' and names['aachen_000000_000019'] == '0_idaachen_000000_000019'
    assert sorted(['b', 10, 'a', 9], key=id_order) == [9, 10, 'a', 'b']
