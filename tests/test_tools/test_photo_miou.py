"""tools/analysis_tools/photo_miou.py with the demo's model on cuts of its image."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from pandepth_mm.apis import PanDepthInferencer

NAME = 'analysis_tools/photo_miou'
FRAME = Path(__file__).parents[2] / 'demo' / 'frame'
MAPPING = dict(
    ground=dict(labels=[3, 4], classes=['Road', 'Terrain']),
    green=dict(labels=[5], classes=['Tree', 'Vegetation']),
    car=dict(labels=[8], classes=['Car', 'Van', 'Truck']),
)
SEED = 0


@pytest.fixture(scope='module')
def photos(tmp_path_factory):
    """Folder of two images and their labels, and both with predicted class names as arrays."""
    root = tmp_path_factory.mktemp('photos')
    for name in ('images', 'labels'):
        (root / name).mkdir()
    inferencer = PanDepthInferencer(device='cpu', show_progress=False)
    whole = cv2.imread(str(FRAME / 'image.jpg'))
    rng = np.random.default_rng(SEED)
    pairs = []
    for i, part in enumerate((whole[::3, :600:3], whole[::3, 600::3])):
        part = np.ascontiguousarray(part)
        cv2.imwrite(str(root / 'images' / f'{i}.png'), part)
        labels = rng.choice(np.array([0, 3, 4, 5, 8, 11], np.uint8), (5, 8))
        labels = cv2.resize(labels, part.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(root / 'labels' / f'{i}.png'), labels)
        pairs.append((labels, np.array(inferencer.classes)[inferencer(part).semantic]))
    return root, pairs


def expected_iou(pairs, entry):
    """By sets of pixels."""
    compared = [label for other in MAPPING.values() for label in other['labels']]
    gt, predicted = set(), set()
    for i, (labels, names) in enumerate(pairs):
        for place in np.argwhere(np.isin(labels, compared)):
            pixel = (i, *place)
            if labels[pixel[1:]] in entry['labels']:
                gt.add(pixel)
            if names[pixel[1:]] in entry['classes']:
                predicted.add(pixel)
    return len(gt & predicted) / len(gt | predicted)


@pytest.mark.parametrize('suffix, dump', [('.json', json.dumps), ('.yml', yaml.safe_dump)])
def test_iou_over_merged_classes(run_tool, tmp_path, photos, suffix, dump):
    root, pairs = photos
    mapping = tmp_path / f'mapping{suffix}'
    mapping.write_text(dump(MAPPING))
    out_file = tmp_path / 'out.json'
    arguments = (root / 'images', '--labels', root / 'labels', '--mapping', mapping)
    code, out, err = run_tool(NAME, *arguments, '--device', 'cpu', '--out', out_file)
    assert code == 0, err
    expected = {name: expected_iou(pairs, entry) for name, entry in MAPPING.items()}
    assert 0 < expected['ground'] < 1
    written = json.loads(out_file.read_text())
    assert written['IoU'] == pytest.approx(expected)
    assert written['mIoU'] == pytest.approx(np.mean(list(expected.values())))
    lines = dict(line.split() for line in out.splitlines()[-4:])
    mean = np.mean(list(expected.values()))
    assert {k: float(v) for k, v in lines.items()} == pytest.approx(
        dict(expected, mean=mean), abs=6e-4
    )


def changed(name, **values):
    return {**MAPPING, name: {**MAPPING[name], **values}}


@pytest.mark.parametrize(
    'mapping, message',
    [
        (changed('car', classes=['Bike']), "car.classes: found 'Bike'; expected one of"),
        (changed('car', labels=[300]), 'car.labels: found 300; expected one of'),
        (changed('car', labels=[5]), 'car.labels: found 5, which stands elsewhere too'),
        (changed('car', classes=['Tree']), "car.classes: found 'Tree', which stands elsewhere"),
        ({'car': [8]}, 'car: found [8]; expected {name: {labels'),
        ([1], 'found list; expected {name: {labels'),
    ],
)
def test_bad_mappings(run_tool, tmp_path, photos, mapping, message):
    root, _ = photos
    path = tmp_path / 'mapping.yml'
    path.write_text(json.dumps(mapping))
    arguments = (root / 'images', '--labels', root / 'labels', '--mapping', path)
    code, _, err = run_tool(NAME, *arguments, '--device', 'cpu')
    assert code == 2 and message in err


def test_missing_labels(run_tool, tmp_path, photos):
    root, _ = photos
    mapping = tmp_path / 'mapping.json'
    mapping.write_text(json.dumps(MAPPING))
    code, _, err = run_tool(NAME, root / 'images', '--labels', tmp_path, '--mapping', mapping)
    assert code == 2
    assert f'--labels: found {tmp_path / "0.png"}, no such file; expected the labels of 0' in err
