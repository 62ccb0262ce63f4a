"""The values of configs/_base_ that decide results, shown by what they do.

Where no other source is named, the value is that of mmdet's Mask R-CNN with an FPN
(mask-rcnn_r50_fpn), whose parts are used here.
"""

import math
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmcv.ops import batched_nms
from mmcv.transforms import Compose
from mmengine.config import Config, ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from tool_toy import ToyModel
from torch.nn import BatchNorm2d

from pandepth_mm.fileio import write_depth_png, write_panoptic_png
from pandepth_mm.registry import METRICS, MODELS, TRANSFORMS, set_default_scope

CONFIGS = Path(__file__).parents[1] / 'configs' / 'pandepth'
PAPER = CONFIGS / 'pandepth_effb5_vkitti2.py'
MINI = CONFIGS / 'pandepth_effb0_minivkitti.py'
INPUT = (200, 1000)  # height and width of the paper's input
STRIDES = (4, 8, 16, 32)
# Sides in pixels of the square anchors of each level: 2, 4 and 8 strides. The paper on FPN has 8
# alone, of which the smallest is larger than most instances of a frame.
ANCHOR_SIDES = ((8, 16, 32), (16, 32, 64), (32, 64, 128), (64, 128, 256))


def load(path=PAPER):
    cfg = Config.fromfile(path)
    cfg.model.backbone.init_cfg = None  # no download
    return cfg


@pytest.fixture(scope='module')
def cfg():
    return load()


@pytest.fixture(scope='module')
def model(cfg):
    """The paper's model, untrained."""
    set_default_scope()  # the fixture of the module comes before conftest's
    torch.manual_seed(0)
    return MODELS.build(cfg.model).eval()


# ---- the network


@pytest.mark.parametrize('path, eps, momentum', [(PAPER, 1e-3, 0.01), (MINI, 1e-5, 0.1)])
def test_norms_are_those_of_the_weights(path, eps, momentum):
    """EfficientNet's: 1e-3 on the variance (as mmdet has it), a decay of 0.99.

    The demo trains from scratch and shortly, with PyTorch's defaults.
    """
    norms = [m for m in MODELS.build(load(path).model).modules() if type(m) is BatchNorm2d]
    assert len(norms) > 50
    for norm in norms:
        x = torch.full((2, norm.num_features, 1, 1), 0.1)
        norm.train()(x)
        mean = torch.full((norm.num_features,), 0.1 * momentum)
        torch.testing.assert_close(norm.running_mean, mean)
        norm.eval().running_var.fill_(1e-3)  # small: here it matters
        expected = (x - 0.1 * momentum) / math.sqrt(1e-3 + eps)
        torch.testing.assert_close(norm(x), expected)


def test_stochastic_depth_rises_to_a_fifth(model):
    """As in mmdet's configs of EfficientNet (retinanet_effb3_fpn)."""
    rates = [m.drop_prob for m in model.backbone.modules() if hasattr(m, 'drop_prob')]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.2)


def test_input_is_normalized_as_for_imagenet_and_not_padded(model):
    """The weights know R, G, B of this mean and std, here in 0..1.

    Padding would be image content, and the paper's input is 200 x 1000.
    """
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    rgb = 255 * (mean + std * torch.tensor([1, 2, 3]))
    image = rgb.flip(0)[:, None, None].expand(3, *INPUT)  # mmcv loads BGR
    inputs = dict(img=[image], sparse_depth=[torch.zeros(1, *INPUT)], cam2img=[torch.eye(3)])
    found = model.data_preprocessor(dict(inputs=inputs))['inputs']['img']
    expected = torch.tensor([1.0, 2.0, 3.0])[:, None, None].expand(1, 3, *INPUT)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_losses_are_summed_without_weights_but_for_depth(model):
    """Paper, equations 1 to 5, each on errors whose loss is known."""
    logits, labels = torch.zeros(1, model.num_classes, 4, 4), torch.zeros(1, 4, 4, dtype=torch.long)
    logits[:, 0, 1:] = 30.0  # no loss but on the worst quarter
    (semantic,) = model.semantic_head.loss_by_feat(logits, labels).values()
    (joint,) = model.joint_head.loss_by_feat(logits, labels).values()
    assert semantic.item() == joint.item() == pytest.approx(math.log(model.num_classes))
    meters = torch.full((1, 1, 4, 4), 10.0)
    (depth,) = model.depth_head.loss_by_feat(meters + 3, meters).values()
    assert depth.item() == pytest.approx(9 * 0.026)  # test_depth_weighs_as_in_the_authors_code
    box_head, mask_head = model.roi_head.bbox_head, model.roi_head.mask_head
    zeros = torch.zeros(1, 4)  # three things and background; a box
    assert box_head.loss_cls(zeros, torch.tensor([3])).item() == pytest.approx(math.log(4))
    for head in (model.rpn_head, box_head):
        assert head.loss_bbox(zeros, zeros + 0.5).item() == pytest.approx(0.5)  # L1
    loss_mask = mask_head.loss_mask(
        torch.zeros(1, 3, 28, 28), torch.ones(1, 28, 28), labels[0, 0, :1]
    )
    assert loss_mask.item() == pytest.approx(math.log(2))
    # the RPN's first loss: test_anchors_across_the_border_are_trained


# ---- the instance branch


def test_anchors(model):
    """Three sizes a level, three shapes, on every position of the features."""
    with torch.no_grad():
        feats = model.extract_feat(torch.zeros(1, 3, *INPUT))
    sizes = [tuple(f.shape[-2:]) for f in feats]
    assert sizes == [tuple(math.ceil(side / s) for side in INPUT) for s in STRIDES]
    levels = model.rpn_head.prior_generator.grid_priors(sizes, device='cpu')
    for anchors, (rows, cols), stride, sides in zip(
        levels, sizes, STRIDES, ANCHOR_SIDES, strict=True
    ):
        anchors = anchors.reshape(rows, cols, 9, 4)
        x0, y0, x1, y1 = anchors.unbind(-1)
        shapes = torch.stack([y1 - y0, x1 - x0], -1)
        # height to width 1:2, 1:1, 2:1, of one area
        ratios = torch.tensor([[0.5**0.5, 2**0.5], [1, 1], [2**0.5, 0.5**0.5]])
        expected = (ratios[:, None] * torch.tensor(sides)[None, :, None]).flatten(0, 1)
        torch.testing.assert_close(shapes, expected.expand_as(shapes), rtol=1e-4, atol=1e-4)
        step = anchors[1, 1, 4] - anchors[0, 0, 4]
        assert step.tolist() == [stride] * 4


@pytest.mark.parametrize('path', [PAPER, MINI])
def test_all_configs_share_the_anchors(path):
    generator = load(path).model.rpn_head.anchor_generator
    assert generator == load(PAPER).model.rpn_head.anchor_generator


@pytest.mark.parametrize('name, bins, cells', [('bbox', 7, 3), ('mask', 14, 1)])
def test_rois_are_read_at_the_strides_of_the_features(model, name, bins, cells):
    """7 x 7 bins (paper, section 3.4), 14 x 14 for masks of 28 (Mask R-CNN).

    Each bin is the mean of the cells in it (``sampling_ratio=0``), of the level that FPN's equation
    1 gives: 224 px belong to stride 16.
    """
    extractor = getattr(model.roi_head, f'{name}_roi_extractor')
    feats = [torch.randn(1, 256, 64, 64) for _ in STRIDES]
    for x, stride in zip(feats, STRIDES, strict=True):
        side = bins * cells
        found = extractor(feats, torch.tensor([[0.0, 0, 0, side * stride, side * stride]]))
        expected = x[:, :, :side, :side].unflatten(3, (bins, cells)).unflatten(2, (bins, cells))
        torch.testing.assert_close(found, expected.mean(dim=(3, 5)), rtol=1e-4, atol=1e-4)


def candidates(*overlaps):
    """Boxes whose IoU with [0, 0, 100, 100] is the overlap."""
    return torch.tensor([[0.0, 0.0, 100.0, 100.0 * iou] for iou in overlaps])


def assigned(assigner, boxes, objects):
    """Which box belongs to which object, from 1; 0 background, -1 neither."""
    gt = InstanceData(bboxes=objects, labels=torch.zeros(len(objects), dtype=torch.long))
    return assigner.assign(InstanceData(priors=boxes), gt).gt_inds.tolist()


def test_anchors_of_an_object_overlap_it_by_0_7(model):
    """Faster R-CNN: over 0.7 or the best; under 0.3 background."""
    assigner, one = model.rpn_head.assigner, candidates(1.0)
    assert assigned(assigner, candidates(0.29, 0.31, 0.69, 0.71, 0.9), one) == [0, -1, -1, 1, 1]
    # the best anchor of an object, if it overlaps by 0.3 at all
    assert assigned(assigner, candidates(0.1, 0.31), one) == [0, 1]
    assert assigned(assigner, candidates(0.1, 0.29), one) == [0, 0]


def test_rois_of_an_object_overlap_it_by_a_half(model):
    """Fast R-CNN, with everything below as background."""
    assigner, one = model.roi_head.bbox_assigner, candidates(1.0)
    assert assigned(assigner, candidates(0.05, 0.49, 0.51, 0.9), one) == [0, 0, 1, 1]
    assert assigned(assigner, candidates(0.05, 0.49), one) == [0, 0]
    # the best RoI of an object is its, though it overlaps another one more
    assert assigned(assigner, candidates(1.0, 0.9), candidates(1.0, 0.55)) == [1, 2]


@pytest.mark.parametrize(
    'name, objects, expected',
    [
        ('rpn', 1000, (128, 128)),  # Faster R-CNN: 256, up to 1:1
        ('rpn', 10, (10, 246)),
        ('rcnn', 1000, (128, 384)),  # Fast R-CNN: a quarter; FPN: 512
        ('rcnn', 10, (11, 501)),  # the object itself is one of the RoIs
    ],
)
def test_samples_of_a_training_step(model, name, objects, expected):
    head = dict(rpn=model.rpn_head, rcnn=model.roi_head)[name]
    assigner = model.rpn_head.assigner if name == 'rpn' else head.bbox_assigner
    sampler = head.sampler if name == 'rpn' else head.bbox_sampler
    boxes = candidates(*[0.8] * objects, *[0.1] * 1000)
    gt = InstanceData(bboxes=candidates(1.0), labels=torch.zeros(1, dtype=torch.long))
    priors = InstanceData(priors=boxes)
    sampled = sampler.sample(assigner.assign(priors, gt), priors, gt)
    assert (len(sampled.pos_inds), len(sampled.neg_inds)) == expected


def test_anchors_across_the_border_are_trained(model):
    """Else no anchor is left for an object that fills the image."""
    size = (6, 6)  # every anchor is larger
    maps = [(math.ceil(size[0] / s),) * 2 for s in STRIDES]
    scores = [torch.zeros(1, 9, *m) for m in maps]
    deltas = [torch.zeros(1, 36, *m) for m in maps]
    gt = InstanceData(bboxes=torch.tensor([[0.0, 0.0, *size]]), labels=torch.tensor([0]))
    metas = [dict(img_shape=size, pad_shape=size, batch_input_shape=size)]
    losses = model.rpn_head.loss_by_feat(scores, deltas, [gt], metas)
    assert sum(losses['loss_rpn_cls']).item() == pytest.approx(math.log(2))
    assert sum(losses['loss_rpn_bbox']).item() > 0


def after_nms(cfg, *overlaps):
    """Which of the boxes of these overlaps with the first one are kept."""
    scores = torch.linspace(0.9, 0.1, len(overlaps))
    return batched_nms(candidates(*overlaps), scores, torch.zeros(len(scores)), cfg)[1].tolist()


@pytest.mark.parametrize('training, best', [(True, 2000), (False, 1000)])
def test_proposals(cfg, model, training, best):
    """FPN: 1000 in all, of the best 2000 of a level, or 1000 in testing."""
    proposals = cfg.model.train_cfg.rpn_proposal if training else cfg.model.test_cfg.rpn
    assert after_nms(proposals.nms, 1.0, 0.71, 0.4) == [0, 2]
    assert after_nms(proposals.nms, 1.0, 0.69, 0.4) == [0, 1, 2]

    maps = [(50, 250), (1, 1), (1, 1), (1, 1)]
    # the smallest boxes there are, so that none overlaps another much
    small = torch.tensor([0.0, 0.0, -9.0, -9.0] * 9)[None, :, None, None]

    def number(**changes):
        (found,) = model.rpn_head.predict_by_feat(
            [torch.zeros(1, 9, *m) for m in maps],
            [small.expand(1, 36, *m) for m in maps],
            batch_img_metas=[dict(img_shape=INPUT)],
            cfg=ConfigDict(proposals, **changes),
        )
        return len(found)

    assert number() == 1000
    assert best < number(max_per_img=10**6) <= best + 27  # 27 of the other levels


def detected(model, boxes, scores, deltas=None):
    """What the box head makes of RoIs, their scores for class 0, deltas."""
    rois = torch.cat([torch.zeros(len(boxes), 1), boxes], dim=1)
    logits = torch.full((len(boxes), model.num_things + 1), -30.0)
    scores = torch.tensor(scores)
    logits[:, 0], logits[:, -1] = scores.log(), (1 - scores).log()
    if deltas is None:
        deltas = torch.zeros(len(boxes), 4 * model.num_things)
    metas = [dict(img_shape=INPUT, ori_shape=INPUT, scale_factor=(1.0, 1.0))]
    (found,) = model.roi_head.bbox_head.predict_by_feat(
        (rois,), (logits,), (deltas,), metas, model.roi_head.test_cfg
    )
    return found


def test_detections(model):
    """Many, for AP: scores over 0.05, overlaps up to a half, the best 100."""
    apart = torch.tensor([[20.0 * (i % 50), 20.0 * (i // 50), 0, 0] for i in range(200)])
    apart[:, 2:] = apart[:, :2] + 10
    assert len(detected(model, apart, [0.9] * 200)) == 100
    found = detected(model, apart[:3], [0.051, 0.049, 0.9])
    assert found.scores.tolist() == pytest.approx([0.9, 0.051])
    for overlap, number in ((0.49, 2), (0.51, 1)):
        assert len(detected(model, candidates(1.0, overlap), [0.9, 0.8])) == number


def test_box_deltas_are_scaled_and_belong_to_a_class(model):
    """Faster R-CNN divides the targets by 0.1 and 0.2; the RPN by 1."""
    deltas = torch.zeros(1, 4 * model.num_things)
    deltas[0, :4] = torch.tensor([1.0, 2.0, 1.0, -1.0])
    deltas[0, 4:] = 3.0  # other classes'
    box = torch.tensor([[100.0, 50.0, 200.0, 150.0]])
    (found,) = detected(model, box, [0.9], deltas).bboxes.tolist()
    width, height = 100 * math.exp(0.2), 100 * math.exp(-0.2)
    x, y = 150 + 100 * 0.1, 100 + 100 * 0.2
    expected = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    assert found == pytest.approx(expected, abs=1e-3)
    decoded = model.rpn_head.bbox_coder.decode(box, torch.tensor([[0.1, 0.2, 0.2, -0.2]]))
    assert decoded[0].tolist() == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize('logit, area', [(0.1, 100), (-0.1, 0)])
def test_masks_are_those_of_the_fusion(model, logit, area):
    """Which takes positive logits, that is a probability over a half."""
    found = InstanceData(bboxes=torch.tensor([[10.0, 10, 20, 20]]), labels=torch.tensor([1]))
    metas = [dict(ori_shape=INPUT, scale_factor=(1.0, 1.0))]
    logits = torch.full((1, model.num_things, 28, 28), logit)
    (found,) = model.roi_head.mask_head.predict_by_feat(
        (logits,), [found], metas, model.roi_head.test_cfg
    )
    assert found.masks.sum() == area


# ---- the losses


def test_depth_weighs_as_in_the_authors_code(model):
    """Units of 2.55 m, the sum over the measured pixels divided by all of them."""
    rng = torch.Generator().manual_seed(0)
    pred, gt = (80 * torch.rand(2, 1, 200, 1000, generator=rng) for _ in range(2))
    gt[torch.rand(gt.shape, generator=rng) >= 0.171] = 0
    units = (pred - gt)[gt > 0] / 2.55
    expected = units.square().sum() / gt.numel()
    found = model.depth_head.loss_by_feat(pred, gt)['loss_depth']
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


# ---- the fusion


def fused(head, spans, scores, stuff=0):
    """Fuse instances over these columns, on a map with some px of class 3."""
    logits = torch.ones(head.num_classes, *INPUT)
    logits[-1] = 2.0
    logits[3].flatten()[:stuff] = 3.0
    instances = InstanceData(
        bboxes=torch.tensor([[x0, 0.0, x1, 200.0] for x0, x1 in spans]).reshape(-1, 4),
        scores=torch.tensor(scores),
        labels=torch.zeros(len(spans), dtype=torch.long),
        mask_logits=torch.full((len(spans), 28, 28), 5.0),
        masks=torch.zeros(len(spans), *INPUT, dtype=torch.bool),
    )
    for mask, (x0, x1) in zip(instances.masks, spans, strict=True):
        mask[:, int(x0) : int(x1)] = True
    return head.predict(logits, instances)


@pytest.mark.parametrize('built', ['config', 'PanopticFusion', 'HeuristicFusion'])
def test_fusion_has_the_thresholds_of_efficientps(model, built):
    """EfficientPS: score 0.5, overlap 0.5, stuff of 2048 px of 1024 x 2048.

    The classes' defaults are the same.
    """
    head = model.panoptic_fusion
    if built != 'config':
        head = MODELS.build(dict(type=built, num_things=3, num_stuff=11))
    for score, shown in ((0.51, True), (0.49, False)):
        assert (fused(head, [(0.0, 100.0)], [score]) >= 1000).any() == shown
    for start, number in ((51.0, 2), (49.0, 1)):  # 49 and 51 of 100 columns
        panoptic = fused(head, [(0.0, 100.0), (start, start + 100)], [0.9, 0.8])
        assert len(panoptic[panoptic >= 1000].unique()) == number
    least = math.ceil(2048 * (INPUT[0] * INPUT[1]) / (1024 * 2048))
    for area, shown in ((least, True), (least - 1, False)):
        assert (fused(head, [], [], stuff=area) == 3).any() == shown


# ---- the data


METRES = dict(sparse_depth=10, gt_depth_map=20, dense_depth=30)


def record(folder, instances, size=INPUT):
    """A data set's record of a road with instances (top, left, mask)."""
    ids = np.ones(size, dtype=np.int32)
    for i, (top, left, mask) in enumerate(instances):
        mask = np.asarray(mask, dtype=bool)
        ids[top : top + mask.shape[0], left : left + mask.shape[1]][mask] = 100 + i
    write_panoptic_png(folder / 'panoptic.png', ids)
    depth = {}
    for key, meters in METRES.items():
        write_depth_png(folder / f'{key}.png', np.full(size, meters, np.float32), 256)
        depth.update({f'{key}_path': str(folder / f'{key}.png'), f'{key}_scale': 256.0})
    cv2.imwrite(str(folder / 'image.png'), np.zeros((*size, 3), np.uint8))
    segments = [dict(id=1, category=8, isthing=False, iscrowd=0, area=int((ids == 1).sum()))]
    segments += [
        dict(id=100 + i, category=1, isthing=True, iscrowd=0, area=int((ids == 100 + i).sum()))
        for i in range(len(instances))
    ]
    return dict(
        img_path=str(folder / 'image.png'),
        seg_map_path=str(folder / 'panoptic.png'),
        segments_info=segments,
        num_classes=14,
        height=size[0],
        width=size[1],
        img_id=0,
        img_scale=INPUT[::-1],
        cam2img=np.diag([700.0, 700.0, 1.0]),
        **depth,
    )


def run_pipeline(cfg, split, record):
    steps = cfg[f'{split}_dataloader'].dataset.pipeline
    return Compose([TRANSFORMS.build(step) for step in steps])(record)


def test_tiny_instances_are_not_trained(cfg, model, tmp_path):
    """Under 2 px across or under 8 px: half a cell of the finest features.

    Nor are they background: anchors and RoIs on them are neither.
    """
    seven, eight = np.ones((3, 3)), np.ones((3, 3))
    seven[0, :2], eight[0, 0] = 0, 0
    tiny = [np.ones((1, 9)), np.ones((9, 1)), seven]
    kept = [eight, np.ones((20, 30)), np.ones((2, 40))]
    instances = [(50, 100 * i, m) for i, m in enumerate([*tiny, *kept])]
    sample = run_pipeline(cfg, 'train', record(tmp_path, instances))['data_samples']
    areas = sample.gt_instances.masks.masks.sum(axis=(1, 2)).tolist()
    assert areas == [8, 600, 80]
    assert len(sample.gt_instances.bboxes) == len(sample.gt_instances.labels) == 3
    assert sample.ignored_instances.masks.masks.sum(axis=(1, 2)).tolist() == [9, 9, 7]

    objects, ignored = sample.gt_instances, sample.ignored_instances
    for boxes in (objects, ignored):
        boxes.bboxes = boxes.bboxes.tensor
    center = (ignored.bboxes[:, :2] + ignored.bboxes[:, 2:]) / 2
    anchors = torch.cat([center - 4, center + 4], dim=1)  # the smallest
    anchors = torch.cat([anchors, anchors + 60])  # there is the road
    for assigner in (model.rpn_head.assigner, model.roi_head.bbox_assigner):
        result = assigner.assign(InstanceData(priors=anchors), objects, ignored)
        assert result.gt_inds.tolist() == [-1, -1, -1, 0, 0, 0]


def test_a_frame_that_loses_its_instances_is_trained(cfg, tmp_path):
    """Its semantics and depth are still worth it."""
    item = run_pipeline(cfg, 'train', record(tmp_path, [(50, 100, np.ones((2, 2)))]))
    sample = item['data_samples']
    assert len(sample.gt_instances.bboxes) == 0
    assert (sample.gt_sem_seg.sem_seg == 1).sum() == 4


@pytest.mark.parametrize('split, at_input_size', [('train', True), ('val', False), ('test', False)])
def test_ground_truth_is_compared_at_its_own_size(cfg, tmp_path, split, at_input_size):
    """The training's lies on the network's grid, the metrics' is untouched."""
    original = (375, 1242)
    item = run_pipeline(cfg, split, record(tmp_path, [(50, 100, np.ones((40, 50)))], original))
    sample = item['data_samples']
    assert item['inputs']['img'].shape[1:] == INPUT
    assert item['inputs']['sparse_depth'].shape[1:] == INPUT
    assert (item['inputs']['sparse_depth'] == METRES['sparse_depth']).all()
    assert (sample.gt_depth_map.data == METRES['gt_depth_map']).all()
    size = INPUT if at_input_size else original
    assert sample.gt_depth_map.data.shape[1:] == size
    assert sample.gt_sem_seg.sem_seg.shape[1:] == size
    assert sample.gt_instances.masks.masks.shape[1:] == size


def test_splits(cfg):
    """Each reads its own file; only the training is shuffled."""
    for split in ('train', 'val', 'test'):
        loader = cfg[f'{split}_dataloader']
        assert split in loader.dataset.ann_file
        assert loader.sampler.shuffle == (split == 'train')
        assert loader.dataset.get('test_mode', False) == (split != 'train')


def test_depth_is_judged_within_the_range_of_the_model(cfg):
    """DPQ by the three relative errors of ViP-DeepLab."""
    (metric,) = (m for m in cfg.test_evaluator if 'Panoptic' in m.type)
    assert cfg.model.max_depth == 80
    assert not any('max_depth' in m for m in cfg.test_evaluator)  # it is the model's
    assert metric.depth_lambdas == (0.1, 0.25, 0.5)
    assert cfg.val_evaluator == cfg.test_evaluator


@METRICS.register_module()
class PlannedMetric(BaseMetric):
    """Gives the next of the planned values, whatever is predicted."""

    def __init__(self, name, values):
        super().__init__()
        self.name, self.values = name, iter(values)

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {self.name: next(self.values)}


@pytest.mark.parametrize('row', ['', 'depth-only', 'semantic-only', 'instance-only'])
def test_the_best_checkpoint_is_the_best(tmp_path, row):
    """Of errors the least, of all other metrics the largest."""
    cfg = Config.fromfile(CONFIGS / 'table1' / f'{row}.py' if row else PAPER)
    hook = cfg.default_hooks.checkpoint
    metric = hook.save_best
    loader = dict(batch_size=2, num_workers=0, dataset=dict(type='ToyDataset', length=2))
    Runner(
        model=ToyModel(),
        work_dir=str(tmp_path),
        train_dataloader=dict(loader, sampler=dict(type='DefaultSampler')),
        val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
        val_evaluator=dict(type='PlannedMetric', name=metric, values=[0.3, 0.5, 0.1, 0.4]),
        train_cfg=dict(cfg.train_cfg, max_epochs=4),
        val_cfg=dict(),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        default_hooks=dict(checkpoint=hook, logger=None, timer=None),
        default_scope='pandepth_mm',
        experiment_name=tmp_path.name,
        log_level='ERROR',
    ).train()
    best = 3 if metric == 'depth/rmse' else 2
    (path,) = tmp_path.glob('best_*.pth')
    assert path.name == f'best_{metric.replace("/", "_")}_epoch_{best}.pth'
