"""2D-3D fuse block: image features and point features in one map."""

import torch
from mmcv.cnn import ConvModule, DepthwiseSeparableConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.models.layers.continuous_conv import ContinuousConv
from pandepth_mm.models.layers.point_graph import PointGraph


def gather_points(x: Tensor, graph: PointGraph) -> Tensor:
    """Read a feature map at the pixels of the points.

    Args:
        x: Feature map, (B, C, H, W).
        graph: Point graph whose ``row`` and ``col`` are pixels of ``x``.

    Returns:
        (N, C), row n belongs to point n. Padding (row and column -1) reads the first pixel, which
        reaches no point.
    """
    return x[graph.batch, :, graph.row.clamp(min=0), graph.col.clamp(min=0)]


def scatter_points(
    feats: Tensor, graph: PointGraph, batch_size: int, size: tuple[int, int]
) -> Tensor:
    """Write point features into an empty map, the reverse of gathering.

    Args:
        feats: Features, (N, C).
        graph: Point graph whose ``row`` and ``col`` are pixels of the map; what has row -1 is
            padding and is left out.
        batch_size: B.
        size: (H, W).

    Returns:
        (B, C, H, W), zero where no point lies. Where several do (a map coarser than the depth map),
        their mean.
    """
    height, width = size
    cell = (graph.batch * height + graph.row) * width + graph.col
    cells = batch_size * height * width
    # one cell more, for the padding
    cell = torch.where(graph.row < 0, cells, cell)
    # no index_add: it becomes ONNX's ScatterND, where onnxruntime lets several threads add the
    # points of one cell at once, and loses some
    count = feats.new_zeros(cells + 1).scatter_add(0, cell, feats.new_ones(len(feats)))
    feats = feats / count[cell][:, None]
    grid = feats.new_zeros(cells + 1, feats.shape[1]).scatter_add(
        0, cell[:, None].expand_as(feats), feats
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

    def forward_3d(self, x: Tensor, graph: PointGraph) -> Tensor:
        """Run the 3-D branch: keeps (B, in_channels, H, W)."""
        feats = gather_points(x, graph)
        for conv in self.point_convs:
            feats = conv(feats, graph.points, graph.knn_indices)
        return scatter_points(feats, graph, len(x), x.shape[-2:])

    def forward(self, x: Tensor, graph: PointGraph) -> Tensor:
        """Fuse.

        Args:
            x: Feature map, (B, in_channels, H, W), any size.
            graph: Points of the batch, with ``row`` and ``col`` on the grid of ``x`` (see
                ``build_point_graph``).

        Returns:
            (B, out_channels, H, W).
        """
        coarse = F.interpolate(self.coarse(x), size=x.shape[-2:], mode='nearest')
        out = self.fine(x) + coarse + self.forward_3d(x, graph)
        out = self.fuse(out)
        return out + x if self.with_residual else out
