import math

import pytest
import torch

from pandepth_mm.models.losses import HardPixelCrossEntropyLoss


def by_sorting(logits, target, fraction):
    """The worst pixels' mean, image by image and pixel by pixel."""
    images = []
    for image, labels in zip(logits, target, strict=True):
        losses = []
        for row in range(labels.shape[0]):
            for col in range(labels.shape[1]):
                label = labels[row, col].item()
                if label == 255:
                    continue
                scores = image[:, row, col].tolist()
                losses.append(math.log(sum(math.exp(s) for s in scores)) - scores[label])
        losses.sort(reverse=True)
        worst = losses[: math.ceil(len(losses) * fraction)]
        images.append(sum(worst) / len(worst) if worst else 0.0)
    return sum(images) / len(images)


def random_batch(size=(3, 5, 7, 9), void=0.3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(size, generator=generator, dtype=torch.float64)
    shape = (size[0], *size[2:])
    target = torch.randint(size[1], shape, generator=generator)
    target[torch.rand(shape, generator=generator) < void] = 255
    return (3 * logits).requires_grad_(), target


@pytest.mark.parametrize('fraction', [0.25, 0.5, 1.0])
@pytest.mark.parametrize('seed', range(3))
def test_equals_sorting(fraction, seed):
    logits, target = random_batch(seed=seed)
    loss = HardPixelCrossEntropyLoss(fraction=fraction)(logits, target)
    assert loss.item() == pytest.approx(by_sorting(logits, target, fraction), abs=1e-10)


@pytest.mark.parametrize('seed', range(3))
def test_float32_equals_sorting(seed):
    logits, target = random_batch(seed=seed)
    logits = logits.detach().float()
    loss = HardPixelCrossEntropyLoss()(logits, target)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(by_sorting(logits, target, 0.25), rel=1e-5, abs=1e-5)


def test_probabilities_are_equation_2():
    """One pixel: minus the log of exp(x_n) / sum exp(x_m), however large."""
    scores, label = [2.0, -1.0, 0.5], 1
    exps = [math.exp(s) for s in scores]
    expected = -math.log(exps[label] / sum(exps))
    for shift in (0.0, 3000.0, -3000.0):
        logits = torch.tensor(scores, dtype=torch.float64) + shift
        loss = HardPixelCrossEntropyLoss()(logits.reshape(1, 3, 1, 1), torch.tensor([[[label]]]))
        assert loss.item() == pytest.approx(expected, abs=1e-10)


def test_equation_1():
    # all pixels valid: the worst W H / 4 pixels weigh 4 / (W H) each
    logits, target = random_batch(size=(1, 4, 8, 10), void=0)
    nll = -logits.log_softmax(1).gather(1, target[:, None]).flatten()
    weights = torch.zeros(80, dtype=torch.float64)
    weights[nll.argsort(descending=True)[:20]] = 4 / 80
    loss = HardPixelCrossEntropyLoss()(logits, target)
    assert torch.allclose(loss, (weights * nll).sum(), rtol=0, atol=1e-10)


def test_is_per_image():
    # an easy image keeps its own worst quarter, whatever the other one is
    easy = torch.zeros(1, 2, 4, 4, dtype=torch.float64)
    easy[:, 0] = 3
    target = torch.zeros(2, 4, 4, dtype=torch.long)
    loss_fn = HardPixelCrossEntropyLoss()
    both = loss_fn(torch.cat([easy, -easy]), target)
    one, other = loss_fn(easy, target[:1]), loss_fn(-easy, target[:1])
    assert other > one + 2
    assert both.item() == pytest.approx((one + other).item() / 2, abs=1e-12)


def test_void_is_ignored():
    logits, target = random_batch()
    loss = HardPixelCrossEntropyLoss()(logits, target)
    changed = torch.where((target == 255)[:, None], 50 * logits, logits)
    assert HardPixelCrossEntropyLoss()(changed, target) == loss
    loss.backward()
    void = (target == 255)[:, None].expand_as(logits)
    assert logits.grad[void].abs().max() == 0
    assert logits.grad[~void].abs().max() > 0


def test_image_without_valid_pixel_counts_as_zero():
    logits, target = random_batch(size=(2, 4, 6, 6))
    alone = HardPixelCrossEntropyLoss()(logits[1:], target[1:])
    target[0] = 255
    loss = HardPixelCrossEntropyLoss()(logits, target)
    assert loss.item() == pytest.approx(alone.item() / 2, abs=1e-12)
    loss.backward()
    assert logits.grad[0].abs().max() == 0


def test_batch_without_valid_pixel_is_attached_to_the_graph():
    logits, target = random_batch()
    loss = HardPixelCrossEntropyLoss()(logits, torch.full_like(target, 255))
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None and logits.grad.abs().max() == 0


def test_number_of_pixels_survives_rounding():
    # 30 * 0.1 is 3.0000000000000004
    logits, target = random_batch(size=(1, 3, 5, 6), void=0)
    nll = -logits.log_softmax(1).gather(1, target[:, None]).flatten()
    loss = HardPixelCrossEntropyLoss(fraction=0.1)(logits, target)
    assert torch.allclose(loss, nll.sort(descending=True).values[:3].mean())


def test_loss_weight():
    logits, target = random_batch()
    loss = HardPixelCrossEntropyLoss()(logits, target)
    weighted = HardPixelCrossEntropyLoss(loss_weight=0.4)(logits, target)
    assert torch.allclose(weighted, 0.4 * loss)


@pytest.mark.parametrize('fraction', [0.0, 1.5, -1.0])
def test_bad_fraction(fraction):
    with pytest.raises(ValueError, match='fraction'):
        HardPixelCrossEntropyLoss(fraction=fraction)
