"""What the detector does between its heads: the last rescale, the RPN's input."""

import math
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from plain_layers import bilinear
from random_batch import random_batch

from pandepth_mm.registry import MODELS

MINI = Path(__file__).parents[3] / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'


def demo_model(**changes):
    """The demo's model, untrained, with changes by dotted key."""
    cfg = Config.fromfile(MINI)
    cfg.merge_from_dict({f'model.{key}': value for key, value in changes.items()})
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    return model


@pytest.mark.parametrize(
    'ori_size, dtype',
    [((75, 120), torch.float32), ((31, 47), torch.float32), ((75, 120), torch.bfloat16)],
)
def test_labels_and_depth_come_from_maps_interpolated_bilinearly(ori_size, dtype, monkeypatch):
    """Larger or smaller than the network's input, its padding cut off first.

    In full precision, also where the branches give less (autocast).
    """
    size = (40, 80)
    model = demo_model(
        **{'data_preprocessor.pad_size_divisor': 32, 'panoptic_fusion.stuff_area_limit': 0}
    ).eval()
    batch = random_batch((0,), size=size)
    batch['data_samples'][0].set_metainfo(
        dict(ori_shape=ori_size, scale_factor=(size[1] / ori_size[1], size[0] / ori_size[0]))
    )
    data = model.data_preprocessor(batch)
    with torch.no_grad():
        out = model.forward_dense(data['inputs'])
        out = out._replace(refined=out.refined.to(dtype), depth=out.depth.to(dtype))
        monkeypatch.setattr(model, 'forward_dense', lambda inputs: out)
        (sample,) = model(**data, mode='predict')
    assert out.refined.shape[-2:] == (64, 96)
    logits, depth = (x[0, :, : size[0], : size[1]].double() for x in (out.refined, out.depth))
    labels = bilinear(logits, ori_size).argmax(0)
    found = sample.pred_sem_seg.sem_seg[0]
    assert len(labels.unique()) > 2
    # float32 may decide differently where two classes are equally likely
    assert (found == labels).float().mean() > 0.999
    torch.testing.assert_close(
        sample.pred_depth_map.data.double(), bilinear(depth, ori_size), rtol=1e-4, atol=1e-4
    )
    # the fusion reads the same logits: what it calls stuff is that label
    panoptic = sample.pred_panoptic_seg.sem_seg[0]
    stuff = panoptic < model.num_classes
    assert stuff.any() and torch.equal(panoptic[stuff], found[stuff])


def test_proposals_of_the_training_follow_its_own_config(monkeypatch):
    model = demo_model(**{'train_cfg.rpn_proposal.max_per_img': 7, 'test_cfg.rpn.max_per_img': 3})
    numbers = dict(loss=[], predict=[])
    for step in numbers:
        call = getattr(model.roi_head, step)

        def spy(feats, proposals, *args, step=step, call=call, **kwargs):
            numbers[step] += [len(p) for p in proposals]
            return call(feats, proposals, *args, **kwargs)

        monkeypatch.setattr(model.roi_head, step, spy)
    model(**model.data_preprocessor(random_batch(), training=True), mode='loss')
    with torch.no_grad():
        model.eval().test_step(random_batch())
    assert numbers == dict(loss=[7, 7], predict=[3, 3])


def test_an_object_of_any_class_is_an_object_to_the_rpn():
    """With logits of 4 everywhere, the loss tells the share of objects.

    An object costs log(1 + exp(-4)), background 4 more. The RPN has one class, 0; any other label
    would be background to it.
    """
    model = demo_model()
    torch.nn.init.zeros_(model.rpn_head.rpn_cls.weight)
    torch.nn.init.constant_(model.rpn_head.rpn_cls.bias, 4.0)
    shares = []
    for label in range(model.num_things):
        batch = random_batch()
        for sample in batch['data_samples']:
            sample.gt_instances.labels[:] = label
        data = model.data_preprocessor(batch, training=True)
        losses = model(**data, mode='loss')
        shares.append(1 - (sum(losses['loss_rpn_cls']).item() - math.log1p(math.exp(-4))) / 4)
        # the box head still learns the classes
        assert all((s.gt_instances.labels == label).all() for s in data['data_samples'])
    assert shares == pytest.approx([shares[0]] * model.num_things, abs=1e-4)
    # at least the best anchor of each of the four objects, of 2 x 256 anchors
    assert shares[0] > 3.9 / 512
