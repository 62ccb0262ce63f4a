"""The head that chooses among guesses of depth."""

import math

import pytest
import torch
from torch.nn import functional as F

from pandepth_mm.errors import InputError
from pandepth_mm.models.depth_heads import CandidateDepthHead
from pandepth_mm.models.depth_heads.base import DepthPrediction
from pandepth_mm.models.layers.depth_candidates import NUM_CANDIDATES
from pandepth_mm.models.layers.propagation import NUM_NEIGHBORS

SIZE = (32, 64)
IN_CHANNELS, CHANNELS = (3, 4, 4, 5), (6, 8, 8, 10)


def make_head(**kwargs):
    torch.manual_seed(0)
    return CandidateDepthHead(80.0, in_channels=IN_CHANNELS, channels=CHANNELS, **kwargs)


def inputs(batch=2, size=SIZE, density=0.1, seed=0):
    """Image features of five strides, sparse depth, intrinsics."""
    rng = torch.Generator().manual_seed(seed)
    feats = tuple(
        torch.randn(batch, c, size[0] // s, size[1] // s, generator=rng)
        for c, s in zip((*IN_CHANNELS, 7), (2, 4, 8, 16, 32), strict=True)
    )
    depth = 3 + 50 * torch.rand(batch, 1, *size, generator=rng)
    sparse = torch.where(torch.rand(depth.shape, generator=rng) < density, depth, 0.0)
    focal = 0.6 * size[1]
    cam2img = torch.tensor([[focal, 0, size[1] / 2], [0, focal, size[0] / 2], [0, 0, 1.0]])
    return feats, sparse, cam2img.expand(batch, 3, 3)


def run(head, feats, sparse, cam2img):
    return head(None, feats, head.prepare(sparse, cam2img))


def output(choice=None, factor=0.0, scale=0.0, size=SIZE):
    """What the network would predict for every pixel."""
    out = torch.zeros(1, NUM_CANDIDATES + 2, *size)
    if choice is not None:
        out[:, choice] = 200.0
    out[:, -2], out[:, -1] = factor, scale
    return out


def mix(head, out, log_depth):
    """The mixture of guesses alone, (1, K, H, W): the cells around are never chosen."""
    choice, others = out[:, :NUM_CANDIDATES], out[:, NUM_CANDIDATES:]
    never = torch.full((1, NUM_NEIGHBORS, *out.shape[-2:]), -400.0)
    out = F.pixel_unshuffle(torch.cat([choice, never, others], dim=1), 2)
    cells = torch.zeros(1, NUM_NEIGHBORS, *out.shape[-2:])
    return head._mix(out, F.pixel_unshuffle(log_depth, 2), cells)


# ---- the mixture


@pytest.mark.parametrize('guess', range(NUM_CANDIDATES))
def test_a_sure_choice_is_the_guess_times_the_factor(guess):
    head = make_head()
    _, sparse, cam2img = inputs(batch=1)
    log_depth = head.prepare(sparse, cam2img).candidates.log_depth
    pred = mix(head, output(guess, factor=math.log(1.5)), log_depth)
    torch.testing.assert_close(pred.depth, 1.5 * log_depth[:, guess : guess + 1].exp())


def test_mixture_by_hand():
    """Mean in log depth: of 2 m and 8 m, equally likely, 4 m."""
    guesses = torch.tensor([2.0, 8.0, 5.0, 5.0, 5.0, 5.0]).log()
    log_depth = guesses.view(1, -1, 1, 1).expand(-1, -1, 2, 2)
    out = torch.full((1, NUM_CANDIDATES + 2, 2, 2), -200.0)
    out[:, :2] = out[:, -2] = 0.0
    out[:, -1] = math.log(0.25)
    pred = mix(make_head(), out, log_depth)
    torch.testing.assert_close(pred.depth, torch.full((1, 1, 2, 2), 4.0))
    torch.testing.assert_close(pred.uncertainty, torch.ones(1, 1, 2, 2))


def test_each_pixel_may_choose_a_cell_around():
    """Every pixel of a cell another one of the 3x3 cells."""
    cells = torch.arange(1.0, 10.0).log().view(1, 9, 1, 1).expand(-1, -1, 2, 3)
    out = torch.full((1, NUM_CANDIDATES + NUM_NEIGHBORS + 2, 4, 6), -200.0)
    out[:, -2:] = 0.0
    for pixel, cell in (((0, 0), 0), ((0, 1), 8), ((1, 0), 4), ((1, 1), 2)):
        row, col = pixel
        out[0, NUM_CANDIDATES + cell, row::2, col::2] = 0.0
    guesses = torch.zeros(1, 4 * NUM_CANDIDATES, 2, 3)
    depth = make_head()._mix(F.pixel_unshuffle(out, 2), guesses, cells).depth
    expected = torch.tensor([[1.0, 9.0], [5.0, 3.0]]).repeat(2, 3)
    torch.testing.assert_close(depth[0, 0], expected)


def test_depth_lies_between_the_guesses_without_the_factor():
    """Those of the pixel, and of the cells that 8 steps and the last choice reach."""
    head = make_head().eval()
    with torch.no_grad():
        for layer in (head.predict, head.predict_cells):
            layer.weight.normal_(std=0.5)  # choices that differ from pixel to pixel
        factor = slice(-8, -4)  # as pixel_shuffle has them: before the uncertainty
        head.predict.weight[factor] = 0
        feats, sparse, cam2img = inputs(size=(64, 64))
        guesses = head.prepare(sparse, cam2img).candidates.log_depth
        depth = run(head, feats, sparse, cam2img).depth
    least = -F.max_pool2d(-guesses.amin(dim=1, keepdim=True), 39, stride=1, padding=19)
    greatest = F.max_pool2d(guesses.amax(dim=1, keepdim=True), 39, stride=1, padding=19)
    assert (depth >= least.exp() - 1e-3).all()
    assert (depth <= greatest.exp() + 1e-3).all()
    assert (depth - guesses.mean(dim=1, keepdim=True).exp()).abs().max() > 1


# ---- propagation


def cell_output(choice, trust, neighbor=4):
    """What the network would predict for every cell: a sure choice, and neighbor to copy."""
    out = torch.zeros(1, NUM_CANDIDATES + 10, SIZE[0] // 2, SIZE[1] // 2)
    out[:, choice] = out[:, NUM_CANDIDATES + neighbor] = 200.0
    out[:, -1] = trust
    return out


def propagate(head, out, candidates):
    return head._propagate(out, F.pixel_unshuffle(candidates.log_depth, 2), candidates)


def test_trusted_measurements_stand_after_propagation():
    """A cell's nearest one, where others keep the guess."""
    head = make_head()
    _, sparse, cam2img = inputs(batch=1)
    candidates = head.prepare(sparse, cam2img).candidates
    found = propagate(head, cell_output(0, trust=50.0), candidates).exp()
    measured = torch.where(sparse > 0, sparse, 1e3)
    nearest = -F.max_pool2d(-measured, 2)
    expected = torch.where(
        nearest < 1e3, nearest, F.avg_pool2d(candidates.log_depth[:, :1], 2).exp()
    )
    assert 0.1 < (nearest < 1e3).float().mean() < 0.9
    torch.testing.assert_close(found, expected)


def test_distrusted_measurements_do_not_count_in_propagation():
    head = make_head()
    _, sparse, cam2img = inputs(batch=1)
    candidates = head.prepare(sparse, cam2img).candidates
    found = propagate(head, cell_output(0, trust=-50.0), candidates)
    torch.testing.assert_close(found, F.avg_pool2d(candidates.log_depth[:, :1], 2))


def test_propagation_carries_a_measurement_by_one_cell_a_step():
    head = make_head(propagation_steps=3)
    sparse = torch.zeros(1, 1, *SIZE)
    sparse[..., 20] = 7.0  # a column, in cell 10
    sparse[..., 50] = 30.0
    candidates = head.prepare(sparse, torch.eye(3)[None]).candidates
    left = 3  # neighbor in the middle row
    found = propagate(head, cell_output(5, trust=50.0, neighbor=left), candidates)[0, 0].exp()
    before = F.avg_pool2d(candidates.log_depth[:, 5:6], 2)[0, 0].exp()
    torch.testing.assert_close(found[:, 10:14], torch.full((SIZE[0] // 2, 4), 7.0))
    torch.testing.assert_close(found[:, 14:25], before[:, 11:22])


@pytest.mark.parametrize('raw, relative', [(-50.0, math.exp(-7)), (0.0, 1.0), (50.0, math.e)])
def test_uncertainty_is_positive_and_bounded(raw, relative):
    pred = mix(make_head(), output(0, scale=raw), torch.full((1, 6, *SIZE), 2.0))
    torch.testing.assert_close(pred.uncertainty, pred.depth * relative)
    assert (pred.uncertainty > 0).all()


@pytest.mark.parametrize('factor, depth', [(30.0, 80.0), (-30.0, 1e-3)])
def test_prediction_keeps_to_the_range(factor, depth):
    """In training only to what can be computed with: a clamped depth has no gradient."""
    head = make_head()
    log_depth = torch.full((1, 6, *SIZE), 2.0)
    wild = mix(head, output(0, factor), log_depth).depth
    assert math.exp(-3) * 0.99 < wild.min() and wild.max() < math.exp(6) * 1.01
    assert (wild.max() > 80) == (depth == 80)
    pred = mix(head.eval(), output(0, factor), log_depth)
    assert (pred.depth == depth).all()


# ---- the network


@pytest.mark.parametrize('density', [0.0, 0.1, 1.0])
def test_every_parameter_gets_a_gradient(density):
    head = make_head()
    feats, sparse, cam2img = inputs(density=density)
    pred = run(head, feats, sparse, cam2img)
    assert isinstance(pred, DepthPrediction)
    assert pred.depth.shape == pred.uncertainty.shape == (2, 1, *SIZE)
    losses = head.loss_by_feat(pred, torch.full((2, 1, *SIZE), 10.0))
    sum(losses.values()).backward()
    for name, p in head.named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
    assert all(p.grad.abs().max() > 0 for p in head.parameters() if p.ndim == 4)


def test_new_head_mostly_takes_planes_and_nearest():
    head = make_head().eval()
    feats, sparse, cam2img = inputs()
    with torch.no_grad():
        prepared = head.prepare(sparse, cam2img)
        pred = head(None, feats, prepared)
    planes_and_nearest = prepared.candidates.log_depth[:, 1:4]
    mean = planes_and_nearest.mean(dim=1, keepdim=True)
    assert (pred.depth.log() - mean).abs().mean() < 0.25


def test_image_features_matter():
    head = make_head().eval()
    feats, sparse, cam2img = inputs()
    feats = [x.requires_grad_() for x in feats]
    pred = run(head, feats, sparse, cam2img)
    grads = torch.autograd.grad(pred.depth.sum(), feats, allow_unused=True)
    assert all(g.abs().max() > 0 for g in grads[:4])
    assert grads[4] is None  # of stride 32


def test_likelihood_does_not_reach_the_depth():
    """Neither by the loss nor by the head, whose uncertainty is relative to its depth."""
    head = make_head()
    log_depth = torch.linspace(1, 2, NUM_CANDIDATES).view(1, -1, 1, 1).expand(-1, -1, *SIZE)
    out = output(scale=-1.0).requires_grad_()
    losses = head.loss_by_feat(mix(head, out, log_depth), torch.full((1, 1, *SIZE), 9.0))
    (grad,) = torch.autograd.grad(losses['loss_depth'], out, retain_graph=True)
    assert (grad[:, :-1] != 0).all() and (grad[:, -1] == 0).all()
    (grad,) = torch.autograd.grad(losses['loss_depth_uncertainty'], out)
    assert (grad[:, :-1] == 0).all() and (grad[:, -1] != 0).all()


def test_other_images_do_not_matter():
    head = make_head().eval()
    feats, sparse, cam2img = inputs(batch=3)
    sparse[1] = 0
    with torch.no_grad():
        together = run(head, feats, sparse, cam2img)
        for i in range(3):
            one = slice(i, i + 1)
            alone = run(head, [x[one] for x in feats], sparse[one], cam2img[one])
            for a, b in zip(alone, together, strict=True):
                torch.testing.assert_close(a[0], b[i], rtol=1e-4, atol=1e-4)


# ---- what it is given


@pytest.mark.parametrize('size', [(32, 65), (48, 64), (31, 32)])
def test_sides_are_multiples_of_32(size):
    with pytest.raises(InputError, match=r'pad_size_divisor: found maps of .*multiples of 32'):
        make_head().prepare(torch.zeros(1, 1, *size), torch.eye(3)[None])


def test_measurements_out_of_range_do_not_count():
    head = make_head()
    _, sparse, cam2img = inputs(batch=1)
    dirty = sparse.clone()
    empty = (sparse == 0).nonzero()[:4]
    for place, value in zip(empty, (81.0, -3.0, math.nan, math.inf), strict=True):
        dirty[tuple(place)] = value
    clean, found = (head.prepare(x, cam2img).candidates for x in (sparse, dirty))
    for a, b in zip(clean, found, strict=True):
        assert torch.equal(a, b)


def test_without_measurement_the_default_follows_the_focal_length():
    head = make_head()
    cam2img = torch.eye(3).expand(3, 3, 3).clone()
    cam2img[:, 1, 1] = torch.tensor([250.0, 1.0, 1e4])
    log_depth = head.prepare(torch.zeros(3, 1, *SIZE), cam2img).candidates.log_depth
    expected = torch.tensor([10.0, 0.5, 80.0]).view(3, 1, 1, 1).expand_as(log_depth)
    torch.testing.assert_close(log_depth.exp(), expected)


def test_guesses_are_made_in_float32_under_autocast():
    head = make_head()
    _, sparse, cam2img = inputs(density=1.0)
    exact = head.prepare(sparse, cam2img).candidates
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = head.prepare(sparse, cam2img).candidates
    for a, b in zip(exact, found, strict=True):
        assert torch.equal(a, b)


def test_ground_truth_out_of_range_does_not_count():
    head = make_head()
    pred = DepthPrediction(torch.full((1, 1, 1, 2), 70.0), torch.ones(1, 1, 1, 2))
    one = head.loss_by_feat(pred, torch.tensor([[[[60.0, 0.0]]]]))
    for beyond in (81.0, -1.0, math.nan):
        assert head.loss_by_feat(pred, torch.tensor([[[[60.0, beyond]]]])) == one


def test_a_depth_is_drawn_to_measurements_within_the_range():
    """1.25 % off at 79.5 m; what lies beyond 80 m does not count, and nothing gets there."""
    head = make_head()
    depth = torch.full((1, 30, 40), 79.5)
    beyond, near, limit = torch.zeros(3, 1, 30, 40)
    beyond[:, ::3, ::3], near[:, ::3, ::3], limit[:, ::3, ::3] = 80.5, 78.5, 80.0
    scale = torch.ones(1, 30, 40)
    assert torch.equal(head.finish(depth, scale, beyond)[0], depth)
    drawn, same = head.finish(depth, scale, near)
    torch.testing.assert_close(drawn[:, :28], near.new_full((1, 28, 40), 78.5), rtol=1e-3, atol=0)
    assert torch.equal(same, scale)
    assert head.finish(depth + 0.4, scale, limit)[0].max() == 80


def test_what_measurements_overrule_is_uncertain():
    head = make_head()
    depth, scale, sparse = (
        torch.full((1, 30, 40), 20.0),
        torch.ones(1, 30, 40),
        torch.zeros(1, 30, 40),
    )
    sparse[:, ::2, ::2] = 30
    drawn, uncertainty = head.finish(depth, scale, sparse)
    assert drawn[0, 15, 20] == pytest.approx(30, rel=1e-5)
    assert uncertainty[0, 15, 20] == pytest.approx(10, abs=0.05)
