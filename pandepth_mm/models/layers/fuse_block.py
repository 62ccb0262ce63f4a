"""2D-3D fuse block: image features and point features in one map."""

from contextlib import AbstractContextManager, nullcontext
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.models.layers.continuous_conv import (
    ContinuousConv,
    PointNeighbors,
    point_neighbors,
)
from pandepth_mm.models.layers.point_graph import PointGraph


class PlacedPoints(NamedTuple):
    """The points of a batch on the cells of a map: what all fuse blocks read of them.

    Attributes:
        size: (B, H, W) of the map.
        batch: Index of the image, long (N,).
        row: Row of the cell, long (N,); -1 for padding.
        col: Column of the cell, long (N,); -1 for padding.
        cell: Number of the cell among all of the batch, long (N,); B * H * W for padding.
        count: Number of points in the cell, (N, 1).
        neighbors: In space.
    """

    size: tuple[int, int, int]
    batch: Tensor
    row: Tensor
    col: Tensor
    cell: Tensor
    count: Tensor
    neighbors: PointNeighbors


def no_autocast(device: str) -> AbstractContextManager:
    """Switch autocast off where it is on; an exported graph has no trace of it elsewhere."""
    enabled = torch.is_autocast_enabled(device)
    return torch.autocast(device, enabled=False) if enabled else nullcontext()


def place_points(graph: PointGraph, size: tuple[int, int, int], stride: int = 1) -> PlacedPoints:
    """Place the points of a frame on a map, once for all fuse blocks.

    Args:
        graph: The points; what has row -1 is padding.
        size: (B, H, W) of the map.
        stride: Of the map, relative to the grid of the graph.
    """
    batch_size, height, width = size
    row = torch.div(graph.row, stride, rounding_mode='floor')
    col = torch.div(graph.col, stride, rounding_mode='floor')
    cells = batch_size * height * width
    # one cell more, for the padding
    cell = torch.where(row < 0, cells, (graph.batch * height + row) * width + col)
    # no index_add: it becomes ONNX's ScatterND, where onnxruntime lets several threads add the
    # points of one cell at once, and loses some
    points = graph.points
    count = points.new_zeros(cells + 1).scatter_add(0, cell, points.new_ones(len(points)))
    neighbors = point_neighbors(points, graph.knn_indices)
    return PlacedPoints(size, graph.batch, row, col, cell, count[cell][:, None], neighbors)


def gather_points(x: Tensor, points: PlacedPoints) -> Tensor:
    """Read a feature map at the cells of the points.

    Args:
        x: Feature map, (B, C, H, W).
        points: On this map.

    Returns:
        (N, C), row n belongs to point n. Padding reads the first cell, which reaches no point.
    """
    return x[points.batch, :, points.row.clamp(min=0), points.col.clamp(min=0)]


def scatter_points(feats: Tensor, points: PlacedPoints) -> Tensor:
    """Write point features into an empty map, the reverse of gathering.

    Args:
        feats: Features, (N, C).
        points: On the map; padding is left out.

    Returns:
        (B, C, H, W), zero where no point lies. Where several do (a map coarser than the depth map),
        their mean.
    """
    batch_size, height, width = points.size
    cells = batch_size * height * width
    feats = feats / points.count
    grid = feats.new_zeros(cells + 1, feats.shape[1]).scatter_add(
        0, points.cell[:, None].expand_as(feats), feats
    )
    return grid[:cells].view(batch_size, height, width, -1).permute(0, 3, 1, 2)


class FuseBlock(BaseModule):
    """Fuse block of Chen et al. (2019), section 3.1; PanDepth section 3.5.

    A 2-D branch of two scales (a separable convolution of stride 2, another one, upsampling by
    nearest neighbor to the exact size; beside it a separable convolution of stride 1), and a 3-D
    branch (features gathered at the points, two continuous convolutions, scattered back, zero
    elsewhere) are summed; a 3x3 convolution with norm and activation follows. The branches keep the
    channels of the input, the 3x3 convolution changes them. The input is added to the result where
    the channels agree.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        norm_cfg: Norm of every convolution.
        act_cfg: Activation of every convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='LeakyReLU', negative_slope=0.01),
    ):
        super().__init__()
        self.with_residual = in_channels == out_channels
        conv = dict(kernel_size=3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)
        self.fine = DepthwiseSeparableConvModule(in_channels, in_channels, **conv)
        self.coarse = nn.Sequential(
            DepthwiseSeparableConvModule(in_channels, in_channels, stride=2, **conv),
            DepthwiseSeparableConvModule(in_channels, in_channels, **conv),
        )
        self.point_convs = nn.ModuleList(
            [
                ContinuousConv(in_channels, in_channels, norm_cfg=norm_cfg, act_cfg=act_cfg)
                for _ in range(2)
            ]
        )
        self.fuse = ConvModule(in_channels, out_channels, **conv)

    def forward_points(self, x: Tensor, points: PlacedPoints) -> Tensor:
        """Features of the points after the 3-D branch, (N, in_channels); in float32."""
        neighbors = points.neighbors
        feats = gather_points(x, points).to(neighbors.offsets.dtype)
        with no_autocast(x.device.type):
            for conv in self.point_convs:
                feats = conv(feats, neighbors)
        return feats

    def forward_3d(self, x: Tensor, points: PlacedPoints) -> Tensor:
        """Run the 3-D branch: keeps (B, in_channels, H, W)."""
        return scatter_points(self.forward_points(x, points), points).to(x.dtype)

    def forward(self, x: Tensor, points: PlacedPoints) -> Tensor:
        """Fuse.

        Args:
            x: Feature map, (B, in_channels, H, W), any size.
            points: Points of the batch on the cells of ``x``, see :func:`place_points`.

        Returns:
            (B, out_channels, H, W).
        """
        coarse = F.interpolate(self.coarse(x), size=x.shape[-2:], mode='nearest')
        out = self.fine(x) + coarse + self.forward_3d(x, points)
        out = self.fuse(out)
        return out + x if self.with_residual else out
