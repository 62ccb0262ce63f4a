"""The whole way of the points through the depth head (paper, section 3.5).

Sparse depth -> points -> neighbors -> gathered features -> fuse blocks. The authors' code pairs
features with the coordinates of other points: its neighbors are 338 px away on average, where 3.6
px are meant.
"""

import copy
import math

import pytest
import torch
from plain_layers import conv_norm_act, fuse_block, randomize_norms
from torch.nn import functional as F

from pandepth_mm.registry import MODELS

FOCAL = 40.0


def build(**kwargs):
    torch.manual_seed(0)
    cfg = dict(
        type='FuseBlockDepthHead',
        max_depth=80.0,
        num_classes=3,
        num_blocks=2,
        channels=6,
        sparse_channels=3,
        image_channels=4,
    )
    return MODELS.build(dict(cfg, **kwargs)).eval()


def camera(number, height, width):
    """Another principal point for each image."""
    cam = torch.tensor([[FOCAL, 0.0, width / 2], [0.0, FOCAL, height / 2], [0.0, 0.0, 1.0]]).repeat(
        number, 1, 1
    )
    cam[:, 0, 2] += torch.arange(number)
    return cam


def batch(size, number=2, density=0.1, seed=0):
    """Image, sparse depth, intrinsics, logits: a cloud without surfaces."""
    torch.manual_seed(seed)
    depth = torch.rand(number, 1, *size) * 70 + 2
    sparse = depth * (torch.rand_like(depth) < density)
    return (
        torch.randn(number, 3, *size),
        sparse,
        camera(number, *size),
        torch.randn(number, 3, *size),
    )


def complete(head, img, sparse, cam, logits):
    return head(img, None, head.prepare(sparse, cam), logits)


def measured_points(sparse, cam):
    """Pixels (image, row, column) and float64 points, in raster order."""
    pixels = (sparse[:, 0] > 0).nonzero().tolist()
    points = []
    for b, v, u in pixels:
        z = sparse[b, 0, v, u].item()
        points.append(
            [(u - cam[b, 0, 2].item()) * z / FOCAL, (v - cam[b, 1, 2].item()) * z / FOCAL, z]
        )
    return pixels, torch.tensor(points, dtype=torch.float64)


def nearest_points(pixels, points, k):
    """The k nearest others of the same image, by all distances."""
    rows = []
    for i, (image, _, _) in enumerate(pixels):
        near = [
            (math.dist(points[i].tolist(), points[j].tolist()), j)
            for j, other in enumerate(pixels)
            if other[0] == image and j != i
        ]
        near = [j for _, j in sorted(near)[:k]]
        rows.append(near + [-1] * (k - len(near)))
    return torch.tensor(rows)


def plain_head(head, img, sparse, cam, logits):
    """The head at stride 1, written out in float64."""
    head = copy.deepcopy(head).double()
    img, logits = img.double(), logits.double()
    pixels, points = measured_points(sparse, cam)
    neighbors = nearest_points(pixels, points, head.k)
    x = sparse.double() / 80
    for layer in head.sparse_stem:
        x = conv_norm_act(layer, x)
    y = torch.cat([img, logits], 1)
    for layer in head.image_stem:
        y = conv_norm_act(layer, y)
    x = torch.cat([x, y], 1)
    for block in head.blocks:
        x = fuse_block(block, x, pixels, points, neighbors)
    last = head.predict_depth
    x = F.conv2d(conv_norm_act(head.refine, x), last.weight, last.bias, padding=1)
    # a softplus, 10 times as sharp as the usual one
    return (80 * torch.log1p(torch.exp(10 * x)) / 10).clamp(1e-3, 80)


def test_equals_recomposition():
    """Float32, as the head always is: within 1e-5 of the depth range."""
    head = build()
    randomize_norms(head)
    torch.nn.init.normal_(head.predict_depth.weight, std=0.005)
    inputs = batch((9, 14))
    with torch.no_grad():
        found, expected = complete(head, *inputs), plain_head(head, *inputs)
    # the clamp at the ends of the range hides nothing
    assert expected.min() > 0.01 and expected.max() < 80
    assert expected.std() > 3
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=80 * 1e-5)


class Spy:
    """Feeds each fuse block with codes and records what its points get.

    The first three channels of the map become image, row and column of each cell, so that a
    gathered feature says where it was gathered.
    """

    def __init__(self, head):
        self.calls = []
        for block in head.blocks:
            block.register_forward_pre_hook(self.write_codes)
            block.point_convs[0].register_forward_pre_hook(self.record)

    def record(self, module, args):
        """Features (N, C) and rows of the neighbors (N, k), -1 for none."""
        feats, neighbors = args
        rows = torch.where(neighbors.present[..., 0] > 0, neighbors.index, -1)
        self.calls.append((feats, rows))

    @staticmethod
    def write_codes(module, args):
        x, points = args
        codes = torch.zeros_like(x)
        axes = [torch.arange(n) for n in (len(x), *x.shape[-2:])]
        for channel, axis in enumerate(torch.meshgrid(*axes, indexing='ij')):
            codes[:, channel] = axis
        return codes, points


@pytest.mark.parametrize('stride', [1, 2])
def test_gathered_features_belong_to_their_points(stride):
    head = build(stride=stride, k=4)
    spy = Spy(head)
    img, sparse, cam, logits = batch((15, 24))
    sparse[1, 0] *= torch.rand(15, 24) < 0.5
    with torch.no_grad():
        complete(head, img, sparse, cam, logits)
    points = head.prepare(sparse, cam).graph.points
    pixels, _ = measured_points(sparse, cam)
    assert len(spy.calls) == 2 and len(pixels) > 40
    for feats, _ in spy.calls:
        assert len(feats) == len(points) == len(pixels)
        seen = []
        for code, (x, y, z) in zip(feats[:, :3].long().tolist(), points.tolist(), strict=True):
            b, row, col = code
            # where these coordinates are seen in this image
            u = x / z * FOCAL + cam[b, 0, 2].item()
            v = y / z * FOCAL + cam[b, 1, 2].item()
            pixel = (b, round(v), round(u))
            assert (u, v) == pytest.approx(pixel[:0:-1], abs=1e-3)
            assert sparse[b, 0, pixel[1], pixel[2]].item() == z
            assert (row, col) == (pixel[1] // stride, pixel[2] // stride)
            seen.append(list(pixel))
        assert sorted(seen) == pixels  # each point once


@pytest.mark.parametrize('stride', [1, 2])
def test_gathered_neighbors_are_nearest_in_space(stride):
    head = build(stride=stride, k=4)
    spy = Spy(head)
    img, sparse, cam, logits = batch((15, 24), density=0.06)
    sparse[1] = 0
    sparse[1, 0, 3, 5], sparse[1, 0, 3, 6] = 20.0, 30.0  # fewer than k others
    with torch.no_grad():
        complete(head, img, sparse, cam, logits)
    pixels, points = measured_points(sparse, cam)
    expected = nearest_points(pixels, points, 4)
    assert (expected == -1).sum() == 6 and len(pixels) > 15
    cells = [(b, v // stride, u // stride) for b, v, u in pixels]
    index = {pixel[2]: i for i, pixel in enumerate(points.tolist())}
    coords = head.prepare(sparse, cam).graph.points
    for feats, neighbors in spy.calls:
        codes = [tuple(c) for c in feats[:, :3].long().tolist()]
        for n, row in enumerate(neighbors.tolist()):
            i = index[coords[n, 2].item()]  # depths are all different
            found = sorted(codes[j] for j in row if j >= 0)
            wanted = [j for j in expected[i].tolist() if j >= 0]
            assert found == sorted(cells[j] for j in wanted)


def test_neighbors_on_a_surface_are_few_pixels_away():
    """5 % of the pixels of a wall: the next ones are 2 to 5 px away."""
    size = (80, 200)
    rows, cols = torch.meshgrid(torch.arange(80.0), torch.arange(200.0), indexing='ij')
    wall = (20 + rows / 80 + cols / 200)[None, None]
    torch.manual_seed(0)
    sparse = wall * (torch.rand_like(wall) < 0.05)
    head = build(k=3, num_blocks=1)
    spy = Spy(head)
    with torch.no_grad():
        complete(head, torch.zeros(1, 3, *size), sparse, camera(1, *size), torch.zeros(1, 3, *size))
    feats, neighbors = spy.calls[0]
    places = feats[:, 1:3]
    away = (places[neighbors] - places[:, None]).norm(dim=-1)
    assert len(places) > 700 and (neighbors >= 0).all()
    assert 1 < away.mean() < 5
    shuffled = places[torch.randperm(len(places))]
    assert (shuffled[neighbors] - places[:, None]).norm(dim=-1).mean() > 50
