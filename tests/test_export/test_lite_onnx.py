"""The light family as one file, under onnxruntime on the CPU, against PyTorch."""

import json
import math
import re

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from test_export.export_models import ROOT, lite_model

from pandepth_mm.export import candidate_inputs
from pandepth_mm.export.dense_path import DensePath
from pandepth_mm.export.onnx_file import export_onnx
from pandepth_mm.export.parity import (
    frame_inputs,
    largest_differences,
    match_instances,
    random_frame,
    run_onnx,
    run_pytorch,
)
from pandepth_mm.fileio import write_depth_png
from pandepth_mm.structures.vkitti2_meta import CLASSES

SIZE = (96, 64)
N = 600
INSTANCES = ('boxes', 'scores', 'labels', 'mask_logits', 'mask_boxes')
# a mask's sharp sigmoid is read at places that hang on the box
LIMITS = dict(boxes=1e-2, mask_boxes=1e-2, mask_logits=4e-2)
OUTPUTS = ['logits', 'depth', 'depth_uncertainty', *INSTANCES]


@pytest.fixture(scope='module')
def lite(tmp_path_factory):
    """The small model and its file."""
    model, path = lite_model(), tmp_path_factory.mktemp('lite') / 'lite.onnx'
    # depth is the exponential of what the network adds up: at 80 m rounding shows
    export_onnx(model, path, SIZE, N, classes=CLASSES, tolerance=4e-3)
    return model, path


@pytest.mark.parametrize('count', [0, 1, N])
def test_equals_pytorch(lite, count):
    model, path = lite
    frame = random_frame(SIZE, 80.0, count, seed=count)
    found = largest_differences(model, path, frame, N)
    assert list(found) == OUTPUTS
    assert found.pop('labels') == 0
    for name, difference in found.items():
        assert difference < LIMITS.get(name, 4e-3), name
    expected = run_pytorch(model, frame)
    flat = [name for name in OUTPUTS if name != 'labels' and expected[name].std() < 1e-3]
    assert flat == []


def test_file_says_what_it_takes_and_gives(lite):
    model, path = lite
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    image = [1, 1, 64, 96]
    assert {i.name: (i.type, i.shape) for i in session.get_inputs()} == dict(
        img=('tensor(float)', [1, 3, 64, 96]),
        sparse_depth=('tensor(float)', image),
        cam2img=('tensor(float)', [1, 3, 3]),
        nearest=('tensor(float)', [1, 1, 32, 48]),
    )
    assert {o.name: o.shape for o in session.get_outputs()} == dict(
        logits=[1, 14, 64, 96],
        depth=image,
        depth_uncertainty=image,
        boxes=[1, 20, 4],
        scores=[1, 20],
        labels=[1, 20],
        mask_logits=[1, 20, 28, 28],
        mask_boxes=[1, 20, 4],
    )
    meta = dict(session.get_modelmeta().custom_metadata_map)
    assert json.loads(meta.pop('classes')) == list(CLASSES)
    assert meta.pop('pandepth_mm_version')
    assert json.loads(meta.pop('fusion')) == dict(
        num_things=3, score_thr=0.1, overlap_thr=0.5, stuff_area_limit=12.0
    )
    assert meta == dict(input_size='96x64', max_depth='80.0', score_thr='0.05')


def test_every_input_counts(lite):
    """In the file as in PyTorch."""
    model, path = lite
    inputs = frame_inputs(model, random_frame(SIZE, 80.0, N), N)
    whole = run_onnx(path, inputs)
    changed = dict(
        img=inputs['img'][..., ::-1].copy(),
        sparse_depth=inputs['sparse_depth'] * 0,
        cam2img=inputs['cam2img'] * np.float32([[[2], [2], [1]]]),
        nearest=np.full_like(inputs['nearest'], 40),
    )
    assert set(changed) == set(inputs)
    for name, array in changed.items():
        other = run_onnx(path, dict(inputs, **{name: array}))
        for output in ('logits', 'depth', 'boxes'):
            assert np.abs(other[output] - whole[output]).max() > 1e-2, (name, output)


def test_example_of_the_page(lite, tmp_path, monkeypatch):
    """From the outputs to the model's own panoptic map."""
    model, path = lite
    image, depth, _ = random_frame(SIZE, 80.0, N, seed=5)
    cv2.imwrite(str(tmp_path / 'image.png'), image)
    write_depth_png(tmp_path / 'sparse_depth.png', depth)
    (tmp_path / 'lite.onnx').symlink_to(path)
    page = (ROOT / 'docs/onnx.md').read_text()
    first, second = re.findall(r'^```python\n(.*?)^```', page, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    names = {}
    imports, rest = first.split('\nsession', 1)
    frame = re.search(r'^image = .*\n\n', rest, re.M | re.S)[0].split('\n\n')[0]
    for code in (imports, frame.rsplit('\n', 1)[0], second):
        exec(code, names)
    inputs = {name: torch.from_numpy(array[0]) for name, array in names['inputs'].items()}
    sample = DetDataSample(
        metainfo=dict(img_shape=(64, 96), ori_shape=(64, 96), pad_shape=(64, 96))
    )
    data = dict(
        img=[inputs['img'].flip(0).byte()],
        sparse_depth=[inputs['sparse_depth']],
        cam2img=[inputs['cam2img']],
    )
    (result,) = model.test_step(dict(inputs=data, data_samples=[sample]))
    expected = result.pred_panoptic_seg.sem_seg[0]
    assert (expected >= 1000).any() and len(expected.unique()) > 4
    assert (names['panoptic'] != expected).float().mean() < 1e-3


@pytest.mark.parametrize(
    'changes, inputs, outputs',
    [
        (
            dict(semantic_head=None, instance_head=None, panoptic_fusion=None),
            ['img', 'sparse_depth', 'cam2img', 'nearest'],
            OUTPUTS[1:3],
        ),
        (
            dict(
                depth_head=dict(
                    type='FuseBlockDepthHead', channels=4, num_blocks=1, k=2, semantics=None
                )
            ),
            ['img', 'sparse_depth', 'points', 'pixels', 'knn_indices', 'cam2img'],
            ['logits', 'depth', *INSTANCES],
        ),
        (
            dict(
                depth_head=None,
                semantic_head=None,
                panoptic_fusion=None,
                instance_head=dict(
                    type='BoxVoteHead', in_channels=8, channels=8, geometry_channels=0
                ),
            ),
            ['img'],
            list(INSTANCES),
        ),
    ],
)
def test_parts_of_the_family(changes, inputs, outputs):
    """Unexported: the same function of tensors."""
    model = lite_model(**changes)
    frame = random_frame(SIZE, 80.0, 200)
    path = DensePath(model)
    assert (path.input_names, path.output_names) == (inputs, outputs)
    arrays = path.select(frame_inputs(model, frame, N))
    with torch.no_grad():
        found = path(**{name: torch.from_numpy(array) for name, array in arrays.items()})
    found = {name: value.numpy() for name, value in zip(outputs, found, strict=True)}
    expected = run_pytorch(model, frame)
    assert list(expected) == outputs
    if 'boxes' in outputs:
        match_instances(found, expected)
        assert expected['boxes'].shape[1] > 10
    for name, value in found.items():
        difference = np.abs(value - expected[name])
        assert (difference < LIMITS.get(name, 1e-2)).mean() > 0.98, name
        # where few pixels vote, their median multiplies the rounding
        assert difference.max() < (0.2 if name in INSTANCES else 1e-2), name


def test_mask_rcnn_stays_outside(tmp_path):
    """The shipped model's file has the dense outputs, and no weights of RPN and RoI heads."""
    cfg = Config.fromfile(ROOT / 'configs/_base_/models/pandepth_lite.py').model
    kept = {key: cfg[key] for key in ('instance_neck', 'rpn_head', 'roi_head')}
    for part in (kept['instance_neck'], kept['rpn_head'], *kept['roi_head'].values()):
        if isinstance(part, dict):
            part.update({k: 8 for k in ('in_channels', 'out_channels') if k in part})
    configs = dict(train_cfg=cfg.train_cfg, test_cfg=cfg.test_cfg)
    model = lite_model(instance_head=None, **kept, **configs)
    path = tmp_path / 'lite.onnx'
    export_onnx(model, path, SIZE, N, tolerance=4e-3)
    frame = random_frame(SIZE, 80.0, N)
    found = largest_differences(model, path, frame, N)
    assert list(found) == ['logits', 'depth', 'depth_uncertainty']
    assert max(found.values()) < 4e-3
    weights = onnx.load(path).graph.initializer
    assert sum(math.prod(w.dims) for w in weights) < 1.1 * sum(
        p.numel() for name, p in model.named_parameters() if name.split('.')[0] not in kept
    )


@pytest.mark.parametrize('count', [0, 1, 300])
def test_nearest_is_the_model_s_own(count):
    model = lite_model(semantic_head=None, instance_head=None, panoptic_fusion=None)
    image, depth, cam2img = random_frame(SIZE, 80.0, count, seed=count)
    depth[0, :3] = np.nan, 80.5, -1
    inputs = candidate_inputs(image, depth, cam2img, 80.0)
    assert {name: array.dtype.name for name, array in inputs.items()} == dict.fromkeys(
        ('img', 'sparse_depth', 'cam2img', 'nearest'), 'float32'
    )
    tensors = [torch.from_numpy(inputs[name]) for name in ('sparse_depth', 'cam2img', 'nearest')]
    given = model.depth_head.prepare(*tensors).candidates
    searched = model.depth_head.prepare(*tensors[:2]).candidates
    for a, b in zip(given, searched, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    'change, message',
    [
        (dict(image=np.zeros((3, 64, 96))), 'image must be'),
        (dict(cam2img=np.eye(4)), 'cam2img must be'),
        (dict(image=np.zeros((63, 96, 3)), sparse_depth=np.zeros((63, 96))), 'sides must be even'),
        (dict(max_depth=0.0), 'max_depth must be positive'),
    ],
)
def test_bad_arguments(change, message):
    image, depth, cam2img = random_frame(SIZE, 80.0, 3)
    arguments = dict(image=image, sparse_depth=depth, cam2img=cam2img, max_depth=80.0)
    with pytest.raises(ValueError, match=message):
        candidate_inputs(**dict(arguments, **change))


def instances(scores, boxes, labels):
    """Results of one image, each box a square at a place."""
    return dict(
        boxes=np.array([[[x, x, x + 9, x + 9] for x in boxes]], float),
        scores=np.array([scores]),
        labels=np.array([labels]),
        mask_logits=np.array(boxes, float)[None, :, None, None] * np.ones((28, 28)),
        mask_boxes=np.array(boxes, float)[None, :, None] * np.ones(4),
    )


def test_order_of_equal_scores_does_not_matter():
    expected = instances([0.9, 0.8, 0.8, 0.1, 0.1], [5, 20, 20, 60, 70], [0, 0, 1, 2, 2])
    found = instances([0.9, 0.8, 0.8, 0.1, 0.1], [5, 20, 20, 70, 90], [0, 1, 0, 2, 2])
    match_instances(found, expected)
    # the last ones are a matter of rounding
    assert expected['labels'].tolist() == found['labels'].tolist() == [[0, 0, 1]]
    for name, value in expected.items():
        assert np.array_equal(found[name], value), name


@pytest.mark.parametrize(
    'change, named', [(dict(boxes=[5, 21, 60]), 'boxes'), (dict(labels=[1, 1, 1]), 'labels')]
)
def test_another_instance_is_found(change, named):
    good = dict(scores=[0.9, 0.8, 0.1], boxes=[5, 20, 60], labels=[0, 1, 2])
    expected, found = instances(**good), instances(**dict(good, **change))
    match_instances(found, expected)
    assert np.abs(found[named] - expected[named]).max() == 1
