"""Instances from centers and votes."""

import math

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch.nn import functional as F

from pandepth_mm.errors import InputError
from pandepth_mm.models.instance_heads import BoxVoteHead
from pandepth_mm.models.instance_heads.box_votes import (
    BoxVotes,
    _box_masks,
    _median_votes,
    decode_boxes,
    decode_instances,
    mask_boxes,
)

SIZE = (64, 96)  # of the image; maps have half of it
CAR = [(10, 8, 50, 40, 0)]  # x0, y0, x1, y1, class
TWO = [(4, 4, 44, 32, 0), (50, 20, 90, 60, 2)]
# pixels: votes at the border of a mask are blended with those beside it, and count a little
BORDER = 0.3


def make_head(**kwargs):
    torch.manual_seed(0)
    return BoxVoteHead(3, in_channels=6, channels=8, geometry_channels=5, **kwargs)


def instances(boxes, masks=None, size=SIZE):
    """Of rectangles, or of masks with their boxes; later ones hide earlier ones' pixels."""
    if masks is None:
        masks = np.zeros((len(boxes), *size), np.uint8)
        for i, (x0, y0, x1, y1, _) in enumerate(boxes):
            masks[:i, y0:y1, x0:x1] = 0
            masks[i, y0:y1, x0:x1] = 1
    return InstanceData(
        bboxes=torch.tensor([b[:4] for b in boxes], dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([b[4] for b in boxes], dtype=torch.long),
        masks=BitmapMasks(masks, *size),
    )


def sample_of(boxes=(), ignored=(), ori_shape=SIZE, masks=None):
    sample = DetDataSample(metainfo=dict(img_shape=SIZE, ori_shape=ori_shape))
    sample.gt_instances = instances(boxes, masks)
    sample.ignored_instances = instances(ignored)
    return sample


def targets_of(head, sample):
    size = (SIZE[0] // 2, SIZE[1] // 2)
    return head._targets(sample, size, torch.zeros(1))


def perfect_votes(head, sample):
    """What a head says that has learned its targets by heart."""
    heat, boxes, _, things, _ = targets_of(head, sample)
    height, width = heat.shape[1:]
    x = (torch.arange(width) + 0.5) * 2
    y = (torch.arange(height)[:, None] + 0.5) * 2
    sides = torch.stack([x - boxes[0], y - boxes[1], boxes[2] - x, boxes[3] - y])
    none = (boxes[2] == 0).expand(4, -1, -1)
    sides = torch.where(none, torch.tensor(8.0), sides)
    centers = F.max_pool2d(heat.clamp(1e-6, 1 - 1e-6).logit(), 3, 1, 1)  # smoothing changes none
    return BoxVotes(centers[None], sides[None], (40 * things - 20)[None])


def centers_at(logits):
    """Centers of nothing but some peaks of 3x3 cells, (1, 3, h, w).

    Args:
        logits: Logit by class, row and column of the peak.
    """
    centers = torch.full((1, 3, SIZE[0] // 2, SIZE[1] // 2), -20.0)
    for (label, row, column), logit in logits.items():
        centers[0, label, row, column] = logit
    return F.max_pool2d(centers, 3, 1, 1)


def overlap(a, b):
    return ((a & b).sum() / (a | b).sum()).item()


# ---- what the votes mean


def test_votes_of_a_pixel():
    sides = torch.zeros(1, 4, 2, 3)
    sides[0, :, 1, 2] = torch.tensor([1.0, 2, 3, 4])
    boxes = decode_boxes(sides)[0]
    assert boxes[:, 1, 2].tolist() == [5 - 1, 3 - 2, 5 + 3, 3 + 4]  # cell (1, 2) is at (5, 3)
    assert boxes[:, 0, 0].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize('boxes', [CAR, TWO, [(0, 0, 96, 64, 1)], [(7, 9, 18, 23, 2)], []])
def test_perfect_votes_give_the_ground_truth(boxes):
    head = make_head()
    sample = sample_of(boxes)
    (found,) = head.predict(perfect_votes(head, sample), None, [sample], rescale=False)
    found = found[found.scores > 0.9]
    assert len(found) == len(boxes)
    order = torch.argsort(found.bboxes[:, 0])  # as the lists above
    truth = sample.gt_instances
    torch.testing.assert_close(found.bboxes[order], truth.bboxes, rtol=0, atol=BORDER)
    assert torch.equal(found.labels[order], truth.labels)
    masks = torch.from_numpy(truth.masks.masks).bool()
    assert found.masks.shape == (len(boxes), *SIZE) and found.masks.dtype == torch.bool
    for mask, expected in zip(found.masks[order], masks, strict=True):
        assert overlap(mask, expected) > 0.9


@pytest.mark.parametrize('rescale', [False, True])
def test_boxes_stay_within_the_image(rescale):
    """Of an image that padding makes larger: one thing at its edge, one in the padding."""
    head = make_head()
    votes = perfect_votes(head, sample_of([(40, 8, 80, 40, 0), (72, 8, 94, 40, 1)]))
    sample = DetDataSample(metainfo=dict(img_shape=(50, 70), ori_shape=(100, 140)))
    (found,) = head.predict(votes, None, [sample], rescale)
    found = found[found.scores > 0.9]
    scale = 2 if rescale else 1
    expected = torch.tensor([[40.0, 8, 70, 40]]) * scale
    torch.testing.assert_close(found.bboxes, expected, rtol=0, atol=BORDER * scale)
    assert found.bboxes[0, 2] == 70 * scale and found.masks.shape[1:] == (50 * scale, 70 * scale)


def test_a_hidden_half_goes_to_the_one_in_front():
    """Two cars whose boxes overlap by a third."""
    head = make_head()
    sample = sample_of([(8, 8, 56, 48, 0), (40, 12, 88, 52, 0)])
    (found,) = head.predict(perfect_votes(head, sample), None, [sample], rescale=False)
    found = found[found.scores > 0.9]
    order = torch.argsort(found.bboxes[:, 0])
    torch.testing.assert_close(found.bboxes[order], sample.gt_instances.bboxes, rtol=0, atol=BORDER)
    masks = torch.from_numpy(sample.gt_instances.masks.masks).bool()
    for mask, expected in zip(found.masks[order], masks, strict=True):
        assert overlap(mask, expected) > 0.85


@pytest.mark.parametrize('front_first', [False, True])
def test_center_under_another_instance(front_first):
    """The larger one's center is hidden by a smaller one; the order of the list is no matter."""
    head = make_head()
    masks = np.zeros((2, *SIZE), np.uint8)
    masks[0, 8:56, 8:88] = 1  # center at (48, 32)
    masks[0, 24:56, 40:68] = 0
    masks[1, 24:56, 40:68] = 1
    boxes = [(8, 8, 88, 56, 0), (40, 24, 68, 56, 2)]
    if front_first:
        masks, boxes = masks[::-1], boxes[::-1]
    sample = sample_of(boxes, masks=np.ascontiguousarray(masks))
    (found,) = head.predict(perfect_votes(head, sample), None, [sample], rescale=False)
    found = found[found.scores > 0.9]
    assert sorted(found.labels.tolist()) == [0, 2]
    for label, box in ((0, [8, 8, 88, 56]), (2, [40, 24, 68, 56])):
        assert found.bboxes[found.labels == label][0].tolist() == pytest.approx(box, abs=BORDER)
    large, small = (found.masks[found.labels == label][0] for label in (0, 2))
    truth = torch.from_numpy(sample.gt_instances.masks.masks).bool()
    if front_first:
        truth = truth.flip(0)
    assert overlap(large, truth[0]) > 0.8 and overlap(small, truth[1]) > 0.8


def test_of_one_center_the_smaller_wins():
    """One cell has one vote: of two instances of a class one is left, of two classes its box."""
    head = make_head()
    for label, labels in ((0, [0]), (2, [0, 2])):
        sample = sample_of([(8, 8, 88, 56, 0), (32, 22, 64, 42, label)])
        (found,) = head.predict(perfect_votes(head, sample), None, [sample], rescale=False)
        found = found[found.scores > 0.9]
        assert sorted(found.labels.tolist()) == labels
        for box in found.bboxes.tolist():
            assert box == pytest.approx([32, 22, 64, 42], abs=BORDER)


def test_center_on_stuff():
    """Of a ring: the center votes, but is no pixel of a thing."""
    head = make_head()
    masks = np.zeros((1, *SIZE), np.uint8)
    masks[0, 8:56, 8:88] = 1
    masks[0, 20:44, 24:72] = 0
    sample = sample_of([(8, 8, 88, 56, 1)], masks=masks)
    _, boxes, weight, things, _ = targets_of(head, sample)
    assert boxes[:, 16, 24].tolist() == [8, 8, 88, 56] and weight[16, 24] == 1
    assert things[0, 16, 24] == 0
    (found,) = head.predict(perfect_votes(head, sample), None, [sample], rescale=False)
    assert overlap(found.masks[0], torch.from_numpy(masks[0]).bool()) > 0.8


# ---- the targets


def test_targets_by_hand():
    head = make_head()
    heat, boxes, weight, things, counts = targets_of(head, sample_of(CAR))
    # center at (30, 24): cell (12, 15)
    assert (heat == 1).nonzero().tolist() == [[0, 12, 15]]
    assert heat[0, 12, 16] == heat[0, 11, 15] < 1
    inside = torch.zeros(32, 48, dtype=torch.bool)
    inside[4:20, 5:25] = True
    assert torch.equal(things[0] > 0, inside)
    assert (boxes[:, inside] == torch.tensor([10.0, 8, 50, 40])[:, None]).all()
    assert (boxes[:, ~inside] == 0).all() and (weight[~inside] == 0).all()
    elsewhere = weight[inside][weight[inside] < 1]
    assert len(elsewhere) == 16 * 20 - 1
    assert elsewhere.sum().item() == pytest.approx(math.sqrt(320), rel=0.01)
    assert (counts == 1).all()


def test_ignored_pixels_do_not_count():
    """Crowds, and instances too small: whatever is predicted there costs nothing."""
    head = make_head()
    sample = sample_of(CAR, ignored=[(60, 10, 90, 50, 0)])
    *_, counts = targets_of(head, sample)
    hidden = torch.zeros(32, 48, dtype=torch.bool)
    hidden[5:25, 30:45] = True
    assert torch.equal(counts[0] == 0, hidden)
    votes = perfect_votes(head, sample)
    noise = BoxVotes(*(m.clone() for m in votes))
    for maps in noise:
        maps[..., hidden] = 5.0
    one, two = (head.loss_by_feat(v, [sample]) for v in (votes, noise))
    for name, value in one.items():
        torch.testing.assert_close(two[name], value)
    seen = head.loss_by_feat(noise, [sample_of(CAR)])
    assert seen['loss_center'] > two['loss_center'] + 1
    assert seen['loss_thing'] > two['loss_thing'] + 0.5


def test_sample_without_ignored_instances():
    head = make_head()
    sample = sample_of(TWO)
    votes = perfect_votes(head, sample)
    expected = head.loss_by_feat(votes, [sample])
    del sample.ignored_instances
    sample.gt_instances.bboxes = HorizontalBoxes(sample.gt_instances.bboxes)  # as mmdet has them
    assert head.loss_by_feat(votes, [sample]) == expected


# ---- the losses


def test_losses_by_hand():
    """Everything 0: focal loss, GIoU and cross entropy of a half."""
    head = make_head()
    votes = BoxVotes(
        torch.zeros(1, 3, 32, 48), torch.full((1, 4, 32, 48), 8.0), torch.zeros(1, 1, 32, 48)
    )
    sample = sample_of(CAR)
    losses = head.loss_by_feat(votes, [sample])
    heat, boxes, weight, _, _ = targets_of(head, sample)
    positive = heat == 1
    # (1 - p)^2 log p at peaks, p^2 (1 - t)^4 log(1 - p) elsewhere
    focal = 0.25 * math.log(2) * (1 + (1 - heat[~positive]).pow(4).sum().item())
    assert losses['loss_center'].item() == pytest.approx(focal, rel=1e-4)
    assert losses['loss_thing'].item() == pytest.approx(math.log(2), rel=1e-5)
    total = 0
    for row, col in weight.nonzero().tolist():
        x, y = 2 * col + 1, 2 * row + 1
        a, b = (x - 8, y - 8, x + 8, y + 8), boxes[:, row, col].tolist()
        sides = [min(a[k + 2], b[k + 2]) - max(a[k], b[k]) for k in (0, 1)]
        hull = math.prod(max(a[k + 2], b[k + 2]) - min(a[k], b[k]) for k in (0, 1))
        common = math.prod(max(side, 0) for side in sides)
        union = 256 + 40 * 32 - common
        giou = common / union - (hull - union) / hull
        total += weight[row, col].item() * (1 - giou)
    assert losses['loss_box_vote'].item() == pytest.approx(total / weight.sum().item(), rel=1e-4)


def test_perfect_votes_cost_nothing():
    head = make_head()
    samples = [sample_of(CAR), sample_of(), sample_of(TWO)]
    votes = BoxVotes(
        *(torch.cat(m) for m in zip(*(perfect_votes(head, s) for s in samples), strict=True))
    )
    losses = head.loss_by_feat(votes, samples)
    assert losses['loss_box_vote'] < 1e-5 and losses['loss_thing'] < 1e-5
    zero = BoxVotes(*(torch.zeros_like(m) + 0.1 for m in votes))
    worse = head.loss_by_feat(zero, samples)
    assert all(losses[name] < 0.7 * worse[name] for name in losses)


def test_weights():
    changed = make_head(
        loss_center=dict(type='GaussianFocalLoss', loss_weight=2.0),
        loss_box=dict(type='GIoULoss', loss_weight=3.0),
        loss_thing=4.0,
    )
    votes = BoxVotes(torch.zeros(1, 3, 32, 48), torch.ones(1, 4, 32, 48), torch.zeros(1, 1, 32, 48))
    one, other = (head.loss_by_feat(votes, [sample_of(CAR)]) for head in (make_head(), changed))
    for name, factor in (('loss_center', 2), ('loss_box_vote', 3), ('loss_thing', 4)):
        torch.testing.assert_close(other[name], factor * one[name])


def features(batch=1):
    rng = torch.Generator().manual_seed(0)
    feats = [
        torch.randn(batch, c, SIZE[0] // s, SIZE[1] // s, generator=rng)
        for c, s in ((3, 2), (6, 4), (6, 8), (6, 16), (6, 32))
    ]
    depth = 5 + 20 * torch.rand(batch, 1, *SIZE, generator=rng)
    cam2img = torch.tensor([[60.0, 0, 48], [0, 60, 32], [0, 0, 1]]).expand(batch, 3, 3)
    return feats, depth, cam2img


@pytest.mark.parametrize('boxes', [(), TWO], ids=['no instance', 'two'])
def test_every_parameter_gets_a_gradient(boxes):
    head = make_head()
    votes = head(*features())
    assert [m.shape[1:] for m in votes] == [(3, 32, 48), (4, 32, 48), (1, 32, 48)]
    assert (votes.sides > 0).all()
    losses = head.loss_by_feat(votes, [sample_of(boxes)])
    assert losses.keys() == {'loss_center', 'loss_box_vote', 'loss_thing'}
    sum(losses.values()).backward()
    for name, p in head.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
    assert (losses['loss_box_vote'] == 0) == (not boxes)


def test_new_head_finds_nothing_sure():
    """Every score is near 0.1, so that the focal loss does not start with the background."""
    scores = make_head().eval()(*features()).centers.sigmoid()
    assert scores.min() > 0.05 and scores.max() < 0.2


# ---- the prediction


def test_at_the_original_size():
    head = make_head()
    sample = sample_of(CAR, ori_shape=(96, 192))  # 1.5 times as high, twice as wide
    (found,) = head.predict(perfect_votes(head, sample), None, [sample], rescale=True)
    assert found.bboxes[0].tolist() == pytest.approx([20, 12, 100, 60], abs=BORDER)
    expected = torch.zeros(96, 192, dtype=torch.bool)
    expected[12:60, 20:100] = True
    assert overlap(found.masks[0], expected) > 0.9


def test_padding_does_not_shift():
    """The maps may be larger than the image: masks have the image's size."""
    head = make_head()
    sample = sample_of(CAR)
    votes = perfect_votes(head, sample)
    (expected,) = head.predict(votes, None, [sample], rescale=False)
    values = (-20.0, 8.0, -20.0)
    padded = BoxVotes(
        *(
            torch.nn.functional.pad(m, (0, 16, 0, 16), value=v)
            for m, v in zip(votes, values, strict=True)
        )
    )
    (found,) = head.predict(padded, None, [sample], rescale=False)
    torch.testing.assert_close(found.bboxes, expected.bboxes)
    assert found.masks.shape[1:] == SIZE and torch.equal(found.masks, expected.masks)


def test_number_of_peaks():
    head = make_head(max_per_img=1)
    sample = sample_of(TWO)
    votes = perfect_votes(head, sample)
    assert len(head.predict(votes, None, [sample], rescale=False)[0]) == 1
    assert decode_instances(votes, None, 10**6)[1].shape == (
        1,
        3 * 32 * 48,
    )  # as many as there are cells
    # fewer peaks than asked for: cells that are none have the score 0
    rng = torch.Generator().manual_seed(0)
    votes = votes._replace(
        centers=votes.centers + torch.rand(votes.centers.shape, generator=rng),
        sides=torch.full_like(votes.sides, 0.9),  # no box overlaps another
    )
    scores = decode_instances(votes, None, 10**6)[1][0]
    kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]).expand(3, 1, 3, 3) / 16
    padded = F.pad(votes.centers.sigmoid(), (1, 1, 1, 1), mode='replicate')
    smooth = F.conv2d(padded.double(), kernel.double(), groups=3)
    peaks = F.max_pool2d(smooth, 3, 1, 1) == smooth
    assert 2 < (scores > 0).sum() == peaks.sum() < 2000


def test_score_threshold_and_order():
    sample = sample_of(TWO)
    votes = perfect_votes(make_head(), sample)
    votes = votes._replace(centers=centers_at({(0, 9, 12): 0.0, (2, 20, 35): 1.0}))
    for least, labels in ((0.4, [2, 0]), (0.6, [2]), (0.8, [])):
        (found,) = make_head(score_thr=least).predict(votes, None, [sample], rescale=False)
        assert found.labels.tolist() == labels
        assert found.mask_logits.shape == (len(labels), 28, 28)
        assert found.masks.shape == (len(labels), *SIZE)


def test_semantics_change_scores_and_order():
    """Cube root of peak times mean probability in the mask, by hand; masks and boxes follow."""
    sample = sample_of(TWO)
    votes = perfect_votes(make_head(), sample)
    votes = votes._replace(centers=centers_at({(0, 9, 12): 2.0, (2, 20, 35): 1.0}))
    logits = torch.full((1, 5, *SIZE), -30.0)
    logits[:, 4] = 0.0
    logits[0, 0, 4:32, 4:24] = 30.0  # the left half of the first one is of its class
    logits[0, 2, 20:60, 50:90] = 30.0
    head = make_head()
    (alone,) = head.predict(votes, None, [sample], rescale=False)
    (found,) = head.predict(votes, logits, [sample], rescale=False)
    assert alone.labels.tolist() == [0, 2] and found.labels.tolist() == [2, 0]
    first, second = 1 / (1 + math.exp(-1)), 0.5 / (1 + math.exp(-2))
    assert found.scores.tolist() == pytest.approx(
        [first ** (1 / 3), second ** (1 / 3)],
        rel=0.02,  # cells at the borders are blended
    )
    for key in ('bboxes', 'masks', 'mask_logits'):
        assert torch.equal(found[key], alone[key].flip(0)), key


def test_an_instance_that_the_semantics_deny_is_none():
    sample = sample_of(CAR)
    logits = torch.zeros(1, 5, *SIZE)
    logits[:, 4] = 30.0
    found = make_head().predict(perfect_votes(make_head(), sample), logits, [sample], False)
    assert len(found[0]) == 0


def test_peaks_are_local_maxima_of_a_class():
    logits = {(0, 5, 5): 2.0, (0, 5, 6): 1.0, (0, 5, 10): 1.5, (1, 5, 8): 0.5}
    votes = BoxVotes(centers_at(logits), torch.full((1, 4, 32, 48), 8.0), torch.ones(1, 1, 32, 48))
    (found,) = make_head(score_thr=0.5).predict(votes, None, [sample_of()], rescale=False)
    centers = (found.bboxes[:, :2] + found.bboxes[:, 2:]) / 2
    assert found.labels.tolist() == [0, 0, 1]
    # every pixel votes for a box around itself
    expected = torch.tensor([[11.0, 11], [21, 11], [17, 11]])
    torch.testing.assert_close(centers, expected, rtol=0, atol=2)


def test_the_box_is_the_median_of_its_votes():
    """A third of the votes are too far, also the peak's own."""
    head = make_head()
    sample = sample_of(CAR)
    votes = perfect_votes(head, sample)
    wrong = torch.zeros_like(votes.sides)
    wrong[..., 5:12] = 4  # the left of the columns 5 to 24
    wrong[0, :, 12, 15] = 4  # where the center is
    noisy = votes._replace(sides=votes.sides + wrong)
    peak = decode_boxes(noisy.sides)[0, :, 12, 15]
    (found,) = head.predict(noisy, None, [sample], rescale=False)
    found = found[found.scores > 0.9]
    truth = torch.tensor([10.0, 8, 50, 40])
    assert len(found) == 1
    assert (peak - truth).abs().min() > 3.9
    assert (found.bboxes[0] - truth).abs().max() < 0.1


def test_median_votes_by_loops():
    """By side, weighted by the mask's logit up to 0.5; without any votes the box stays."""
    rng = torch.Generator().manual_seed(0)
    boxes = torch.tensor([[[0.0, 0, 20, 20], [4, 2, 16, 30], [200, 0, 220, 20]]])
    sampled = torch.rand(1, 5, 3, 5, 5, generator=rng) * 12 - 6
    sampled[:, :4] += boxes.transpose(1, 2)[..., None, None]
    sampled[0, 4, 2] = -1.0  # no pixel of a thing
    weights = _box_masks(sampled, boxes)[0].clamp(0, 0.5).flatten(1).tolist()
    partial = [[0 < w < 0.49 for w in instance] for instance in weights]
    assert any(partial[0]) and any(partial[1]) and not any(weights[2])
    found = _median_votes(sampled, boxes)[0]
    for i, weight in enumerate(weights[:2]):
        for side in range(4):
            votes = sampled[0, side, i].flatten().numpy()
            order = np.argsort(votes)
            share = np.array(weight)[order]
            expected = np.interp(sum(share) / 2, np.cumsum(share) - share / 2, votes[order])
            assert found[i, side].item() == pytest.approx(expected, abs=1e-4)
    assert torch.equal(found[2], boxes[0, 2])


def test_of_repeats_the_best_is_kept():
    """Two peaks of a class that vote for one box are one instance; those of two classes are not."""
    head = make_head()
    sample = sample_of(CAR)
    votes = perfect_votes(head, sample)
    logits = {(0, 12, 15): 1.0, (0, 12, 11): 3.0, (2, 10, 15): 2.0}
    votes = votes._replace(centers=centers_at(logits))
    head.score_thr = 0.5
    (found,) = head.predict(votes, None, [sample], rescale=False)
    assert found.labels.tolist() == [0, 2]
    assert found.scores.tolist() == pytest.approx([1 / (1 + math.exp(-x)) for x in (3, 2)])
    # of two equal ones the first
    votes = votes._replace(centers=centers_at(dict(logits) | {(0, 12, 15): 3.0}))
    assert len(head.predict(votes, None, [sample], rescale=False)[0]) == 2


@pytest.mark.parametrize('label', [0, 2])
def test_where_a_better_one_overlaps_the_score_falls(label):
    """Two cars in a row, one behind the other, an IoU of 27 / 53; not if it is of another class."""
    head = make_head()
    sample = sample_of([(10, 8, 50, 40, 0), (23, 8, 63, 40, label)])
    votes = perfect_votes(head, sample)
    (found,) = head.predict(votes, None, [sample], rescale=False)
    best = votes.centers.sigmoid().max().item()
    factor = math.exp(-((27 / 53) ** 2) / 0.5) if label == 0 else 1
    assert found.labels[:2].tolist() == [0, label]
    assert found.scores[:2].tolist() == pytest.approx([best, best * factor], rel=1e-3)


def test_mask_leaves_out_what_votes_otherwise_or_is_no_thing():
    """Logit of the mask: 8 (IoU of the votes - 1/2), at most that of a thing."""
    votes = perfect_votes(make_head(), sample_of([(16, 16, 80, 48, 0)]))
    x = (torch.arange(48) + 0.5) * 2
    y = ((torch.arange(32) + 0.5) * 2)[:, None]
    votes.sides[0] = torch.stack(
        [a + 0 * b for a, b in ((x - 16, y), (y - 16, x), (80 - x, y), (48 - y, x))]
    )
    votes.sides[:, :, :, 36:] = 2.0  # the right eighth of the box votes for small ones
    votes.things[:] = 20.0
    votes.things[:, :, :12] = -3.0  # its upper quarter is no thing
    boxes, _, _, logits = (m[0, 0] for m in decode_instances(votes, None, 1))
    torch.testing.assert_close(boxes, torch.tensor([16.0, 16, 80, 48]))
    torch.testing.assert_close(logits[:6, :20], torch.full((6, 20), -3.0))
    torch.testing.assert_close(logits[9:, :20], torch.full((19, 20), 4.0))
    # there a cell votes for 4 x 4 pixels within the box
    small = 8 * (4 * 4 / (64 * 32) - 0.5)
    assert logits[18, 25].item() == pytest.approx(small, abs=1e-3)


def test_masks_of_large_objects_reach_beyond_their_boxes():
    boxes = torch.tensor([[10.0, 20, 42, 40], [0, 8, 232, 72]])
    expected = torch.tensor([[10.0, 20, 42, 40], [-25, 4, 257, 76]])
    torch.testing.assert_close(mask_boxes(boxes), expected)


def test_a_vote_that_falls_short_keeps_its_mask():
    """Every pixel of a large car votes for three quarters of its width."""
    sample = sample_of([(0, 8, 96, 56, 0)])
    head = make_head()
    votes = perfect_votes(head, sample)
    x = (torch.arange(48) + 0.5) * 2
    votes.sides[0, 0], votes.sides[0, 2] = (x - 12).expand(32, -1), (84 - x).expand(32, -1)
    (found,) = head.predict(votes, None, [sample], rescale=False)
    near = dict(rtol=0, atol=0.1)
    torch.testing.assert_close(found.bboxes[0], torch.tensor([12.0, 8, 84, 56]), **near)
    torch.testing.assert_close(found.mask_boxes[0], torch.tensor([7.0, 6, 89, 58]), **near)
    columns = found.masks[0, 32].nonzero()[:, 0]
    assert (columns.min(), columns.max()) == (7, 88)


def test_box_off_the_image():
    votes = perfect_votes(make_head(), sample_of(CAR))
    votes.sides[..., 12, 15] = torch.tensor([-200.0, 5, 260, 5])
    (found,) = make_head(score_thr=0.9).predict(votes, None, [sample_of()], rescale=False)
    assert len(found) == 0 and found.masks.shape == (0, *SIZE)


@pytest.mark.parametrize('kwargs', [dict(max_per_img=0), dict(score_thr=1.5), dict(loss_thing=0.0)])
def test_bad_arguments(kwargs):
    (name,) = kwargs
    with pytest.raises(InputError, match=f'instance_head: {name}'):
        make_head(**kwargs)
