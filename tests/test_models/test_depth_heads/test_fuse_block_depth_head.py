import math

import pytest
import torch
from torch import nn

from pandepth_mm.errors import InputError
from pandepth_mm.models.depth_heads.fuse_block_depth_head import inverse_positive, positive
from pandepth_mm.models.depth_heads.nearest_fill import nearest_fill
from pandepth_mm.models.layers import ContinuousConv
from pandepth_mm.models.optimize import optimize_for_inference
from pandepth_mm.registry import MODELS

CLASSES = 4


def build(**kwargs):
    torch.manual_seed(0)
    cfg = dict(
        type='FuseBlockDepthHead', max_depth=80.0, num_classes=CLASSES, num_blocks=2, channels=8
    )
    return MODELS.build(dict(cfg, **kwargs))


def batch(size=(21, 35), number=2, density=0.1, seed=0):
    """Image, sparse depth, intrinsics, logits."""
    torch.manual_seed(seed)
    height, width = size
    depth = torch.rand(number, 1, height, width) * 70 + 2
    sparse = depth * (torch.rand_like(depth) < density)
    cam = torch.tensor([[40.0, 0.0, width / 2], [0.0, 40.0, height / 2], [0.0, 0.0, 1.0]]).repeat(
        number, 1, 1
    )
    return (
        torch.randn(number, 3, height, width),
        sparse,
        cam,
        torch.randn(number, CLASSES, height, width),
    )


def complete(head, img, sparse, cam, logits=None):
    return head(img, None, head.prepare(sparse, cam), logits)


@pytest.mark.parametrize('size', [(20, 36), (21, 35), (7, 13)])
@pytest.mark.parametrize(
    'kwargs',
    [
        dict(),
        dict(stride=2),
        dict(stride=3),
        dict(residual='nearest'),
        dict(stride=2, residual='nearest'),
        dict(semantics='softmax'),
        dict(semantics=None),
        dict(k=2),
    ],
)
def test_shape_and_range(size, kwargs):
    head = build(**kwargs)
    inputs = batch(size)
    for training in (True, False):
        depth = complete(head.train(training), *inputs)
        assert depth.shape == (2, 1, *size)
        assert depth.dtype == torch.float32
        assert depth.isfinite().all() and (depth > 0).all()
    # trained to predict beyond the range, it is clamped in evaluation only
    nn.init.constant_(head.predict_depth.bias, 5.0)
    assert complete(head.train(), *inputs).max() > 80
    assert complete(head.eval(), *inputs).max() <= 80
    nn.init.constant_(head.predict_depth.bias, -50.0)
    assert complete(head.eval(), *inputs).min() > 0


@pytest.mark.parametrize('residual', [None, 'nearest'])
@pytest.mark.parametrize('training', [True, False])
def test_no_points(training, residual):
    head = build(residual=residual).train(training)
    img, sparse, cam, logits = batch()
    depth = complete(head, img, torch.zeros_like(sparse), cam, logits)
    assert depth.isfinite().all()
    depth.sum().backward()
    for name, param in head.named_parameters():
        assert param.grad is not None, name
        assert param.grad.isfinite().all(), name


@pytest.mark.parametrize('stride', [1, 2])
def test_batch_with_an_empty_image(stride):
    head = build(stride=stride).eval()
    img, sparse, cam, logits = batch(number=3)
    sparse[1] = 0
    both = complete(head, img, sparse, cam, logits)
    for i in range(3):
        one = slice(i, i + 1)
        alone = complete(head, img[one], sparse[one], cam[one], logits[one])
        torch.testing.assert_close(both[one], alone, rtol=1e-4, atol=1e-4)
    complete(head.train(), img, sparse, cam, logits).sum().backward()


@pytest.mark.parametrize(
    'semantics, reached', [('logits', True), ('softmax', True), ('detach', False), (None, False)]
)
def test_gradient_to_the_logits(semantics, reached):
    head = build(semantics=semantics).train()
    img, sparse, cam, logits = batch()
    logits.requires_grad_()
    loss = head.loss_by_feat(
        complete(head, img, sparse, cam, logits), torch.full((2, 1, 21, 35), 12.0)
    )
    loss['loss_depth'].backward()
    if reached:
        assert logits.grad.abs().sum() > 0
    else:
        assert logits.grad is None


@pytest.mark.parametrize(
    'semantics, channels',
    [('logits', 3 + CLASSES), ('softmax', 3 + CLASSES), ('detach', 3 + CLASSES), (None, 3)],
)
def test_what_the_stem_sees(semantics, channels):
    head = build(semantics=semantics).eval()
    seen = []
    head.image_stem.register_forward_hook(lambda module, args, out: seen.append(args[0]))
    img, sparse, cam, logits = batch()
    complete(head, img, sparse, cam, logits)
    assert seen[0].shape[1] == channels
    assert torch.equal(seen[0][:, :3], img)
    if semantics == 'softmax':
        exp = logits.exp()
        torch.testing.assert_close(seen[0][:, 3:], exp / exp.sum(1, True))
    elif semantics is not None:
        assert torch.equal(seen[0][:, 3:], logits)


def test_no_classes_needs_no_logits():
    head = build(num_classes=0)
    img, sparse, cam, _ = batch()
    assert complete(head, img, sparse, cam).shape == sparse.shape
    with pytest.raises(ValueError, match='logits'):
        complete(build(), img, sparse, cam)


def test_train_and_eval_are_the_same_graph():
    """Fed with its own batch statistics, evaluation gives what training did."""
    head = build()
    for module in head.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.momentum = 1.0
    inputs = batch()
    trained = complete(head.train(), *inputs).detach()
    # running variances are unbiased, the ones of the batch are not
    for module, count in _norm_counts(head, inputs):
        module.running_var.mul_((count - 1) / count)
    evaluated = complete(head.eval(), *inputs).detach()
    assert trained.max() < 80
    # 1e-5 of the range of 80 m
    torch.testing.assert_close(evaluated, trained, rtol=0, atol=8e-4)


def _norm_counts(head, inputs):
    """Each batch norm of a head with the number of values it averages."""
    counts, hooks = [], []
    for module in head.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            hooks.append(
                module.register_forward_hook(
                    lambda m, args, out: counts.append((m, args[0].numel() // args[0].shape[1]))
                )
            )
    complete(head.eval(), *inputs)
    for hook in hooks:
        hook.remove()
    return counts


def test_depth_beyond_the_range_is_no_measurement():
    head = build().eval()
    img, sparse, cam, logits = batch()
    far = sparse.clone()
    far[0, 0, 3, 4], far[1, 0, 0, 0] = 80.5, 655.35
    far[0, 0, 5, 5], far[0, 0, 5, 6] = float('nan'), float('inf')
    far[1, 0, 5, 5] = -3.0
    cut = sparse.clone()
    cut[0, 0, 3, 4] = cut[1, 0, 0, 0] = cut[1, 0, 5, 5] = 0
    cut[0, 0, 5, 5] = cut[0, 0, 5, 6] = 0
    assert torch.equal(complete(head, img, far, cam, logits), complete(head, img, cut, cam, logits))
    # the range itself belongs to it
    edge = cut.clone()
    edge[0, 0, 3, 4] = 80.0
    assert not torch.equal(
        complete(head, img, edge, cam, logits), complete(head, img, cut, cam, logits)
    )


def test_loss_counts_the_range_only():
    head = build()
    pred = torch.tensor([[[[10.0, 20.0, 30.0, 40.0]]]])
    gt = torch.tensor([[[[12.0, 0.0, 80.5, 43.0]]]])
    expected = (4 + 9) / 2
    loss = head.loss_by_feat(pred, gt)
    assert set(loss) == {'loss_depth'}
    assert loss['loss_depth'].item() == pytest.approx(expected)
    with pytest.raises(ValueError, match='differ in size'):
        head.loss_by_feat(pred, gt[..., :3])


def test_loss_without_truth_is_zero_with_a_gradient():
    head = build()
    inputs = batch()
    loss = head.loss_by_feat(complete(head, *inputs), torch.zeros(2, 1, 21, 35))
    assert loss['loss_depth'].item() == 0
    loss['loss_depth'].backward()
    assert all(p.grad is not None for p in head.parameters())


def test_float32_under_float16():
    head = build().eval()
    inputs = batch()
    plain = complete(head, *inputs)
    with torch.autocast('cpu', dtype=torch.float16):
        half = [t.half() if i == 3 else t for i, t in enumerate(inputs)]
        cast = complete(head, *half)
        loss = head.loss_by_feat(cast, torch.full((2, 1, 21, 35), 1.0))
    assert cast.dtype == loss['loss_depth'].dtype == torch.float32
    # only the logits lost digits
    inputs[3].copy_(inputs[3].half())
    torch.testing.assert_close(cast, complete(head, *inputs), rtol=0, atol=0)
    assert not torch.equal(plain, cast)


@pytest.mark.parametrize('optimize', [False, True])
def test_features_alone_are_bfloat16(optimize):
    head = build().eval()
    nn.init.normal_(head.predict_depth.weight, std=0.05)
    if optimize:
        head = optimize_for_inference(nn.ModuleList([head]).eval())[0]
    inputs = batch()
    types = {}
    layers = dict(
        measurements=head.sparse_stem,
        image=head.image_stem,
        block=head.blocks[1],
        points=next(m for m in head.modules() if isinstance(m, ContinuousConv)),
        last=head.predict_depth,
    )
    for name, layer in layers.items():
        layer.register_forward_hook(
            lambda module, args, out, name=name: types.update({name: out.dtype})
        )
    with torch.no_grad():
        plain = complete(head, *inputs)
        types.clear()
        with torch.autocast('cpu', dtype=torch.bfloat16):
            found = complete(head, *inputs)
    full, half = torch.float32, torch.bfloat16
    assert types == dict(measurements=full, image=half, block=half, points=full, last=full)
    assert found.dtype == full and not torch.equal(found, plain)
    assert (found - plain).abs().max() < 0.02 * plain.std() + 0.005 * plain.max()


def test_untrained_head_predicts_a_sensible_depth():
    head = build().eval()
    depth = complete(head, *batch())
    assert 12 < depth.mean() < 28
    nn.init.constant_(head.predict_depth.bias, 3.0)
    head.init_weights()
    assert 12 < complete(head, *batch()).mean() < 28


@pytest.mark.parametrize('stride', [1, 2])
def test_untrained_residual_is_the_fill(stride):
    head = build(residual='nearest', stride=stride)
    img, sparse, cam, logits = batch()
    sparse[1] = 0
    filled = nearest_fill(sparse, default=40.0)
    depth = complete(head, img, sparse, cam, logits)
    torch.testing.assert_close(depth, filled, rtol=1e-4, atol=1e-4)
    # and learns from there
    head.loss_by_feat(depth, torch.full((2, 1, 21, 35), 9.0))['loss_depth'].backward()
    assert head.predict_depth.weight.grad.abs().sum() > 0


def test_positive_and_its_inverse():
    y = torch.logspace(-5, 0, 50, dtype=torch.float64)
    torch.testing.assert_close(positive(inverse_positive(y)), y)
    assert inverse_positive(torch.tensor(0.5)).item() == pytest.approx(
        math.log(math.exp(5) - 1) / 10
    )
    x = torch.tensor([-0.5, 0.0, 0.5], requires_grad=True)
    positive(x).sum().backward()
    assert (positive(x) > 0).all() and (x.grad > 0.005).all()


@pytest.mark.parametrize('residual', [None, 'nearest'])
def test_learns_a_frame(residual):
    """A smooth depth map is fitted far better than at the start."""
    torch.manual_seed(0)
    rows = torch.linspace(0, 1, 24)[:, None]
    cols = torch.linspace(0, 1, 40)[None]
    gt = (10 + 50 * rows * cols)[None, None]
    sparse = gt * (torch.rand_like(gt) < 0.05)
    img = torch.cat([gt / 60, gt.sin(), rows.expand_as(gt)], dim=1)
    cam = torch.tensor([[[40.0, 0.0, 20.0], [0.0, 40.0, 12.0], [0.0, 0.0, 1.0]]])
    head = build(num_classes=0, residual=residual).train()
    optimizer = torch.optim.Adam(head.parameters(), 5e-3)
    losses = []
    for _ in range(40):
        loss = head.loss_by_feat(complete(head, img, sparse, cam), gt)['loss_depth']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if residual is None:
        assert losses[0] > 50
        assert losses[-1] < 0.05 * losses[0]
    else:
        assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    'field, value',
    [
        ('max_depth', 0.0),
        ('num_classes', -1),
        ('semantics', 'probabilities'),
        ('num_blocks', 0),
        ('stride', 0),
        ('k', 0),
        ('residual', 'linear'),
    ],
)
def test_bad_config(field, value):
    with pytest.raises(InputError, match=field):
        build(**{field: value})


def test_explicit_default_size():
    """Paper: stems of 16 and 32 channels, 12 blocks of 64."""
    head = MODELS.build(dict(type='FuseBlockDepthHead', max_depth=80.0, num_classes=14))
    assert len(head.blocks) == 12
    assert head.sparse_stem[0].conv.weight.shape == (16, 1, 3, 3)
    assert head.image_stem[0].conv.weight.shape == (32, 17, 3, 3)
    assert head.blocks[0].fuse.conv.weight.shape == (64, 48, 3, 3)
    assert head.predict_depth.weight.shape == (1, 32, 3, 3)
