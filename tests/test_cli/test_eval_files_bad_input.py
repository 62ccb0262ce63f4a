"""tools/eval_files.py and --format-only: files that are wrong, broken, half."""

import json
import shutil

import numpy as np
import pytest
from prediction_run import FRAMES, SHAPE, formatter, write
from pycocotools import mask as mask_utils

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_json, write_depth_png, write_json, write_label_png
from pandepth_mm.structures.vkitti2_meta import CLASSES


@pytest.mark.parametrize('content', ['file', 'folder', 'itself'])
def test_a_folder_that_is_in_use(run, tmp_path, content):
    _, samples, meta = run
    out = tmp_path / 'pred'
    if content == 'file':
        out.write_text('x')
    elif content == 'folder':
        (out / 'notes').mkdir(parents=True)
    else:
        write(samples, meta, out)
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(InputError, match='new or an empty folder'):
        formatter(meta, out)
    assert sorted(tmp_path.rglob('*')) == before


def test_interrupted_runs(run, run_tool, tmp_path, monkeypatch):
    gt, samples, meta = run
    out = tmp_path / 'pred'
    evaluator = formatter(meta, out)
    evaluator.process(samples[:2])
    assert not list(out.glob('*.json'))  # killed here
    code, _, err = run_tool('eval_files', gt, out)
    assert code == 2 and 'info.json: found no such file' in err

    def full_disk(data, f):
        f.write('{"annotations": [')
        raise OSError('no space left')

    monkeypatch.setattr('pandepth_mm.fileio.json.dump', full_disk)
    evaluator.process(samples[2:])
    with pytest.raises(OSError, match='no space'):
        evaluator.evaluate(FRAMES)
    assert not [p for p in out.iterdir() if p.is_file()]


# of a mask of 100 x 100 pixels, too many for the image
LARGE = mask_utils.encode(np.ones((100, 100), np.uint8, 'F'))['counts'].decode()


def first_png(kind):
    return f'{kind}/Scenetest_clone_Camera_0_00000.png'


def edit(name, change):
    """A function that changes a JSON of a folder of predictions."""

    def apply(folder):
        path = folder / name
        data = json.loads(path.read_text())
        changed = change(data)
        write_json(path, data if changed is None else changed)

    return apply


def resize(folder):
    write_depth_png(folder / first_png('depth'), np.ones((48, 95)))


def gray(folder):
    write_label_png(folder / first_png('panoptic'), np.zeros(SHAPE, np.uint8))


def segment(data):
    return data['annotations'][0]['segments_info'][0]


BAD = {
    'no info': (lambda f: (f / 'info.json').unlink(), 'info.json: found no such file'),
    'broken': (
        lambda f: (f / 'panoptic.json').write_text('{"annot'),
        'panoptic.json: found broken JSON',
    ),
    'no list': (
        lambda f: (f / 'instances_bbox.json').write_text('{}'),
        'instances_bbox.json: found a JSON dict',
    ),
    'no boxes': (
        lambda f: (f / 'instances_bbox.json').unlink(),
        'instances_bbox.json: found no such file',
    ),
    'no png': (
        lambda f: (f / first_png('semantic')).unlink(),
        f'1 files missing, the first is */{first_png("semantic")}',
    ),
    'wrong size': (resize, f'{first_png("depth")}: found size'),
    'gray': (gray, f'{first_png("panoptic")}: found uint8'),
    'version': (edit('info.json', lambda d: d.update(format='v9')), "format: found 'v9'"),
    'kind': (
        edit('info.json', lambda d: d['predictions'].append('flow')),
        "predictions: found 'flow'",
    ),
    'classes': (edit('info.json', lambda d: d['thing_classes'].reverse()), 'thing_classes: found'),
    'frame': (
        edit('info.json', lambda d: d['images'].pop() and None),
        'none for 1 of 3 images, the first is Scenetest_clone_Camera_0_00002',
    ),
    'panoptic frame': (
        edit('panoptic.json', lambda d: d['annotations'].pop() and None),
        'none for 1 images, the first is Scenetest',
    ),
    'image': (
        edit('panoptic.json', lambda d: d['annotations'][0].update(image_id=77)),
        'annotations[0].image_id: found 77',
    ),
    'category': (
        edit('panoptic.json', lambda d: segment(d).update(category_id=99)),
        'annotations[0].segments_info[0].category_id: found 99',
    ),
    'segment': (
        edit('panoptic.json', lambda d: segment(d).update(id=500)),
        'segment ids [1] that are not among [500',
    ),
    'box category': (
        edit('instances_bbox.json', lambda d: d[0].update(category_id=99)),
        '[0].category_id: found 99',
    ),
    'stuff box': (
        edit('instances_bbox.json', lambda d: d[0].update(category_id=len(CLASSES))),
        'the category of a thing',
    ),
    'box': (
        edit('instances_bbox.json', lambda d: d[0].update(bbox=[1, 2])),
        '[0].bbox: found [1, 2]',
    ),
    'score': (
        edit('instances_segm.json', lambda d: d[0].update(score='1')),
        "[0].score: found '1'",
    ),
    'other score': (
        edit('instances_segm.json', lambda d: d[0].update(score=0.5)),
        'other detections in image Scenetest',
    ),
    'fewer masks': (
        edit('instances_segm.json', lambda d: d[1:]),
        'other detections in image Scenetest',
    ),
    'rle': (
        edit('instances_segm.json', lambda d: d[0]['segmentation'].update(size=[5, 5])),
        '[0].segmentation: found',
    ),
    'counts': (
        edit('instances_segm.json', lambda d: d[0]['segmentation'].update(counts=LARGE)),
        'a broken RLE',
    ),
    'code': (
        edit(
            'info.json', lambda d: d['settings']['pipeline'].append(dict(type='os.mkdir', path='x'))
        ),
        'settings.pipeline: found',
    ),
    'metric': (
        edit('info.json', lambda d: d['settings'].update(metrics=[dict(type='os.getcwd')])),
        'settings.metrics: found',
    ),
    'argument': (
        edit(
            'info.json', lambda d: d['settings'].update(metrics=[dict(type='DepthMetric', fil=1)])
        ),
        "argument 'fil'",
    ),
    'data set': (
        edit('info.json', lambda d: d['settings']['dataset'].update(pipeline=[])),
        'settings.dataset: found',
    ),
}


@pytest.mark.parametrize('name', BAD)
def test_bad_predictions(tiny_root, files, run_tool, tmp_path, name):
    damage, message = BAD[name]
    pred = tmp_path / 'pred'
    shutil.copytree(files, pred)
    damage(pred)
    gt = tiny_root / 'annotations/panoptic_test.json'
    code, _, err = run_tool('eval_files', gt, pred, '--out', tmp_path / 'm.json')
    last = err.strip().splitlines()[-1]
    assert code == 2, err
    assert last.startswith('error: ') and 'Traceback' not in err
    assert message.replace('*', str(pred)) in last
    assert not (tmp_path / 'm.json').exists()


def test_bad_annotations(tiny_root, files, run_tool, tmp_path):
    folder = tiny_root / 'annotations'
    for gt, message in (
        (tmp_path / 'no.json', 'found no such file'),
        (folder, 'found a folder'),
        (folder / 'panoptic_val.json', 'another split'),
        (folder / 'instances_test.json', 'segments_info'),
    ):
        code, _, err = run_tool('eval_files', gt, files)
        assert code == 2, err
        last = err.strip().splitlines()[-1]
        assert last.startswith('error: ') and message in last, last
    # ids that start at 1 in every split: the names tell them apart
    data = read_json(folder / 'panoptic_test.json')
    for image in data['images']:
        image['scene'] = 'Other'
    write_json(tmp_path / 'a' / 'gt.json', data)
    code, _, err = run_tool('eval_files', tmp_path / 'a/gt.json', files)
    assert code == 2 and 'another split' in err
    # a file that the annotations list is not there
    moved = tmp_path / 'moved'
    shutil.copytree(tiny_root, moved)
    next((moved / 'sparse_depth').glob('test_*')).unlink()
    code, _, err = run_tool('eval_files', moved / 'annotations/panoptic_test.json', files)
    assert code == 2 and 'sparse_depth' in err
    # elsewhere than above the annotations
    shutil.copy(folder / 'panoptic_test.json', tmp_path / 'panoptic_t.json')
    code, _, err = run_tool(
        'eval_files',
        tmp_path / 'panoptic_t.json',
        files,
        '--data-root',
        tiny_root,
        '--source-root',
        tiny_root / 'source',
    )
    assert code == 0, err
