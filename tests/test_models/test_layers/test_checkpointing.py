import copy

import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from pandepth_mm.models.layers.checkpointing import checkpointed
from pandepth_mm.registry import MODELS

HEADS = dict(
    FuseBlockDepthHead=dict(max_depth=80.0, num_classes=3, num_blocks=2, channels=8),
    JointHead=dict(max_depth=80.0, num_classes=3, channels=8),
)


def frame():
    torch.manual_seed(1)
    depth = torch.rand(2, 1, 20, 36) * 70 + 2
    cam2img = torch.tensor([[40.0, 0, 18], [0, 40, 10], [0, 0, 1]]).repeat(2, 1, 1)
    logits = torch.randn(2, 3, 20, 36)
    return torch.randn(2, 3, 20, 36), depth * (torch.rand_like(depth) < 0.1), cam2img, logits


def step(head, img, sparse, cam2img, logits):
    """Train a step: output, gradients, buffers, bytes kept."""
    logits = logits.clone().requires_grad_()
    kept = []
    with saved_tensors_hooks(lambda x: kept.append(x.nbytes) or x, lambda x: x):
        if hasattr(head, 'prepare'):
            out = head(img, None, head.prepare(sparse, cam2img), logits)
        else:
            out = head(logits, sparse)
    out.square().mean().backward()
    grads = [p.grad for p in (*head.parameters(), logits)]
    return out, grads, list(head.buffers()), sum(kept)


def check_same(name, keep=slice(None)):
    """Compare a head with one that saves memory.

    Args:
        name: Of the head.
        keep: Which measurements of the frame.

    Returns:
        Share of the memory.
    """
    torch.manual_seed(0)
    plain = MODELS.build(dict(type=name, **HEADS[name])).train()
    saving = MODELS.build(dict(type=name, with_cp=True, **HEADS[name])).train()
    saving.load_state_dict(copy.deepcopy(plain.state_dict()))
    img, sparse, *rest = frame()
    places = [index[keep] for index in sparse.nonzero(as_tuple=True)]
    inputs = img, torch.zeros_like(sparse).index_put(places, sparse[places]), *rest
    expected, found = step(plain, *inputs), step(saving, *inputs)
    assert torch.equal(found[0], expected[0])
    for a, b in zip(found[1], expected[1], strict=True):
        torch.testing.assert_close(a, b)
    # statistics of norms and their counts: a batch counts once
    for a, b in zip(found[2], expected[2], strict=True):
        assert torch.equal(a, b)
    assert all(m.momentum == 0.1 for m in saving.modules() if hasattr(m, 'momentum'))
    return found[3] / expected[3]


def test_fuse_blocks_give_the_same_and_keep_less():
    assert check_same('FuseBlockDepthHead') < 0.5


def test_a_single_point_uses_the_same_statistics_twice():
    check_same('FuseBlockDepthHead', slice(1))


def test_the_joint_head_gives_the_same_and_keeps_less():
    assert check_same('JointHead') < 0.7


def test_the_backbone_gives_the_same_and_keeps_less():
    cfg = dict(type='EfficientNetPS', arch='b0', drop_path_rate=0.5)
    torch.manual_seed(0)
    plain = MODELS.build(cfg).train()
    saving = MODELS.build(dict(cfg, with_cp=True)).train()
    saving.load_state_dict(copy.deepcopy(plain.state_dict()))
    img = torch.randn(2, 3, 64, 96)
    found = []
    for backbone in (plain, saving):
        torch.manual_seed(1)  # of the blocks that are left out
        kept = []
        with saved_tensors_hooks(lambda x, kept=kept: kept.append(x.nbytes) or x, lambda x: x):
            maps = backbone(img)
        sum(x.square().mean() for x in maps).backward()
        found.append((sum(kept), [*maps, *backbone.buffers()], [*backbone.parameters()]))
    assert found[1][0] < 0.2 * found[0][0]
    for a, b in zip(found[1][1], found[0][1], strict=True):
        assert torch.equal(a, b)
    for a, b in zip(found[1][2], found[0][2], strict=True):
        torch.testing.assert_close(a.grad, b.grad)


def test_without_gradients_it_is_a_plain_call():
    layer = nn.BatchNorm2d(3).train()
    x = torch.rand(2, 3, 4, 4)
    with torch.no_grad():
        assert torch.equal(checkpointed([layer], x), copy.deepcopy(layer).train()(x))
    assert layer.num_batches_tracked == 1
