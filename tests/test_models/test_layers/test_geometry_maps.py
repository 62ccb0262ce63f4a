"""What a depth map says about walls and roads, against their formulas."""

import math

import pytest
import torch
from torch import nn

from pandepth_mm.models.layers.geometry_maps import NUM_GEOMETRY, geometry_maps
from pandepth_mm.models.layers.scene_features import SceneFeatures

SIZE = (64, 96)
FX, FY, CX, CY = 80.0, 70.0, 45.0, 20.0
CAM2IMG = torch.tensor([[[FX, 0, CX], [0, FY, CY], [0, 0, 1]]])


def directions():
    """x / z and y / z of every pixel; integer coordinates are centers."""
    rows, cols = torch.meshgrid(*(torch.arange(n).float() for n in SIZE), indexing='ij')
    return (cols - CX) / FX, (rows - CY) / FY


def cells(depth, stride):
    """The six channels beside the details, of one image, without the border."""
    maps = geometry_maps(depth[None, None], CAM2IMG, stride)
    assert maps.shape == (1, stride**2 + NUM_GEOMETRY, SIZE[0] // stride, SIZE[1] // stride)
    return maps[0, -NUM_GEOMETRY:, 1:-1, 1:-1]


def center(values, stride):
    """Mean of a linear function over a cell: its value in the middle."""
    return nn.functional.avg_pool2d(values[None, None], stride)[0, 0, 1:-1, 1:-1]


@pytest.mark.parametrize('stride', [2, 4])
def test_wall_in_front(stride):
    depth = torch.full(SIZE, 12.0)
    x, y = (center(v, stride) * 12 for v in directions())
    log, inverse, side, down, slope_u, slope_v = cells(depth, stride)
    assert (log - (math.log(12) - 2.5)).abs().max() < 1e-5
    assert (inverse - 3 / 12).abs().max() < 1e-5
    torch.testing.assert_close(side, x / 20, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(down, (y / 3).clamp(-4, 2), rtol=1e-4, atol=1e-5)
    assert slope_u.abs().max() < 1e-5 and slope_v.abs().max() < 1e-5
    assert geometry_maps(depth[None, None], CAM2IMG, stride)[0, : stride**2].abs().max() < 1e-5


@pytest.mark.parametrize('stride', [2, 4])
def test_road(stride):
    """1.6 m below the camera: its height is the same everywhere, the slope is 1 / direction."""
    _, y = directions()
    road = slice(16 // stride + 32 // stride, None)  # from 32 pixels below the horizon on
    depth = 1.6 / y.clamp(min=0.01)
    _, _, _, down, slope_u, slope_v = cells(depth, stride)
    assert (down[road] * 3 - 1.6).abs().max() < 0.02
    assert slope_u[road].abs().max() < 1e-5
    # log(1 / z) = log(y) + const changes by 1 / y
    expected = (1 / center(y, stride) / 4).tanh()[road]
    torch.testing.assert_close(slope_v[road], expected, rtol=0.02, atol=0)


@pytest.mark.parametrize('stride', [2, 4])
def test_wall_beside(stride):
    """5 m to the right: as the road, but sideways."""
    x, _ = directions()
    wall = slice(80 // stride, None)
    depth = 5 / x.clamp(min=0.01)
    _, _, side, _, slope_u, slope_v = cells(depth, stride)
    assert (side[:, wall] * 20 - 5).abs().max() < 0.05
    assert slope_v[:, wall].abs().max() < 1e-5
    expected = (1 / center(x, stride) / 4).tanh()[:, wall]
    torch.testing.assert_close(slope_u[:, wall], expected, rtol=0.02, atol=0)


def test_details_are_relative_to_the_cell():
    torch.manual_seed(0)
    depth = 10 * (0.1 * torch.randn(1, 1, 8, 12)).exp()
    maps = geometry_maps(depth, CAM2IMG, 4)
    block = depth[0, 0, 4:8, 8:12].log()
    torch.testing.assert_close(maps[0, :16, 1, 2], 4 * (block - block.mean()).flatten())


def test_each_image_has_its_own_intrinsics():
    depth = 5 + 20 * torch.rand(2, 1, *SIZE)
    other = torch.tensor([[[50.0, 0, 10], [0, 90, 30], [0, 0, 1]]])
    together = geometry_maps(depth, torch.cat([CAM2IMG, other]), 4)
    for i, cam2img in enumerate((CAM2IMG, other)):
        torch.testing.assert_close(geometry_maps(depth[i : i + 1], cam2img, 4)[0], together[i])


def test_nothing_known():
    depth = 5 + 20 * torch.rand(2, 1, *SIZE)
    depth[1] = 0
    maps = geometry_maps(depth, CAM2IMG.expand(2, 3, 3), 4)
    torch.testing.assert_close(maps[:1], geometry_maps(depth[:1], CAM2IMG, 4), rtol=0, atol=0)
    assert (maps[1] == 0).all()


@pytest.mark.parametrize('depth', [1e-3, 80.0])
def test_bounded(depth):
    maps = geometry_maps(torch.full((1, 1, *SIZE), depth), CAM2IMG, 4)
    assert torch.isfinite(maps).all()
    bound = [3, 4, 1, 1]  # sides, heights, slopes
    assert all((maps[0, -4 + i].abs() <= b).all() for i, b in enumerate(bound))


# ---- features


def features(size=(64, 96), channels=6):
    torch.manual_seed(0)
    return [torch.randn(2, channels, -(-size[0] // s), -(-size[1] // s)) for s in (4, 8, 16, 32)]


@pytest.mark.parametrize('geometry_channels', [0, 5])
def test_scene_features(geometry_channels):
    scene = SceneFeatures(6, 8, geometry_channels, dict(type='BN'), dict(type='ReLU6')).eval()
    feats = features()
    depth = 5 + 20 * torch.rand(2, 1, *SIZE) if geometry_channels else None
    cam2img = CAM2IMG.expand(2, 3, 3) if geometry_channels else None
    with torch.no_grad():
        total = scene.levels[0](feats[0])
        for level, x in zip(scene.levels[1:], feats[1:], strict=True):
            total = total + nn.functional.interpolate(level(x), (16, 24), mode='bilinear')
        if geometry_channels:
            maps = geometry_maps(depth, cam2img, 4)
            for layer in scene.geometry:
                maps = layer(maps)
            total = torch.cat([total, maps], dim=1)
        found = scene(feats, depth, cam2img)
        torch.testing.assert_close(found, scene.merge(total))
    assert found.shape == (2, 8, 16, 24)


def test_scene_features_want_four_levels():
    scene = SceneFeatures(6, 8, 0, dict(type='BN'), dict(type='ReLU6'))
    with pytest.raises(ValueError):
        scene(features()[:3], None, None)
