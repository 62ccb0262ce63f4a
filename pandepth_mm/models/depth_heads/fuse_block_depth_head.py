"""Depth completion head made of 2D-3D fuse blocks."""

import math
from itertools import pairwise
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.errors import require_choice, require_count
from pandepth_mm.models.depth_heads.base import BaseDepthHead
from pandepth_mm.models.depth_heads.nearest_fill import nearest_fill
from pandepth_mm.models.layers.checkpointing import checkpointed
from pandepth_mm.models.layers.fuse_block import FuseBlock, no_autocast, place_points
from pandepth_mm.models.layers.point_graph import PointGraph, build_point_graph
from pandepth_mm.registry import MODELS

# Sharpness of the softplus on depth / max_depth: above 0.2 it is within 1.3 % of the range from the
# identity, and where it gives 0.025 (2 of 80 m) its slope is still 0.22. An unsharpened one has
# 0.02 there, a ReLU 0 below 0.
_BETA = 10.0
# Lower end of the predictions at inference, meters.
_MIN_DEPTH = 1e-3


def positive(x: Tensor) -> Tensor:
    """Map any number to a positive one, close to the identity above 0.2."""
    return F.softplus(x, beta=_BETA)


def inverse_positive(y: Tensor) -> Tensor:
    """Inverse of :func:`positive`, for y > 0."""
    return y + torch.log(-torch.expm1(-_BETA * y)) / _BETA


class PreparedDepth(NamedTuple):
    """What the head reads of the measurements.

    Attributes:
        sparse_depth: (B, 1, H, W), meters, 0 = no measurement.
        graph: Points of the batch on the input's grid. In evaluation mode there may be padding
            among them, with row -1.
        fill: Nearest measurement of each pixel, (B, 1, H, W), meters, > 0; None without
            ``residual``.
    """

    sparse_depth: Tensor
    graph: PointGraph
    fill: Tensor | None


@MODELS.register_module()
class FuseBlockDepthHead(BaseDepthHead):
    """Dense depth from image, sparse depth and preliminary semantics.

    PanDepth section 3.5, after Chen et al. (2019) and Lagos and Rahtu (2022): two 3x3 convolutions
    on the sparse depth, two on image and semantic logits together, both concatenated,
    ``num_blocks`` 2D-3D fuse blocks, two 3x3 convolutions to one channel.

    Depths are divided by ``max_depth`` on the way in and multiplied by it on the way out. The
    output is positive by a sharp softplus (see :func:`positive`), and clamped to (0, ``max_depth``]
    in evaluation mode only, so that training never loses its gradient to a clamp. Sparse depth
    beyond ``max_depth`` counts as no measurement. Under autocast in bfloat16 the maps between
    are of that type; positions, the stem of the measurements and the last convolution stay in
    float32. In float16, which ends at 65504, nothing is computed.

    Args:
        max_depth: Depth range, meters.
        num_classes: Channels of the semantic logits; 0 for none.
        semantics: How they enter: 'logits' as they are, 'softmax', 'detach' (as they are, but the
            depth loss does not reach them), or None (they are not used).
        num_blocks: Number of fuse blocks.
        channels: Channels of the fuse blocks.
        sparse_channels: Channels of the stem for the sparse depth.
        image_channels: Channels of the stem for image and semantics.
        k: Neighbors per point in the 3-D branch.
        stride: Working resolution of the fuse blocks: 1 is that of the input, 2 costs a quarter.
            Points that share a cell there are averaged; the output is upsampled bilinearly before
            the softplus.
        residual: None as in the paper. With 'nearest' the head predicts a correction of the nearest
            measurement: the fill is a second input channel, and the untrained head returns the
            fill. An image without measurements is filled with ``max_depth`` / 2.
        with_cp: Whether to compute the maps of the fuse blocks again in the backward pass instead
            of keeping them: less memory, more time.
        loss: Config of the loss on meters.
        norm_cfg: Norm of every convolution but the last.
        act_cfg: Activation of every convolution but the last.
        init_cfg: Initialization of mmengine.

    Raises:
        InputError: An argument has an impossible value.
    """

    def __init__(
        self,
        max_depth: float,
        num_classes: int = 0,
        semantics: str | None = 'logits',
        num_blocks: int = 12,
        channels: int = 64,
        sparse_channels: int = 16,
        image_channels: int = 32,
        k: int = 3,
        stride: int = 1,
        residual: str | None = None,
        with_cp: bool = False,
        loss: dict = dict(type='MaskedMSELoss'),
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='LeakyReLU', negative_slope=0.01),
        init_cfg: dict | list | None = None,
    ):
        super().__init__(max_depth, num_classes, loss, init_cfg)
        choices = ('logits', 'softmax', 'detach', None)
        require_choice(semantics, choices, 'depth_head', 'semantics')
        require_count(num_blocks, 'depth_head', 'num_blocks')
        require_count(k, 'depth_head', 'k')
        require_count(stride, 'depth_head', 'stride')
        require_choice(residual, (None, 'nearest'), 'depth_head', 'residual')
        self.semantics = semantics if num_classes else None
        self.k = k
        self.stride = stride
        self.residual = residual
        self.with_cp = with_cp

        conv = dict(kernel_size=3, padding=1, norm_cfg=norm_cfg, act_cfg=act_cfg)

        def stem(in_channels: int, out_channels: int) -> nn.Sequential:
            return nn.Sequential(
                ConvModule(in_channels, out_channels, stride=stride, **conv),
                ConvModule(out_channels, out_channels, **conv),
            )

        self.sparse_stem = stem(1 if residual is None else 2, sparse_channels)
        self.image_stem = stem(3 + (num_classes if self.semantics else 0), image_channels)
        widths = [sparse_channels + image_channels] + [channels] * num_blocks
        self.blocks = nn.ModuleList(
            [
                FuseBlock(c_in, c_out, norm_cfg=norm_cfg, act_cfg=act_cfg)
                for c_in, c_out in pairwise(widths)
            ]
        )
        self.refine = ConvModule(channels, max(channels // 2, 1), **conv)
        self.predict_depth = nn.Conv2d(max(channels // 2, 1), 1, kernel_size=3, padding=1)
        self._init_output()

    @property
    def trains_semantics(self) -> bool:
        """Whether the depth loss reaches the logits; see the base class."""
        return self.semantics in ('logits', 'softmax')

    def init_weights(self) -> None:
        """Initialize as configured, except for the last convolution."""
        super().init_weights()
        self._init_output()

    def _init_output(self) -> None:
        """Let the untrained head predict a sensible depth.

        A quarter of the range everywhere, or the fill itself.
        """
        nn.init.normal_(self.predict_depth.weight, std=0.01)
        bias = 0.0
        if self.residual is None:
            bias = inverse_positive(torch.tensor(0.25)).item()
        else:
            nn.init.zeros_(self.predict_depth.weight)
        nn.init.constant_(self.predict_depth.bias, bias)

    def prepare(self, sparse_depth: Tensor, cam2img: Tensor) -> PreparedDepth:
        """Find the points, their neighbors and the fill; see the base class."""
        sparse_depth = super().prepare(sparse_depth, cam2img)
        fill = None
        if self.residual is not None:
            fill = nearest_fill(sparse_depth, default=self.max_depth / 2)
        graph = build_point_graph(sparse_depth, cam2img.float(), self.k)
        return PreparedDepth(sparse_depth, graph, fill)

    def measured(self, prepared: PreparedDepth) -> Tensor:
        """Whether an image has a measurement, bool (B, 1, 1, 1)."""
        return super().measured(prepared.sparse_depth)

    def forward(
        self,
        img: Tensor,
        feats: tuple[Tensor, ...] | None,
        prepared: PreparedDepth,
        logits: Tensor | None = None,
    ) -> Tensor:
        """Complete the depth; it is float32 also under autocast.

        Args:
            img: Normalized image, (B, 3, H, W).
            feats: Not read: the paper's head has the image alone.
            prepared: From :meth:`prepare`.
            logits: Preliminary semantic logits, (B, num_classes, H, W); not read where the head
                uses no semantics.

        Returns:
            Dense depth, (B, 1, H, W), meters, > 0; at most ``max_depth`` in evaluation mode.
        """
        if self.semantics is None:
            logits = None
        elif logits is None:
            raise ValueError(
                f'this depth head reads semantic logits ({self.num_classes} classes), got None'
            )
        device = img.device.type
        if (
            not torch.is_autocast_enabled(device)
            or torch.get_autocast_dtype(device) == torch.bfloat16
        ):
            return self._complete(img, prepared, logits)
        with torch.autocast(device, enabled=False):
            return self._complete(img.float(), prepared, None if logits is None else logits.float())

    def _complete(self, img: Tensor, prepared: PreparedDepth, logits: Tensor | None) -> Tensor:
        """:meth:`forward`, in float32, or with features in bfloat16."""
        sparse_depth, graph, fill = prepared
        size = img.shape[-2:]
        depth_input = sparse_depth / self.max_depth
        if self.residual is not None:
            fill = fill / self.max_depth
            depth_input = torch.cat([depth_input, fill], dim=1)
        image_input = img
        if self.semantics is not None:
            image_input = torch.cat([img, self._semantic_map(logits)], dim=1)

        with no_autocast(img.device.type):
            sparse = self.sparse_stem(depth_input)
        x = self.image_stem(image_input)
        x = torch.cat([sparse.to(x.dtype), x], dim=1)
        points = place_points(graph, (len(x), *x.shape[-2:]), self.stride)
        if self.with_cp:
            # n maps between groups of n blocks: the least that is kept at once
            step = math.isqrt(len(self.blocks))
            for i in range(0, len(self.blocks), step):
                x = checkpointed(self.blocks[i : i + step], x, points)
        else:
            for block in self.blocks:
                x = block(x, points)
        x = self.refine(x)
        with no_autocast(img.device.type):
            x = self.predict_depth(x.to(self.predict_depth.weight.dtype))
        if self.stride > 1:
            x = F.interpolate(x, size=size, mode='bilinear', align_corners=False)
        if self.residual is not None:
            x = x + inverse_positive(fill)
        depth = positive(x) * self.max_depth
        if not self.training:
            depth = depth.clamp(min=_MIN_DEPTH, max=self.max_depth)
        return depth

    def _semantic_map(self, logits: Tensor) -> Tensor:
        """The semantic input of the stem, (B, num_classes, H, W)."""
        if self.semantics == 'softmax':
            return logits.softmax(dim=1)
        return logits.detach() if self.semantics == 'detach' else logits
