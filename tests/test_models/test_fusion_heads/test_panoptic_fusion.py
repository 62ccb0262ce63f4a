"""Panoptic fusion against a slow loop over the pixels."""

import math

import pytest
import torch
from mmengine.structures import InstanceData

from pandepth_mm.errors import InputError
from pandepth_mm.models.fusion_heads import fuse_panoptic, paste_mask
from pandepth_mm.models.fusion_heads.functional import best_classes, box_region
from pandepth_mm.registry import MODELS


def sample(mask, box, v, u):
    """Mask logit at the center of pixel (v, u); None outside the box."""
    x0, y0, x1, y1 = box
    if not (x0 <= u + 0.5 < x1 and y0 <= v + 0.5 < y1):
        return None
    height, width = len(mask), len(mask[0])
    # cell centers are at (j + 0.5) / n of the box
    y = (v + 0.5 - y0) / (y1 - y0) * height - 0.5
    x = (u + 0.5 - x0) / (x1 - x0) * width - 0.5
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    r, c = min(int(y), height - 2), min(int(x), width - 2)
    r, c = max(r, 0), max(c, 0)
    r1, c1 = min(r + 1, height - 1), min(c + 1, width - 1)
    fy, fx = y - r, x - c
    return (1 - fy) * ((1 - fx) * mask[r][c] + fx * mask[r][c1]) + fy * (
        (1 - fx) * mask[r1][c] + fx * mask[r1][c1]
    )


@pytest.mark.parametrize('count', [1, 14, 255, 256, 300])
def test_best_classes_are_those_of_argmax(count):
    """The first of equal ones; also of minus infinity."""
    torch.manual_seed(0)
    logits = torch.randint(-2, 3, (count, 9, 7)).float()
    logits[:, 0] = -torch.inf
    best, labels = best_classes(logits)
    assert torch.equal(best, logits.amax(dim=0))
    assert torch.equal(labels, logits.argmax(dim=0))
    assert (labels > 0).any() == (count > 1) and not labels[0].any()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def slow_fusion(
    sem, boxes, scores, labels, masks, num_things, score_thr, overlap_thr, stuff_area_limit
):
    """The whole fusion on lists, pixel by pixel.

    Returns the map, and how many instances were kept, were kept although they overlap, and were
    pruned as they overlap.
    """
    sem, boxes, scores = sem.tolist(), boxes.tolist(), scores.tolist()
    labels, masks = labels.tolist(), masks.tolist()
    classes, height, width = len(sem), len(sem[0]), len(sem[0][0])
    pixels = [(v, u) for v in range(height) for u in range(width)]

    kept, taken = [], set()
    overlapping = pruned = 0
    for i in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if scores[i] < score_thr:
            continue
        logit = {p: sample(masks[i], boxes[i], *p) for p in pixels}
        logit = {p: a for p, a in logit.items() if a is not None}
        own = {p for p, a in logit.items() if a > 0}
        if not own:
            continue
        if len(own & taken) / len(own) > overlap_thr:
            pruned += 1
            continue
        overlapping += bool(own & taken)
        taken |= own
        kept.append((labels[i], logit))

    result, area = {}, [0] * (classes + 1)
    for p in pixels:
        v, u = p
        best, pan = -math.inf, None
        for c in range(num_things, classes):
            if sem[c][v][u] > best:
                best = sem[c][v][u]
        for k, (label, logit) in enumerate(kept, 1):
            if p not in logit:
                continue
            a, b = logit[p], sem[label][v][u]
            fused = (sigmoid(a) + sigmoid(b)) * (a + b)
            if fused > best:
                best, pan = fused, label + 1000 * k
        if pan is None:
            pan = max(range(classes), key=lambda c: (sem[c][v][u], -c))
            if pan < num_things:
                pan = classes
            area[pan] += 1
        result[p] = pan
    for p, pan in result.items():
        if pan < 1000 and area[pan] < stuff_area_limit:
            result[p] = classes
    panoptic = torch.tensor([[result[v, u] for u in range(width)] for v in range(height)])
    return panoptic, torch.tensor([len(kept), overlapping, pruned])


def random_case(seed):
    """Instances on top of each other, with ties, off the image, empty."""
    gen = torch.Generator().manual_seed(seed)

    def rand(*shape):
        return torch.rand(*shape, generator=gen, dtype=torch.float64)

    def randint(low, high):
        return int(torch.randint(low, high, (), generator=gen))

    height, width = randint(1, 16), randint(1, 20)
    num_things, num_stuff = randint(1, 4), randint(0, 4)
    number = randint(0, 12)
    size = (randint(1, 8), randint(1, 8))
    sem = rand(num_things + num_stuff, height, width) * 10 - 5
    corner = (rand(number, 2) * 1.2 - 0.3) * torch.tensor([width, height])
    side = rand(number, 2) * torch.tensor([width, height])
    if number > 2:
        side[0] = side[0] * 0.02
        side[1, 0] = 0.0
        corner[2] = corner[2].round()
        side[2] = side[2].round()
    if number > 4:
        # the same object twice, and one far off
        corner[3], side[3] = corner[4], side[4]
        corner[0] = corner[0] + 1000
    boxes = torch.cat([corner, corner + side], dim=1)
    # few different values: ties
    scores = (rand(number) * 6).round() / 6
    labels = torch.randint(num_things, (number,), generator=gen)
    masks = rand(number, *size) * 12 - randint(2, 8)
    return sem, boxes, scores, labels, masks, num_things


def settings(seed):
    return dict(
        score_thr=(0.0, 0.3, 0.5)[seed % 3],
        overlap_thr=(0.5, 0.2, 1.0)[seed // 3 % 3],
        stuff_area_limit=(0, 5, 20)[seed // 9 % 3],
    )


def test_equals_the_pixel_loop():
    counts = torch.zeros(3, dtype=torch.long)
    shown = voids = stuff = empty = outside = tied = 0
    for seed in range(200):
        case = random_case(seed)
        found = fuse_panoptic(*case, **settings(seed))
        expected, count = slow_fusion(*case, **settings(seed))
        assert found.dtype == torch.long
        assert torch.equal(found, expected), seed
        known = case[0].argmax(dim=0)
        assert torch.equal(fuse_panoptic(*case, **settings(seed), sem_labels=known), expected)
        counts += count
        shown += len(found[found >= 1000].unique())
        voids += (found == len(case[0])).any().item()
        stuff += (found < len(case[0])).any().item()
        boxes, scores = case[1:3]
        height, width = found.shape
        empty += len(boxes) == 0
        outside += (
            (
                (boxes[:, 0] >= width)
                | (boxes[:, 1] >= height)
                | (boxes[:, 2] <= 0)
                | (boxes[:, 3] <= 0)
            )
            .any()
            .item()
        )
        tied += len(scores.unique()) < len(scores)
    # the cases hold enough of everything to be a test of it
    kept, overlapping, pruned = counts.tolist()
    assert min(kept, shown) > 200
    assert min(overlapping, pruned, voids, stuff, outside, tied) > 50
    assert empty > 5


def test_float32_and_half():
    for seed in range(20):
        sem, boxes, scores, labels, masks, num_things = random_case(seed)
        expected, _ = slow_fusion(
            sem.float(),
            boxes.float(),
            scores.float(),
            labels,
            masks.float(),
            num_things,
            0.3,
            0.5,
            0,
        )
        found = fuse_panoptic(
            sem.float(),
            boxes.float(),
            scores.float(),
            labels,
            masks.float(),
            num_things,
            0.3,
            0.5,
            0,
        )
        assert torch.equal(found, expected)
        half = fuse_panoptic(
            sem.half(), boxes.float(), scores.float(), labels, masks.half(), num_things, 0.3, 0.5, 0
        )
        assert half.dtype == torch.long and half.shape == found.shape


def one(box, label=0, score=0.9, value=5.0, size=28):
    """One instance with a constant mask."""
    return (
        torch.tensor([box]),
        torch.tensor([score]),
        torch.tensor([label]),
        torch.full((1, size, size), value),
    )


def stack(*instances):
    return [torch.cat(parts) for parts in zip(*instances, strict=True)]


def stuff_map(height=10, width=20, value=2.0):
    """2 things and 2 stuff classes; class 2 wins everywhere."""
    sem = torch.full((4, height, width), -value)
    sem[2] = value
    return sem


def test_no_instance():
    sem = stuff_map()
    sem[3, :, 10:] = 9.0
    sem[1, 0] = 20.0
    none = (
        torch.zeros(0, 4),
        torch.zeros(0),
        torch.zeros(0, dtype=torch.long),
        torch.zeros(0, 28, 28),
    )
    pan = fuse_panoptic(sem, *none, num_things=2)
    # a thing without an instance is void
    assert (pan[0] == 4).all()
    assert (pan[1:, :10] == 2).all() and (pan[1:, 10:] == 3).all()
    pan = fuse_panoptic(sem, *none, num_things=0)
    assert (pan[0] == 1).all()
    pan = fuse_panoptic(sem, *none, num_things=4)
    assert (pan == 4).all()


@pytest.mark.parametrize('value', [2.0, -2.0, -50.0])
def test_nothing_leaks_outside_the_box(value):
    """Also where every stuff logit is negative (a zero would win there)."""
    sem = stuff_map()
    sem[2:] = -abs(value) * 10
    sem[3] -= 1
    pan = fuse_panoptic(sem, *one([4.0, 2.0, 9.0, 7.0], value=value), 2)
    inside = torch.zeros(10, 20, dtype=torch.bool)
    inside[2:7, 4:9] = True
    assert not (pan[~inside] >= 1000).any()
    if value > 0:
        assert (pan[inside] == 1000).all()
    else:
        # a mask without a positive pixel is no instance
        assert not (pan >= 1000).any()


def test_no_zeros_blended_in_at_the_edge():
    """A constant mask stays constant up to the edge of its box."""
    for box in ([0.3, 1.2, 19.9, 8.8], [-5.0, -5.0, 30.0, 30.0]):
        region = box_region(box, 10, 20)
        pasted = paste_mask(torch.full((28, 28), -7.0), box, region)
        assert pasted.shape == (region[0].stop - region[0].start, region[1].stop - region[1].start)
        torch.testing.assert_close(pasted, torch.full_like(pasted, -7.0))


def test_paste_is_aligned():
    """A ramp over the box is read at the pixel centers."""
    ramp = (torch.arange(10.0) + 0.5).expand(10, 10)
    box = [2.0, 1.0, 12.0, 11.0]
    pasted = paste_mask(ramp, box, box_region(box, 20, 20))
    torch.testing.assert_close(pasted, ramp)
    box = [2.0, 1.0, 22.0, 21.0]
    pasted = paste_mask(ramp, box, box_region(box, 30, 30))
    inner = (torch.arange(20.0) + 0.5) / 2
    torch.testing.assert_close(pasted[0, 1:-1], inner[1:-1])


@pytest.mark.parametrize(
    'box, rows, cols',
    [
        ([2.0, 1.0, 5.0, 3.0], (1, 3), (2, 5)),
        ([2.5, 1.5, 5.5, 3.5], (1, 3), (2, 5)),
        ([2.6, 1.6, 5.6, 3.6], (2, 4), (3, 6)),
        ([-4.0, -4.0, 3.0, 2.0], (0, 2), (0, 3)),
        ([15.0, 8.0, 99.0, 99.0], (8, 10), (15, 20)),
    ],
)
def test_box_region(box, rows, cols):
    region = box_region(box, 10, 20)
    assert (region[0].start, region[0].stop) == rows
    assert (region[1].start, region[1].stop) == cols


@pytest.mark.parametrize(
    'box',
    [
        [3.0, 3.0, 3.0, 8.0],
        [8.0, 3.0, 3.0, 8.0],
        [3.6, 3.6, 4.4, 4.4],
        [-9.0, 0.0, -1.0, 8.0],
        [20.0, 0.0, 30.0, 8.0],
        [0.0, 30.0, 8.0, 40.0],
        [0.0, 0.0, float('nan'), 8.0],
        [0.0, 0.0, float('inf'), 8.0],
    ],
)
def test_boxes_without_a_pixel(box):
    pan = fuse_panoptic(stuff_map(), *one(box), num_things=2)
    assert (pan == 2).all()


def test_logits_decide_as_the_formula_says():
    """Worked by hand: a = 3, b = 1 against a stuff logit around FL."""
    fused = (1 / (1 + math.exp(-3)) + 1 / (1 + math.exp(-1))) * 4
    assert fused == pytest.approx(6.7346, abs=1e-4)
    for stuff, expected in ((6.73, 1001), (6.74, 2)):
        sem = stuff_map()
        sem[1], sem[2] = 1.0, stuff
        pan = fuse_panoptic(sem, *one([0.0, 0.0, 20.0, 10.0], label=1, value=3.0), num_things=2)
        assert (pan == expected).all()


def test_overlap_pruning():
    first = one([0.0, 0.0, 10.0, 10.0], label=0, score=0.9)
    second = one([6.0, 0.0, 14.0, 10.0], label=1, score=0.8)
    sem = stuff_map()
    # half of the second lies under the first: not more than 0.5
    pan = fuse_panoptic(sem, *stack(second, first), num_things=2)
    assert set(pan.unique().tolist()) == {2, 1000, 2001}
    pan = fuse_panoptic(sem, *stack(second, first), num_things=2, overlap_thr=0.49)
    assert set(pan.unique().tolist()) == {2, 1000}
    assert (pan[:, 10:] == 2).all()


def over_columns(*spans):
    """Instances over all rows of these columns, by falling score.

    The lower the score the higher the mask's logits, so that each one shows where it is kept at
    all.
    """
    return [
        one([x0, 0.0, x1, 10.0], label=i, score=0.9 - i / 10, value=3.0 + 3 * i)
        for i, (x0, x1) in enumerate(spans)
    ]


def shown(instances):
    """Ids of the instances in the fused map."""
    panoptic = fuse_panoptic(torch.zeros(4, 10, 30), *stack(*instances), num_things=3)
    return panoptic[panoptic >= 1000].unique().tolist()


@pytest.mark.parametrize(
    'third, kept',
    [
        ((0.0, 10.0), False),  # as wide as the first
        ((10.0, 20.0), False),  # as wide as the second
        ((7.0, 13.0), False),  # half of it under each, all of it under both
        ((16.0, 26.0), True),  # 4 of 10 columns under the second
    ],
)
def test_overlap_counts_all_masks_kept_before(third, kept):
    found = shown(over_columns((0.0, 10.0), (10.0, 20.0), third))
    assert found == [1000, 2001, 3002][: 2 + kept]


def test_a_box_clears_nothing_that_it_does_not_cover():
    """The second's box lies over the first, its mask beside it."""
    instances = over_columns((0.0, 10.0), (0.0, 20.0), (0.0, 10.0))
    instances[1][3][:, :, :14] = -6.0
    assert shown(instances) == [1000, 2001]


def test_a_pruned_mask_takes_no_place():
    """The third lies under the second alone, which is dropped itself."""
    assert shown(over_columns((0.0, 10.0), (2.0, 14.0), (10.0, 14.0))) == [1000, 2002]


def test_equal_scores_keep_their_order():
    a = one([0.0, 0.0, 10.0, 10.0], label=0, score=0.75)
    b = one([0.0, 0.0, 10.0, 10.0], label=1, score=0.75)
    for pair, expected in (((a, b), 1000), ((b, a), 1001)):
        pan = fuse_panoptic(stuff_map(), *stack(*pair), num_things=2)
        assert (pan[:, :10] == expected).all()


def test_equal_logits():
    """Stuff goes before an instance, the better instance before another."""
    sem = torch.zeros(3, 10, 20)
    sem[0] = -1.0
    # a = 1 and b = -1: FL = 0, as large as the stuff logits
    box = [0.0, 0.0, 20.0, 10.0]
    pan = fuse_panoptic(sem, *one(box, value=1.0), num_things=1)
    assert (pan == 1).all()
    twice = stack(one(box, score=0.8), one(box, score=0.9))
    pan = fuse_panoptic(sem, *twice, num_things=1, overlap_thr=1.0)
    assert (pan == 1000).all()


def test_score_threshold():
    for score, expected in ((0.5, 1000), (0.499, 2)):
        pan = fuse_panoptic(stuff_map(), *one([0.0, 0.0, 20.0, 10.0], score=score), num_things=2)
        assert (pan == expected).all()


def test_small_stuff_becomes_void():
    sem = stuff_map()
    sem[3, 0, :5] = 9.0
    none = stack(*[one([0.0, 0.0, 1.0, 1.0], score=0.0)])
    for limit, expected in ((5, 3), (6, 4)):
        pan = fuse_panoptic(sem, *none, num_things=2, stuff_area_limit=limit)
        assert (pan[0, :5] == expected).all()
        assert (pan[1:] == 2).all()
    # what an instance covers does not count as area of the stuff
    sem[3, 0, :5] = 3.0
    pan = fuse_panoptic(
        sem, *one([0.0, 0.0, 2.0, 1.0], value=9.0), num_things=2, stuff_area_limit=4
    )
    assert pan[0, :6].tolist() == [1000, 1000, 4, 4, 4, 2]


def test_inputs_stay_as_they_are():
    case = random_case(3)
    copies = [t.clone() for t in case[:5]]
    fuse_panoptic(*case)
    for before, after in zip(copies, case[:5], strict=True):
        assert torch.equal(before, after)


def test_bad_instances():
    boxes, scores, labels, masks = one([0.0, 0.0, 5.0, 5.0])
    with pytest.raises(ValueError, match='must be things'):
        fuse_panoptic(stuff_map(), boxes, scores, labels + 2, masks, 2)
    with pytest.raises(ValueError, match='0 masks'):
        fuse_panoptic(stuff_map(), boxes, scores, labels, masks[:0], 2)


def test_head():
    head = MODELS.build(
        dict(type='PanopticFusion', num_things=2, num_stuff=2, score_thr=0.3, stuff_area_limit=0.05)
    )
    assert not list(head.parameters()) and not head.with_loss
    assert head.loss() == {}
    boxes, scores, labels, masks = one([4.0, 2.0, 9.0, 7.0], score=0.4)
    instances = InstanceData(bboxes=boxes, scores=scores, labels=labels, mask_logits=masks)
    sem = stuff_map()
    sem[3, 9, :9] = 9.0
    pan = head.predict(sem, instances)
    assert pan.shape == (10, 20)
    assert (pan[2:7, 4:9] == 1000).all() and (pan[9, :9] == 4).all()
    with pytest.raises(ValueError, match='4 semantic classes'):
        head.predict(sem[:3], instances)


@pytest.mark.parametrize('kind', ['PanopticFusion', 'HeuristicFusion'])
def test_least_area_is_a_share_of_the_image(kind):
    """So it means the same at twice the size."""
    head = MODELS.build(dict(type=kind, num_things=2, num_stuff=2, stuff_area_limit=0.05))
    for columns, stays in ((10, True), (9, False)):  # of 200 pixels
        sem = stuff_map()
        sem[3, 0, :columns] = 9.0
        for factor in (1, 2):
            large = sem.repeat_interleave(factor, 1).repeat_interleave(factor, 2)
            none = InstanceData(
                bboxes=torch.zeros(0, 4),
                scores=torch.zeros(0),
                labels=torch.zeros(0, dtype=torch.long),
                mask_logits=torch.zeros(0, 28, 28),
                masks=torch.zeros(0, *large.shape[1:], dtype=torch.bool),
            )
            assert bool((head.predict(large, none) == 3).any()) == stays
    with pytest.raises(InputError, match='stuff_area_limit: found 455; expected a fraction'):
        MODELS.build(dict(type=kind, num_things=2, num_stuff=2, stuff_area_limit=455))


@pytest.mark.parametrize('things, stuff', [(0, 0), (-1, 5), (3, 997)])
def test_bad_counts(things, stuff):
    with pytest.raises(InputError, match='num_things, num_stuff'):
        MODELS.build(dict(type='PanopticFusion', num_things=things, num_stuff=stuff))
