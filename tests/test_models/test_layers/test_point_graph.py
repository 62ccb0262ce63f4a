"""Points and neighbors against brute force."""

import numpy as np
import pytest
import torch

from pandepth_mm.geometry.camera import back_project
from pandepth_mm.models.layers import point_graph
from pandepth_mm.models.layers.point_graph import build_point_graph


def random_sparse(rng, shape, fraction):
    depth = rng.uniform(2, 80, shape).astype(np.float32)
    return np.where(rng.random(shape) < fraction, depth, 0)


def brute_force_graph(depth, cam2img, k):
    """Points in raster order and sorted distances to the k nearest others."""
    points, distances, owners = [], [], []
    for b in range(len(depth)):
        cloud = back_project(depth[b, 0], cam2img[b]).astype(np.float64)
        for i, point in enumerate(cloud):
            others = [np.linalg.norm(point - other) for j, other in enumerate(cloud) if j != i]
            distances.append(sorted(others)[:k])
        points.append(cloud)
        owners += [b] * len(cloud)
    return np.concatenate(points), distances, owners


@pytest.mark.parametrize('search', ['_knn_tree', '_knn_cdist'])
@pytest.mark.parametrize('k', [1, 3, 9])
def test_point_graph_equals_brute_force(monkeypatch, search, k):
    method = getattr(point_graph, search)
    if search == '_knn_cdist':  # the GPU's method, with several chunks
        monkeypatch.setattr(point_graph, '_knn_tree', lambda points, k: method(points, k, chunk=50))
    rng = np.random.default_rng(4)
    depth = random_sparse(rng, (3, 1, 20, 90), 0.07)
    depth[1] = 0  # an image without points
    cam2img = np.stack(
        [
            np.array([[50.0, 0, 44.5], [0, 40, 9.5], [0, 0, 1]]),
            np.eye(3),
            np.array([[70.0, 0, 40], [0, 70, 11], [0, 0, 1]]),
        ]
    )
    graph = build_point_graph(torch.from_numpy(depth), torch.from_numpy(cam2img), k)
    points, distances, owners = brute_force_graph(depth, cam2img, k)

    assert graph.batch.tolist() == owners and 1 not in owners
    np.testing.assert_allclose(graph.points, points, rtol=1e-5, atol=1e-5)
    values = depth[graph.batch, 0, graph.row, graph.col]
    np.testing.assert_array_equal(graph.points[:, 2], values)
    indices = graph.knn_indices
    assert indices.shape == (len(points), k) and indices.dtype == torch.long
    assert (indices >= 0).all()
    assert (indices != torch.arange(len(points))[:, None]).all()
    assert (graph.batch[indices] == graph.batch[:, None]).all()
    assert all(len(set(row)) == k for row in indices.tolist())
    found = np.linalg.norm(points[indices] - points[:, None], axis=-1)
    np.testing.assert_allclose(found, distances, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize('search', ['_knn_tree', '_knn_cdist'])
def test_few_points(monkeypatch, search):
    monkeypatch.setattr(point_graph, '_knn_tree', getattr(point_graph, search))
    depth = torch.zeros(3, 1, 4, 6)
    depth[0, 0, 1, 1] = 5  # one point: no neighbor
    depth[2, 0, 0, 0] = depth[2, 0, 3, 5] = 7  # two: one neighbor each
    graph = build_point_graph(depth, torch.eye(3).expand(3, 3, 3), k=3)
    assert graph.batch.tolist() == [0, 2, 2]
    assert graph.knn_indices.tolist() == [[-1, -1, -1], [2, -1, -1], [1, -1, -1]]


def test_no_points_at_all():
    graph = build_point_graph(torch.zeros(2, 1, 4, 6), torch.eye(3).expand(2, 3, 3), k=3)
    assert [tuple(t.shape) for t in graph] == [(0,), (0,), (0,), (0, 3), (0, 3)]
    assert graph.knn_indices.dtype == torch.long


@pytest.mark.parametrize('search', ['_knn_tree', '_knn_cdist'])
def test_coinciding_points_are_not_their_own_neighbors(search):
    cloud = torch.zeros(6, 3)
    others = getattr(point_graph, search)(cloud, 3)
    assert others.shape == (6, 3)
    assert (others != torch.arange(6)[:, None]).all()


def test_point_graph_has_no_gradient_and_skips_invalid():
    depth = torch.full((1, 1, 2, 2), 3.0, requires_grad=True)
    with torch.no_grad():
        depth[0, 0, 0] = torch.tensor([float('nan'), float('inf')])
        depth[0, 0, 1, 0] = -1
    graph = build_point_graph(depth, torch.eye(3)[None], k=2)
    assert graph.points.tolist() == [[3, 3, 3]]
    assert not graph.points.requires_grad


@pytest.mark.parametrize(
    'depth, cam2img, k',
    [
        (torch.zeros(2, 4, 6), torch.eye(3).expand(2, 3, 3), 3),
        (torch.zeros(2, 1, 4, 6), torch.eye(3), 3),
        (torch.zeros(2, 1, 4, 6), torch.eye(3).expand(2, 3, 3), 0),
    ],
)
def test_point_graph_refuses_wrong_arguments(depth, cam2img, k):
    with pytest.raises(ValueError):
        build_point_graph(depth, cam2img, k)
