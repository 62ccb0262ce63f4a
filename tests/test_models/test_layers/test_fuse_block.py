"""Fuse block: gathered features belong to the points they are given to."""

import pytest
import torch
from plain_layers import fuse_block, randomize_norms
from torch import nn

from pandepth_mm.models.layers import FuseBlock, gather_points, place_points, scatter_points
from pandepth_mm.models.layers.point_graph import PointGraph, build_point_graph

CAM = torch.tensor([[40.0, 0.0, 15.0], [0.0, 40.0, 7.0], [0.0, 0.0, 1.0]])


def sparse_depth(batch=2, height=15, width=31, density=0.1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    depth = torch.rand(batch, 1, height, width, generator=generator) * 50 + 1
    keep = torch.rand(batch, 1, height, width, generator=generator) < density
    return depth * keep


def graph_of(depth, k=3):
    return build_point_graph(depth, CAM.expand(len(depth), 3, 3), k)


def points_of(depth, k=3):
    """The points of depth maps (B, 1, H, W) on their own grid."""
    return place_points(graph_of(depth, k), (len(depth), *depth.shape[-2:]))


def pixel_codes(batch, height, width):
    """A map whose channels are image, row and column of each pixel."""
    axes = torch.meshgrid(
        torch.arange(batch), torch.arange(height), torch.arange(width), indexing='ij'
    )
    return torch.stack(axes, dim=1).float()


def test_gathered_features_belong_to_their_points():
    depth = sparse_depth()
    codes = pixel_codes(2, 15, 31)
    graph = graph_of(depth)
    feats = gather_points(codes, points_of(depth))
    assert len(feats) == (depth > 0).sum() > 50
    for code, point in zip(feats, graph.points, strict=True):
        b, v, u = code.long().tolist()
        x, y, z = point.tolist()
        assert depth[b, 0, v, u].item() == z
        # the point projects into the very pixel whose feature it has
        assert x / z * 40 + 15 == pytest.approx(u, abs=1e-4)
        assert y / z * 40 + 7 == pytest.approx(v, abs=1e-4)


def test_gathered_neighbors_are_those_of_3d_space():
    depth = sparse_depth()
    graph = graph_of(depth)
    own = gather_points(pixel_codes(2, 15, 31), points_of(depth))
    neighbors = own[graph.knn_indices]
    for n in range(len(own)):
        b = int(own[n, 0])
        v, u = (depth[b, 0] > 0).nonzero(as_tuple=True)
        z = depth[b, 0, v, u].double()
        all_points = torch.stack([(u - 15) * z / 40, (v - 7) * z / 40, z], 1)
        here = ((v == own[n, 1]) & (u == own[n, 2])).nonzero().item()
        dist = (all_points - all_points[here]).norm(dim=1)
        dist[here] = float('inf')
        nearest = dist.topk(3, largest=False)[1].tolist()
        expected = {(b, v[m].item(), u[m].item()) for m in nearest}
        assert {tuple(map(int, c)) for c in neighbors[n].tolist()} == expected


def test_hand_placed_neighbor():
    """One point's change is seen at the points beside it in space only."""
    # pixel neighbors (2, 3) and (2, 4) are 40 m apart, the point at (2, 20) is near to the latter
    # in depth, and nearest to it in space
    depth = torch.zeros(1, 1, 15, 31)
    depth[0, 0, 2, 3] = 50.0
    depth[0, 0, 2, 4] = 10.0
    depth[0, 0, 2, 20] = 10.0
    depth[0, 0, 14, 3] = 50.0
    graph = graph_of(depth, k=1)
    # raster order: (2, 3), (2, 4), (2, 20), (14, 3)
    assert graph.knn_indices.flatten().tolist() == [3, 2, 1, 0]
    torch.manual_seed(0)
    block = FuseBlock(4, 4).eval()
    conv = block.point_convs[0]
    x = torch.randn(1, 4, 15, 31)
    changed = x.clone()
    changed[0, :, 2, 20] += 1
    points = points_of(depth, k=1)
    out = [conv(gather_points(m, points), points.neighbors) for m in (x, changed)]
    differs = (out[0] != out[1]).any(dim=1).tolist()
    assert differs == [False, True, False, False]


def test_features_travel_along_hand_placed_neighbors():
    """Two continuous convolutions that only copy: two steps in space."""
    # a chain in depth: nearest to 10 m is 12 m, to 12 m and 13 m each other
    depth = torch.zeros(1, 1, 15, 31)
    depth[0, 0, 7, 14], depth[0, 0, 7, 15] = 10.0, 60.0
    depth[0, 0, 7, 16], depth[0, 0, 8, 15] = 12.0, 13.0
    graph = graph_of(depth, k=1)
    # raster order: 10 m, 60 m, 12 m, 13 m
    assert graph.knn_indices.flatten().tolist() == [2, 3, 3, 2]
    block = FuseBlock(4, 4, norm_cfg=None, act_cfg=None)
    for conv in block.point_convs:
        nn.init.zeros_(conv.mlp[2].weight)
        nn.init.ones_(conv.mlp[2].bias)
        nn.init.eye_(conv.linear.weight)
        nn.init.zeros_(conv.linear.bias)
    x = torch.randn(1, 4, 15, 31)
    expected = torch.zeros_like(x)
    expected[..., 7, 14] = x[..., 8, 15]  # 10 m -> 12 m -> 13 m
    expected[..., 7, 15] = x[..., 7, 16]  # 60 m -> 13 m -> 12 m
    expected[..., 7, 16] = x[..., 7, 16]  # 12 m -> 13 m -> 12 m
    expected[..., 8, 15] = x[..., 8, 15]
    assert torch.equal(block.forward_3d(x, points_of(depth, k=1)), expected)


@pytest.mark.parametrize('out_channels', [4, 5])
@pytest.mark.parametrize('size', [(8, 12), (7, 13)])
def test_equals_recomposition(size, out_channels):
    """The whole block, layers and points written out."""
    depth = sparse_depth(2, *size, density=0.15)
    depth[1] = 0
    depth[1, 0, 3, 4] = 5.0  # a point alone has no neighbor
    graph = graph_of(depth)
    assert (graph.knn_indices[-1] == -1).all()
    torch.manual_seed(0)
    block = FuseBlock(4, out_channels).double().eval()
    randomize_norms(block)
    graph = graph._replace(points=graph.points.double())
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    pixels = (depth[:, 0] > 0).nonzero().tolist()
    with torch.no_grad():
        torch.testing.assert_close(
            block(x, place_points(graph, (2, *size))),
            fuse_block(block, x, pixels, graph.points, graph.knn_indices),
            rtol=1e-10,
            atol=1e-10,
        )


def test_scatter_is_the_reverse_of_gather():
    depth = sparse_depth()
    points = points_of(depth)
    x = torch.randn(2, 5, 15, 31)
    grid = scatter_points(gather_points(x, points), points)
    assert torch.equal(grid, torch.where(depth > 0, x, torch.zeros(())))


def test_scatter_averages_the_points_of_a_cell():
    row = torch.tensor([0, 0, 1])
    col = torch.tensor([1, 1, 0])
    zero = torch.zeros(3, dtype=torch.long)
    graph = PointGraph(zero, row, col, torch.zeros(3, 3), zero[:, None] - 1)
    feats = torch.tensor([[1.0, 10.0], [3.0, 30.0], [7.0, 70.0]])
    grid = scatter_points(feats, place_points(graph, (1, 2, 2)))
    assert grid[0, 0].tolist() == [[0, 2], [7, 0]]
    assert grid[0, 1].tolist() == [[0, 20], [70, 0]]


@pytest.mark.parametrize('size', [(15, 31), (16, 32), (7, 13), (1, 1)])
def test_shapes(size):
    depth = sparse_depth(2, *size, density=0.5)
    block = FuseBlock(6, 8).eval()
    out = block(torch.randn(2, 6, *size), points_of(depth))
    assert out.shape == (2, 8, *size)


def test_is_the_sum_of_its_branches():
    depth = sparse_depth()
    points = points_of(depth)
    torch.manual_seed(0)
    x = torch.randn(2, 6, 15, 31)
    for out_channels in (6, 8):
        block = FuseBlock(6, out_channels).eval()
        coarse = block.coarse(x)
        assert coarse.shape[-2:] == (8, 16)
        up = torch.nn.functional.interpolate(coarse, size=(15, 31))
        three_d = block.forward_3d(x, points)
        # zero where no point is
        assert not three_d[(depth == 0).expand_as(three_d)].any()
        expected = block.fuse(block.fine(x) + up + three_d)
        if out_channels == 6:
            expected = expected + x
        torch.testing.assert_close(block(x, points), expected)


def test_images_do_not_see_each_other():
    depth = sparse_depth()
    block = FuseBlock(6, 6).eval()
    x = torch.randn(2, 6, 15, 31)
    both = block(x, points_of(depth))
    for i in range(2):
        alone = block(x[i : i + 1], points_of(depth[i : i + 1]))
        torch.testing.assert_close(both[i : i + 1], alone)


def test_without_points_all_parameters_have_gradients():
    block = FuseBlock(4, 4).train()
    x = torch.randn(2, 4, 6, 9)
    block(x, points_of(torch.zeros(2, 1, 6, 9))).sum().backward()
    for name, param in block.named_parameters():
        assert param.grad is not None, name
        assert param.grad.isfinite().all(), name
