"""tools/eval_files.py on COCO panoptic predictions of other tools."""

import contextlib
import io
import json
import math
import shutil

import numpy as np
import pytest
from prediction_run import SHAPE, compare, metrics_of

from pandepth_mm.fileio import read_json, write_json, write_panoptic_png


@pytest.fixture
def pred(files, tmp_path):
    """What another tool would have written: other file names and keys, no info.json."""
    out = tmp_path / 'pred'
    (out / 'panoptic').mkdir(parents=True)
    data = read_json(files / 'panoptic.json')
    for i, record in enumerate(data['annotations']):
        shutil.copy(files / 'panoptic' / record['file_name'], out / f'panoptic/{i}.png')
        record['file_name'] = f'{i}.png'
        for segment in record['segments_info']:
            segment.update(isthing=True, score=0.5)
    del data['categories']
    write_json(out / 'panoptic.json', data)
    return out


def change(pred, edit):
    data = read_json(pred / 'panoptic.json')
    edit(data)
    write_json(pred / 'panoptic.json', data)


@pytest.mark.parametrize('layout', ['folder', 'json', 'beside'])
def test_pq_is_that_of_panopticapi(run, run_tool, pred, tmp_path, layout):
    gt, samples, meta = run
    truth, found = read_json(gt), read_json(pred / 'panoptic.json')
    where = dict(folder=pred, json=pred / 'panoptic.json', beside=pred / 'panoptic/any.json')[
        layout
    ]
    if layout == 'beside':
        (pred / 'panoptic.json').rename(where)
    code, out, err = run_tool('eval_files', gt, where, '--out', tmp_path / 'm.json')
    assert code == 0, err
    assert 'PanopticMetric()' in out
    got = json.loads((tmp_path / 'm.json').read_text())
    compare(got, metrics_of(samples, meta, [dict(type='PanopticMetric')]))
    assert set(got['details']['panoptic']) == {'per_class', 'confusion'}
    assert 0.05 < got['panoptic/PQ'] < 0.95

    evaluation = pytest.importorskip(
        'panopticapi.evaluation', reason='pip install --no-deps panopticapi-lite'
    )
    categories = {c['id']: c for c in truth['categories']}
    by_id = {a['image_id']: a for a in found['annotations']}
    with contextlib.redirect_stdout(io.StringIO()):
        stat = evaluation.pq_compute_single_core(
            0,
            [(a, by_id[a['image_id']]) for a in truth['annotations']],
            gt.parents[1] / 'panoptic',
            pred / 'panoptic',
            categories,
        )
    for key, isthing in (('PQ', None), ('PQ_th', True), ('PQ_st', False)):
        pq = stat.pq_average(categories, isthing=isthing)[0]['pq']
        assert got[f'panoptic/{key}'] == pytest.approx(pq, abs=1e-9)


def record(data):
    return data['annotations'][1]


def segment(data):
    return record(data)['segments_info'][0]


@pytest.mark.parametrize(
    'edit, message',
    [
        (lambda d: d['annotations'].pop(), 'panoptic.json: annotations: found none for 1 images'),
        (lambda d: d['annotations'].append(dict(record(d), image_id=7)), '[3].image_id: found 7'),
        (lambda d: d['annotations'].append(record(d)), '[3].image_id: found 1002 again'),
        (lambda d: record(d).update(image_id='1002'), "[1].image_id: found '1002'"),
        (lambda d: record(d).update(image_id=[1]), '[1].image_id: found [1]'),
        (lambda d: record(d).update(file_name=None), '[1].file_name: found None'),
        (lambda d: record(d).update(file_name='gone.png'), '1 files missing, the first is'),
        (lambda d: record(d).update(segments_info={}), '[1].segments_info: found {}'),
        (lambda d: record(d).pop('segments_info'), 'an object with'),
        (lambda d: segment(d).update(category_id=99), 'segments_info[0].category_id: found 99'),
        (lambda d: segment(d).update(category_id='1'), "segments_info[0].category_id: found '1'"),
        (lambda d: segment(d).update(id=10**12), 'segments_info[0].id: found 1000000000000'),
        (lambda d: segment(d).update(id=0), 'segments_info[0].id: found 0'),
        (lambda d: segment(d).update(id=1.5), 'segments_info[0].id: found 1.5'),
        (lambda d: segment(d).update(id=math.nan), 'segments_info[0].id: found nan'),
        (lambda d: segment(d).update(id=77), '1.png: found'),
        (lambda d: d.update(categories=[dict(id=1, name='Boat')]), "categories[0].name: found 'B"),
        (lambda d: d.update(annotations=None), 'annotations: found NoneType'),
    ],
)
def test_one_line_for_bad_predictions(run, run_tool, pred, tmp_path, edit, message):
    change(pred, edit)
    code, out, err = run_tool('eval_files', run[0], pred, '--out', tmp_path / 'm.json')
    last = err.strip().splitlines()[-1]
    assert code == 2 and last.startswith('error: ') and message in last, err
    assert not (tmp_path / 'm.json').exists()


@pytest.mark.parametrize(
    'content, message',
    [
        (np.zeros((10, 20), int), '1.png: found size (h, w) = (10, 20)'),
        (np.full(SHAPE, 999), '1.png: found segment ids [999]'),
        (b'', '1.png: found a file that cannot be decoded'),
        (None, 'files missing, the first is'),
    ],
)
def test_one_line_for_a_bad_png(run, run_tool, pred, content, message):
    path = pred / 'panoptic/1.png'
    if content is None:
        path.unlink()
        path.symlink_to(pred / 'gone.png')
    elif isinstance(content, bytes):
        path.write_bytes(content)
    else:
        write_panoptic_png(path, content)
    code, _, err = run_tool('eval_files', run[0], pred)
    last = err.strip().splitlines()[-1]
    assert code == 2 and last.startswith('error: ') and message in last, err


def test_half_of_an_own_run_is_not_taken_for_another_tool(run, run_tool, files, tmp_path):
    shutil.copytree(files, tmp_path / 'pred')
    (tmp_path / 'pred/info.json').unlink()
    code, _, err = run_tool('eval_files', run[0], tmp_path / 'pred')
    assert code == 2 and 'info.json: found no such file' in err
