"""A prediction does not depend on the other images of its batch."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from random_batch import random_batch

from pandepth_mm.registry import MODELS, set_default_scope

MINI = Path(__file__).parents[3] / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
# one row, one column and much larger; and of the same size
SIZES = [(64, 96), (65, 96), (64, 97), (97, 151), (64, 96)]


@pytest.fixture(scope='module')
def model():
    set_default_scope()  # the fixture of the module comes before conftest's
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(MINI).model)
    model.init_weights()
    for head in (model.rpn_head.rpn_reg, model.roi_head.bbox_head.fc_reg):
        torch.nn.init.normal_(head.weight, std=0.1)
    return model.eval()


def batch_of(indices):
    """Frames of ``SIZES``, each with content of its own."""
    frames = [random_batch((i,), size=SIZES[i]) for i in indices]
    return dict(
        inputs={key: [f['inputs'][key][0] for f in frames] for key in frames[0]['inputs']},
        data_samples=[f['data_samples'][0] for f in frames],
    )


def predict(model, indices):
    with torch.no_grad():
        return model.test_step(batch_of(indices))


def assert_same(found, expected):
    for name, key in (
        ('pred_depth_map', 'data'),
        ('pred_sem_seg', 'sem_seg'),
        ('pred_panoptic_seg', 'sem_seg'),
    ):
        assert torch.equal(getattr(found.get(name), key), getattr(expected.get(name), key)), name
    for key in ('bboxes', 'scores', 'labels', 'masks'):
        assert torch.equal(found.pred_instances[key], expected.pred_instances[key]), key
    for key in ('img_id', 'pad_shape', 'batch_input_shape', 'max_depth'):
        assert found.metainfo[key] == expected.metainfo[key], key


@pytest.mark.parametrize('divisor', [1, 32])
def test_equal_to_the_last_bit_in_any_company(model, divisor):
    model.data_preprocessor.pad_size_divisor = divisor
    alone = [predict(model, [i])[0] for i in range(len(SIZES))]
    assert all(len(sample.pred_instances) > 0 for sample in alone)
    for company in ([0, 1], [2, 0], [0, 4], [3, 4, 1, 0, 2]):
        for i, sample in zip(company, predict(model, company), strict=True):
            assert sample.img_id == i  # in the order given
            assert_same(sample, alone[i])
