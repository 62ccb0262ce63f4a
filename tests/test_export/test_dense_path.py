"""The dense path as a function of tensors equals the model, unexported."""

import numpy as np
import pytest
import torch
from test_export.export_models import INSTANCES, SEMANTICS, calibrated_model, small_model

from pandepth_mm.errors import InputError
from pandepth_mm.export.dense_path import DensePath
from pandepth_mm.export.parity import frame_inputs, random_frame, run_pytorch

SIZE = (96, 64)
N = 300


def run(model, inputs):
    path = DensePath(model)
    with torch.no_grad():
        out = path(*(torch.from_numpy(a) for a in path.select(inputs).values()))
    return dict(zip(path.output_names, out, strict=True))


@pytest.fixture(scope='module')
def calibrated():
    return calibrated_model()


@pytest.mark.parametrize('count', [0, 1, 200, N])
def test_equals_the_model(calibrated, count):
    frame = random_frame(SIZE, 80.0, count)
    found = run(calibrated, frame_inputs(calibrated, frame, N))
    expected = run_pytorch(calibrated, frame)
    assert set(found) == set(expected) == {'logits', 'depth'}
    for name, value in expected.items():
        # fewer rows, another order of summation
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-4)
    assert expected['logits'].std() > 1 and expected['depth'].std() > 1


@pytest.mark.parametrize(
    'changes',
    [
        dict(depth_head=dict(residual=None, semantics='softmax')),
        dict(depth_head=dict(stride=2)),
        dict(depth_head=dict(k=2)),
        dict(depth_head=dict(semantics=None), without=('joint_head',)),
        dict(without=('depth_head', 'joint_head')),
        dict(without=(*SEMANTICS, *INSTANCES)),
        dict(data_preprocessor=dict(type='PanDepthDataPreprocessor')),
    ],
)
def test_equals_other_models(changes):
    model = small_model(**changes)
    frame = random_frame((94, 62), 80.0, 200)
    found = run(model, frame_inputs(model, frame, N))
    expected = run_pytorch(model, frame)
    assert set(found) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=0, atol=1e-4)
        assert value.std() > 0


@pytest.mark.parametrize('stride', [1, 2])
def test_padding_contributes_nothing(stride):
    """Whatever stands in its rows: not a bit of the result changes."""
    model = small_model((*SEMANTICS, *INSTANCES), dict(stride=stride))
    inputs = frame_inputs(model, random_frame(SIZE, 80.0, 200), N)
    clean = run(model, inputs)['depth']
    rng = np.random.default_rng(0)
    inputs['points'][200:] = rng.uniform(-1e4, 1e4, (N - 200, 3))
    inputs['knn_indices'][200:] = rng.integers(0, N, (N - 200, 3))
    assert torch.equal(run(model, inputs)['depth'], clean)
    # while the same rows count as soon as they have a pixel
    inputs['pixels'][200:] = rng.integers(0, 64, (N - 200, 2))
    assert (run(model, inputs)['depth'] - clean).abs().max() > 1


def test_points_matter(calibrated):
    inputs = frame_inputs(calibrated, random_frame(SIZE, 80.0, 200), N)
    with_points = run(calibrated, inputs)['depth']
    inputs['pixels'][:] = -1
    assert (run(calibrated, inputs)['depth'] - with_points).abs().max() > 0.1


def test_depth_beyond_the_range_is_dropped_inside(calibrated):
    inputs = frame_inputs(calibrated, random_frame(SIZE, 80.0, 200), N)
    clean = run(calibrated, inputs)['depth']
    empty = np.argwhere(inputs['sparse_depth'][0, 0] == 0)[:3]
    inputs['sparse_depth'][0, 0, empty[:, 0], empty[:, 1]] = 80.5, -1, np.nan
    assert torch.equal(run(calibrated, inputs)['depth'], clean)


def test_inputs_and_outputs_are_those_of_the_branches():
    depth = ['sparse_depth', 'points', 'pixels', 'knn_indices']
    for changes, inputs, outputs in (
        (dict(), ['img', *depth, 'fill'], ['logits', 'depth']),
        (dict(depth_head=dict(residual=None)), ['img', *depth], ['logits', 'depth']),
        (dict(without=(*SEMANTICS, *INSTANCES)), ['img', *depth, 'fill'], ['depth']),
        (dict(without=('depth_head', 'joint_head')), ['img'], ['logits']),
    ):
        path = DensePath(small_model(**changes).train())
        assert (path.input_names, path.output_names) == (inputs, outputs)
        assert not any(m.training for m in path.modules())


@pytest.mark.parametrize(
    'changes, message',
    [
        (
            dict(without=('semantic_head', 'depth_head', 'joint_head', 'panoptic_fusion')),
            'neither a semantic nor a depth',
        ),
        (dict(data_preprocessor=dict(type='mmdet.DetDataPreprocessor')), 'model.data_preprocessor'),
    ],
)
def test_refused_models(changes, message):
    with pytest.raises(InputError, match=message):
        DensePath(small_model(**changes))
