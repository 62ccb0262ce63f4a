"""PanDepthDataPreprocessor, from a DataLoader's batch on."""

import copy

import pytest
import torch
from mmengine.dataset import pseudo_collate
from tiny_dataset import make_tiny_dataset, tiny_config
from torch.utils.data import ConcatDataset, DataLoader

from pandepth_mm.registry import DATASETS, MODELS

MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)
LOAD_INPUT = [dict(type='LoadImageFromFile'), dict(type='LoadDepthMap', key='sparse_depth')]
LOAD_GT = [dict(type='LoadPanopticMap'), dict(type='LoadDepthMap', key='gt_depth_map')]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('out'), num_frames=2, empty_frames=(1,))


def load_batch(root, training):
    """A batch of two frames of different size, through a DataLoader."""
    resize = [dict(type='ResizePanopticDepth')]
    middle = LOAD_GT + resize if training else resize + LOAD_GT
    pipeline = LOAD_INPUT + middle + [dict(type='PackPanopticDepthInputs')]
    parts = [
        DATASETS.build(tiny_config(root, pipeline=pipeline, img_scale=size, indices=[index]))
        for index, size in enumerate([(80, 40), (70, 50)])
    ]
    loader = DataLoader(ConcatDataset(parts), batch_size=2, collate_fn=pseudo_collate)
    return next(iter(loader))


def build(**kwargs):
    cfg = dict(
        type='PanDepthDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=True, pad_size_divisor=32
    )
    return MODELS.build({**cfg, **kwargs})


def test_training_batch(root):
    batch = load_batch(root, training=True)
    given = copy.deepcopy(batch)
    out = build()(batch, training=True)
    inputs = out['inputs']
    assert inputs['img'].shape == (2, 3, 64, 96)
    assert inputs['sparse_depth'].shape == (2, 1, 64, 96)
    assert inputs['cam2img'].shape == (2, 3, 3)
    assert all(t.dtype == torch.float32 for t in inputs.values())
    for i, (h, w) in enumerate([(40, 80), (50, 70)]):
        bgr = given['inputs']['img'][i].float()
        rgb = (bgr[[2, 1, 0]] - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[
            :, None, None
        ]
        torch.testing.assert_close(inputs['img'][i, :, :h, :w], rgb)
        depth = inputs['sparse_depth'][i]
        assert torch.equal(depth[:, :h, :w], given['inputs']['sparse_depth'][i])
        assert (depth > 0).sum() > 50
        # the padding holds nothing: 0 in the image, void, no depth, no mask
        outside = torch.ones(64, 96, dtype=torch.bool)
        outside[:h, :w] = False
        assert (inputs['img'][i][:, outside] == 0).all()
        assert (depth[:, outside] == 0).all()
        assert torch.equal(inputs['cam2img'][i], given['inputs']['cam2img'][i])

        sample, before = out['data_samples'][i], given['data_samples'][i]
        assert sample.batch_input_shape == (64, 96)
        assert sample.pad_shape == (64, 96)
        assert sample.img_shape == (h, w)
        for field, key, value in (('gt_sem_seg', 'sem_seg', 255), ('gt_depth_map', 'data', 0)):
            padded = getattr(sample.get(field), key)
            plain = getattr(before.get(field), key)
            assert padded.shape == (1, 64, 96)
            assert torch.equal(padded[:, :h, :w], plain)
            assert (padded[:, outside] == value).all()
        masks = sample.gt_instances.masks.masks
        assert masks.shape[1:] == (64, 96)
        assert (masks[:, outside.numpy()] == 0).all()
        assert (masks[:, :h, :w] == before.gt_instances.masks.masks).all()
        assert isinstance(sample.gt_instances.bboxes, torch.Tensor)
        # for metrics and pictures: as the network saw it, without padding
        assert torch.equal(sample.sparse_depth.data, given['inputs']['sparse_depth'][i])
    assert len(out['data_samples'][0].gt_instances) == 3
    assert len(out['data_samples'][1].gt_instances) == 0


def test_testing_leaves_the_truth_at_original_size(root):
    out = build()(load_batch(root, training=False), training=False)
    assert out['inputs']['sparse_depth'].shape == (2, 1, 64, 96)
    for sample, size in zip(out['data_samples'], [(40, 80), (50, 70)], strict=True):
        assert sample.gt_depth_map.data.shape == (1, 48, 96)
        assert sample.gt_sem_seg.sem_seg.shape == (1, 48, 96)
        assert sample.gt_instances.masks.masks.shape[1:] == (48, 96)
        assert sample.sparse_depth.data.shape == (1, *size)
        assert sample.batch_input_shape == (64, 96)


@pytest.mark.parametrize('training', [False, True])
@pytest.mark.parametrize('absent', [False, True])
def test_inference_without_samples(root, training, absent):
    batch = load_batch(root, training=True)
    if absent:
        del batch['data_samples']
    else:
        batch['data_samples'] = None
    out = build()(batch, training=training)
    assert out['data_samples'] is None
    assert out['inputs']['img'].shape == (2, 3, 64, 96)
    assert out['inputs']['sparse_depth'].shape == (2, 1, 64, 96)


def test_stacked_inputs_are_taken_too(root):
    depth = torch.rand(2, 1, 33, 40)
    inputs = dict(
        img=torch.zeros(2, 3, 33, 40, dtype=torch.uint8),
        sparse_depth=depth,
        cam2img=torch.eye(3).expand(2, 3, 3),
    )
    out = build(pad_size_divisor=1)(dict(inputs=inputs))['inputs']
    assert out['img'].shape == (2, 3, 33, 40)
    assert torch.equal(out['sparse_depth'], depth)
    assert torch.equal(out['cam2img'], torch.eye(3).expand(2, 3, 3))


def test_truth_is_optional_in_training(root):
    batch = load_batch(root, training=True)
    for sample in batch['data_samples']:
        del sample.gt_depth_map
    out = build()(batch, training=True)
    assert all('gt_depth_map' not in s for s in out['data_samples'])


def test_sizes_must_agree(root):
    batch = load_batch(root, training=True)
    batch['inputs']['sparse_depth'][1] = torch.zeros(1, 40, 80)
    with pytest.raises(ValueError, match=r'\(40, 80\).*\(50, 70\)'):
        build()(batch, training=True)
