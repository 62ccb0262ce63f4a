"""Backbones and necks of mmdet and decode heads of mmseg, by config alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from random_batch import random_batch

from pandepth_mm.errors import InputError
from pandepth_mm.export.onnx_file import export_onnx
from pandepth_mm.registry import MODELS

CONFIG = Path(__file__).parents[3] / 'configs/pandepth/pandepth_r50_fpn_vkitti2.py'


def build(**changes):
    """The config's model with random weights and one fuse block."""
    torch.manual_seed(0)
    cfg = Config.fromfile(CONFIG)
    cfg.model.backbone.init_cfg = None
    cfg.model.depth_head.num_blocks = 1
    cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


def step(model, size):
    data = model.data_preprocessor(random_batch(size=size), training=True)
    losses = model(**data, mode='loss')
    loss, _ = model.parse_losses(losses)
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in model.parameters())
    return losses


def test_trains_predicts_and_exports(tmp_path):
    size = (50, 130)  # no multiple of any stride
    model = build()
    assert 'loss_semantic' in step(model, size)
    model.eval()
    with torch.no_grad():
        (sample,) = model.test_step(random_batch((0,), size=size))
    assert sample.pred_panoptic_seg.sem_seg.shape == (1, *size)
    assert sample.pred_depth_map.data.shape == (1, *size)
    # compared with PyTorch, or it is not written
    differences = export_onnx(model, tmp_path / 'r50.onnx', (96, 64), 300)
    assert set(differences) == {'logits', 'depth'}
    assert np.all(np.array(list(differences.values())) < 1e-3)


def test_own_loss_trains_the_model():
    losses = step(build(**{'semantic_head.loss': None}), (64, 96))
    assert 'semantic.loss_ce' in losses and 'loss_semantic' not in losses


def test_own_losses_without_weight_are_refused():
    """As our own one is: the fusion reads the preliminary logits."""
    weightless = dict(type='CrossEntropyLoss', loss_weight=0.0)
    changes = {'fusion_logits': 'preliminary', 'semantic_head.loss': None}
    for losses in (weightless, [weightless, weightless]):
        with pytest.raises(InputError, match='semantic_head.loss.loss_weight'):
            build(**changes, **{'semantic_head.decode_head.loss_decode': losses})
    weight = dict(type='CrossEntropyLoss', loss_weight=0.1)
    build(**changes, **{'semantic_head.decode_head.loss_decode': [weightless, weight]})


@pytest.mark.parametrize('changes', [{'neck.num_outs': 5}, {'neck.start_level': 1}])
def test_maps_of_other_strides_are_refused(changes):
    with pytest.raises(InputError, match=r'model.neck: found maps .* strides \[4, 8, 16, 32\]'):
        step(build(**changes), (64, 96))


def test_maps_of_other_channels_are_refused():
    with pytest.raises(InputError, match=r'model.neck: found .*\(64, 16, 24\).* 256 channels'):
        step(build(**{'neck.out_channels': 64}), (64, 96))


def test_a_fifth_map_with_anchors_of_its_own():
    changes = {'neck.num_outs': 5, 'rpn_head.anchor_generator.strides': [4, 8, 16, 32, 64]}
    step(build(**changes), (64, 96))
