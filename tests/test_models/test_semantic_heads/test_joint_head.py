import pytest
import torch
from plain_layers import conv_norm_act, randomize_norms
from torch.nn import functional as F

from pandepth_mm.errors import InputError
from pandepth_mm.models.losses import HardPixelCrossEntropyLoss
from pandepth_mm.models.semantic_heads import JointHead


def head_of(num_classes=5, max_depth=80.0, **kwargs):
    torch.manual_seed(0)
    return JointHead(num_classes, max_depth, channels=8, **kwargs)


def random_inputs(size=(9, 13), batch=2):
    torch.manual_seed(1)
    return torch.randn(batch, 5, *size), 80 * torch.rand(batch, 1, *size)


def test_equals_recomposition():
    head = head_of().double().eval()
    randomize_norms(head)
    logits, depth = (x.double() for x in random_inputs())
    x = torch.cat([logits, depth / 80], 1)
    for module in head.convs[:3]:
        assert module.conv.kernel_size == (3, 3)
        x = conv_norm_act(module, x)
    last = head.convs[3]
    expected = F.conv2d(x, last.weight, last.bias, padding=1)
    out = head(logits, depth)
    assert out.shape == logits.shape
    assert torch.allclose(out, expected, rtol=0, atol=1e-10)
    # negative evidence survives
    assert out.min() < -0.1


@pytest.mark.parametrize('size', [(1, 1), (7, 12), (40, 61)])
def test_size_is_kept(size):
    head = head_of().eval()
    assert head(*random_inputs(size)).shape == (2, 5, *size)


def test_nothing_shifts():
    # what one input pixel changes is centered on that pixel, near the border too
    head = head_of().eval()
    logits, depth = random_inputs((21, 25))
    for row, col in ((10, 12), (4, 20)):
        moved = logits.clone()
        moved[0, :, row, col] += 1
        rows, cols = torch.nonzero(
            (head(moved, depth) - head(logits, depth))[0].abs().sum(0), as_tuple=True
        )
        assert (rows.min(), rows.max()) == (row - 4, row + 4)
        assert (cols.min(), cols.max()) == (col - 4, col + 4)


def test_depth_is_relative_to_its_range():
    near, far = head_of(max_depth=40.0).eval(), head_of(max_depth=80.0).eval()
    logits, depth = random_inputs()
    assert torch.allclose(near(logits, depth / 2), far(logits, depth), atol=1e-6)
    assert not torch.allclose(near(logits, depth), far(logits, depth), atol=1e-3)


@pytest.mark.parametrize('num_convs', [1, 2, 4])
def test_loss_reaches_logits_depth_and_parameters(num_convs):
    head = head_of(num_convs=num_convs)
    assert len(head.convs) == num_convs
    inputs = [x.requires_grad_() for x in random_inputs()]
    target = torch.randint(5, (2, 9, 13))
    losses = head.loss_by_feat(head(*inputs), target)
    assert set(losses) == {'loss_joint'}
    losses['loss_joint'].backward()
    for x in (*inputs, *head.parameters()):
        assert x.grad is not None and x.grad.isfinite().all()
    assert all(x.grad.abs().max() > 0 for x in inputs)


def test_loss_weight():
    head = head_of(loss=dict(type='pandepth_mm.HardPixelCrossEntropyLoss', loss_weight=0.3))
    logits, _ = random_inputs()
    target = torch.randint(5, (2, 9, 13))
    assert torch.allclose(
        head.loss_by_feat(logits, target)['loss_joint'],
        0.3 * HardPixelCrossEntropyLoss()(logits, target),
    )


def test_number_of_parameters():
    # Table 2: 1.2 M with a last 1x1, biases before the norms, and a norm of 2 * 15 parameters on
    # the logits
    head = JointHead(15, 80.0)
    found = sum(p.numel() for p in head.parameters())
    assert found == 1222701 - 30 - 3 * 256 + 8 * 256 * 15


@pytest.mark.parametrize('kwargs', [dict(num_convs=0), dict(max_depth=0.0)])
def test_bad_arguments(kwargs):
    with pytest.raises(InputError, match=f'joint_head: {next(iter(kwargs))}'):
        head_of(**kwargs)
