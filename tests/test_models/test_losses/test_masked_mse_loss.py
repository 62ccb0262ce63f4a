import pytest
import torch

from pandepth_mm.models.losses import MaskedMSELoss


def by_loop(pred, target, reduction):
    sums, counts = [], []
    for image, gt in zip(pred, target, strict=True):
        errors = [
            (p - t) ** 2
            for p, t in zip(image.flatten().tolist(), gt.flatten().tolist(), strict=True)
            if t > 0
        ]
        sums.append(sum(errors))
        counts.append(len(errors))
    if reduction == 'batch':
        return sum(sums) / max(sum(counts), 1)
    means = [s / max(c, 1) for s, c in zip(sums, counts, strict=True)]
    return sum(means) / len(means)


def random_depth(seed=0, batch=3):
    generator = torch.Generator().manual_seed(seed)
    shape = (batch, 1, 6, 7)
    target = 80 * torch.rand(shape, generator=generator, dtype=torch.float64)
    pred = target + torch.randn(shape, generator=generator, dtype=torch.float64)
    # another share of measured pixels in each image
    share = torch.linspace(0.1, 0.9, batch).reshape(-1, 1, 1, 1)
    target[torch.rand(shape, generator=generator) > share] = 0
    return pred.requires_grad_(), target


@pytest.mark.parametrize('reduction', ['batch', 'image'])
@pytest.mark.parametrize('seed', range(3))
def test_equals_loop(reduction, seed):
    pred, target = random_depth(seed)
    loss = MaskedMSELoss(reduction=reduction)(pred, target)
    assert loss.item() == pytest.approx(by_loop(pred, target, reduction), abs=1e-10)


@pytest.mark.parametrize('reduction', ['batch', 'image'])
def test_float32_equals_loop(reduction):
    pred, target = (x.detach().float() for x in random_depth())
    loss = MaskedMSELoss(reduction=reduction)(pred, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(by_loop(pred, target, reduction), rel=1e-5, abs=1e-5)


def test_reductions_differ():
    pred, target = random_depth()
    batch = MaskedMSELoss(reduction='batch')(pred, target)
    image = MaskedMSELoss(reduction='image')(pred, target)
    assert abs(batch - image) > 1e-3


def test_by_hand():
    # errors 1, 2 and one pixel without a measurement
    pred = torch.tensor([[[[3.0, 8.0, 50.0]]]])
    target = torch.tensor([[[[2.0, 10.0, 0.0]]]])
    assert MaskedMSELoss()(pred, target).item() == 2.5


@pytest.mark.parametrize('squeeze', ['pred', 'target'])
def test_channel_is_optional(squeeze):
    # (B, 1, H, W) - (B, H, W) would broadcast to (B, B, H, W)
    pred, target = random_depth()
    loss = MaskedMSELoss()(pred, target)
    if squeeze == 'pred':
        pred = pred[:, 0]
    else:
        target = target[:, 0]
    assert MaskedMSELoss()(pred, target) == loss


def test_sizes_must_match():
    pred, target = random_depth()
    with pytest.raises(ValueError, match='differ in size'):
        MaskedMSELoss()(pred[..., 1:], target)


def test_gradient_only_where_measured():
    pred, target = random_depth()
    with torch.no_grad():
        pred[target == 0] = float('inf')
    MaskedMSELoss()(pred, target).backward()
    assert pred.grad[target == 0].abs().max() == 0
    valid = target > 0
    expected = 2 * (pred - target)[valid] / valid.sum()
    assert torch.allclose(pred.grad[valid], expected)


@pytest.mark.parametrize('reduction', ['batch', 'image'])
def test_without_measurement(reduction):
    pred, target = random_depth()
    loss = MaskedMSELoss(reduction=reduction)(pred, torch.zeros_like(target))
    assert loss.item() == 0
    loss.backward()
    assert pred.grad is not None and pred.grad.abs().max() == 0


def test_half_precision_does_not_overflow():
    pred = torch.full((1, 1, 2, 2), 1.0, dtype=torch.float16)
    loss = MaskedMSELoss()(pred, torch.full((1, 1, 2, 2), 655.0))
    assert loss.dtype == torch.float32
    assert loss.item() == 654.0**2


def test_loss_weight():
    pred, target = random_depth()
    assert torch.allclose(
        MaskedMSELoss(loss_weight=0.1)(pred, target), 0.1 * MaskedMSELoss()(pred, target)
    )


def test_bad_reduction():
    with pytest.raises(ValueError, match='reduction'):
        MaskedMSELoss(reduction='sum')
