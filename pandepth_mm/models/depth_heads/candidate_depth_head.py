"""Depth completion head that chooses among guesses and corrects them."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmcv.cnn import ConvModule
from mmdet.utils import ConfigType, OptConfigType, OptMultiConfig
from mmengine.model import ModuleList
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.anchoring import anchor_depth
from pandepth_mm.models.depth_heads.base import BaseDepthHead, DepthPrediction
from pandepth_mm.models.layers.cells import join_cells, max_2x2, split_cells
from pandepth_mm.models.layers.depth_candidates import (
    NEAREST,
    NUM_CANDIDATES,
    DepthCandidates,
    depth_candidates,
)
from pandepth_mm.models.layers.geometry_maps import NUM_GEOMETRY, geometry_maps
from pandepth_mm.models.layers.pointwise import predict_maps
from pandepth_mm.models.layers.propagation import NUM_NEIGHBORS, neighborhood, propagate
from pandepth_mm.models.layers.separable_conv import separable_conv
from pandepth_mm.registry import MODELS

_STRIDE = 32  # of the coarsest map
_MIN_DEPTH = 0.5  # meters, of a guess
# Without a measurement every guess is fy / 25 meters (10 m at Virtual KITTI 2's field of view and
# 416 pixels): what an object of one size shows is depth over focal length.
_PIXELS = 25.0
# before training: mostly the planes and the nearest measurement (smooth, planes, nearest, least,
# greatest); after propagation mostly its result (those, then the 3x3 neighbors)
_FIRST_CHOICE = (0.0, 2.0, 1.0, 1.0, -1.0, -1.0)
_FIRST_FINE_CHOICE = (-1.0, 1.0, 0.0, 1.5, -2.0, -2.0, *[0.0] * NUM_NEIGHBORS)
_FIRST_TRUST = 2.0
_FIRST_SCALE = -3.0
# guesses differ by some percent: times this the input has about the size of the others
_CONTRAST = 8.0
# bounds of the logarithm of the relative uncertainty: 0.1 % and 270 %
_LOG_SCALE = (-7.0, 1.0)


class PreparedCandidates(NamedTuple):
    """What the head reads of the measurements.

    Attributes:
        candidates: Of `depth_candidates`.
        cam2img: Intrinsics, (B, 3, 3), pixels.
    """

    candidates: DepthCandidates
    cam2img: Tensor


@MODELS.register_module()
class CandidateDepthHead(BaseDepthHead):
    """Dense depth as a mixture of guesses, with an uncertainty.

    The guesses need no weights, see :func:`depth_candidates`. A small U-Net reads them (at stride
    2), the points that they mean, and the image's features. It predicts twice how to mix guesses,
    by a softmax:

    1. At stride 2, in log depth. The mean, as inverse depth, which is linear on planes, is then
       propagated along predicted affinities, drawn to measurements as far as they are trusted.
    2. At full size, from the guesses and the 3x3 cells of that result, again in log depth, times a
       predicted factor.

    So a measured value is one guess among others, not the truth: a LiDAR beside the camera sees
    past edges.

    Where a prediction is brought to the image's size, errors at the measurements of that size are
    corrected, see :func:`anchor_depth`: the network reads them on a coarser grid.

    The uncertainty is the scale of a Laplace distribution around the log depth, given in meters.

    All maps must have sides that are multiples of 32 (``pad_size_divisor`` of the preprocessor).

    Args:
        max_depth: Depth range, meters.
        num_classes: Not used: semantics reach the depth by shared features.
        in_channels: Channels of the maps of the neck, finest first: strides 2, 4, 8, 16.
        channels: Channels of the U-Net at those strides.
        propagation_steps: Steps of propagation, each by one cell of stride 2; 0 for none.
        norm_cfg: Norm of every convolution but the last.
        act_cfg: Activation of every convolution but the last.
        loss: Config of the loss on a :class:`DepthPrediction` and depth.
        init_cfg: Initialization of mmengine.
    """

    def __init__(
        self,
        max_depth: float,
        num_classes: int = 0,
        in_channels: Sequence[int] = (16, 64, 64, 64),
        channels: Sequence[int] = (32, 64, 96, 128),
        propagation_steps: int = 8,
        norm_cfg: ConfigType = dict(type='BN'),
        act_cfg: OptConfigType = dict(type='ReLU6'),
        loss: ConfigType = dict(type='LogDepthLoss'),
        init_cfg: OptMultiConfig = None,
    ) -> None:
        super().__init__(max_depth, num_classes, loss, init_cfg)
        self.propagation_steps = propagation_steps
        cfg = dict(norm_cfg=norm_cfg, act_cfg=act_cfg)
        # at stride 2: four pixels of each guess relative to the smooth one and of the mask, the
        # geometry of the smooth guess, weight and presence of measurements
        stem = 4 * NUM_CANDIDATES + 4 + NUM_GEOMETRY + 2
        self.stem = ConvModule(stem, channels[0], 3, padding=1, **cfg)
        self.downs = ModuleList(
            nn.Sequential(
                ConvModule(fine, fine, 3, stride=2, padding=1, groups=fine, **cfg),
                ConvModule(fine, coarse, 1, **cfg),
                separable_conv(coarse, coarse, **cfg),
            )
            for fine, coarse in zip(channels[:-1], channels[1:], strict=True)
        )
        self.ups = ModuleList(
            nn.Sequential(
                ConvModule(own + image + above, own, 1, **cfg),
                separable_conv(own, own, **cfg),
                separable_conv(own, own, **cfg),
            )
            for own, image, above in zip(channels, in_channels, [*channels[1:], 0], strict=True)
        )
        self.predict_cells = nn.Conv2d(channels[0], NUM_CANDIDATES + NUM_NEIGHBORS + 1, 1)
        self.predict = nn.Conv2d(channels[0], 4 * (NUM_CANDIDATES + NUM_NEIGHBORS + 2), 1)
        for layer in (self.predict_cells, self.predict):
            nn.init.normal_(layer.weight, std=0.01)
        bias = torch.tensor([*_FIRST_CHOICE, *[0.0] * NUM_NEIGHBORS, _FIRST_TRUST])
        self.predict_cells.bias.data.copy_(bias)
        bias = torch.tensor([*_FIRST_FINE_CHOICE, 0.0, _FIRST_SCALE])
        self.predict.bias.data.copy_(bias.repeat_interleave(4))

    def prepare(
        self, sparse_depth: Tensor, cam2img: Tensor, nearest: Tensor | None = None
    ) -> PreparedCandidates:
        """Make the guesses, see the parent.

        Args:
            sparse_depth: (B, 1, H, W), meters, 0 = no measurement.
            cam2img: Intrinsics of this grid, (B, 3, 3), pixels.
            nearest: See :func:`depth_candidates`; an exported model gets it from outside.

        Raises:
            InputError: A side of the map is no multiple of 32.
        """
        size = tuple(sparse_depth.shape[-2:])
        if size[0] % _STRIDE or size[1] % _STRIDE:
            raise InputError(
                'config',
                f'maps of {size}',
                f'multiples of {_STRIDE}, as pad_size_divisor={_STRIDE} makes them',
                'model.data_preprocessor.pad_size_divisor',
            )
        depth = super().prepare(sparse_depth, cam2img)
        default = cam2img[:, 1, 1].float() / _PIXELS
        default = default.clamp(_MIN_DEPTH, self.max_depth)
        # sums over an image, which float16 and bfloat16 cannot hold
        with torch.autocast(depth.device.type, enabled=False):
            candidates = depth_candidates(depth, default, _MIN_DEPTH, self.max_depth, nearest)
        return PreparedCandidates(candidates, cam2img.float())

    def measured(self, prepared: PreparedCandidates) -> Tensor:
        """Whether an image has a measurement, bool (B, 1, 1, 1)."""
        return prepared.candidates.known

    def forward(
        self,
        img: Tensor,
        feats: tuple[Tensor, ...] | None,
        prepared: PreparedCandidates,
        logits: Tensor | None = None,
    ) -> DepthPrediction:
        """Complete the depth.

        Args:
            img: Not read.
            feats: Maps of strides 2, 4, 8, 16 (and more).
            prepared: From :meth:`prepare`.
            logits: Not read.

        Returns:
            DepthPrediction: depth and uncertainty, (B, 1, H, W), meters.
        """
        # of the four pixels of each cell, (B, 4 * K, H / 2, W / 2)
        guesses = split_cells(prepared.candidates.log_depth, 2)
        x = self.stem(self._input(prepared, guesses))
        maps = [x]
        for down in self.downs:
            maps.append(down(maps[-1]))
        above = None
        for own, image, up in reversed(list(zip(maps, feats, self.ups, strict=False))):
            parts = [own, image]
            if above is not None:
                parts.append(
                    F.interpolate(above, own.shape[-2:], mode='bilinear', align_corners=False)
                )
            above = up(torch.cat(parts, dim=1))
        cells = self._propagate(
            predict_maps(self.predict_cells, above).float(), guesses, prepared.candidates
        )
        out = predict_maps(self.predict, above).float()
        return self._mix(out, guesses, neighborhood(cells))

    def finish(
        self, depth: Tensor, uncertainty: Tensor, sparse_depth: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Draw the depth to the measurements around, see :func:`anchor_depth`.

        Args:
            depth: (1, H, W), meters, at the image's size.
            uncertainty: (1, H, W), meters.
            sparse_depth: (1, H, W), meters, 0 = no measurement.

        Returns:
            Depth, and uncertainty: at least what measurements that overruled the depth changed.
        """
        measured = self.in_range(sparse_depth)[0]
        maps = anchor_depth(depth[0].detach().cpu().numpy(), measured.cpu().numpy())
        anchored, change = (torch.from_numpy(x).to(depth)[None] for x in maps)
        return anchored.clamp(max=self.max_depth), torch.maximum(uncertainty, change)

    def _input(self, prepared: PreparedCandidates, guesses: Tensor) -> Tensor:
        """Input of the stem, (B, 36, H / 2, W / 2), of the guesses also on its grid."""
        candidates = prepared.candidates
        smooth = candidates.log_depth[:, :1]
        cells = guesses.unflatten(1, (-1, 4))
        relative = ((cells[:, 1:] - cells[:, :1]) * _CONTRAST).clamp(-4, 4).flatten(1, 2)
        known = candidates.known.to(smooth.dtype)
        weight = candidates.weight.clamp(max=8).log1p()
        return torch.cat(
            [
                relative,
                split_cells(candidates.measured.to(smooth.dtype), 2),
                geometry_maps(smooth.exp(), prepared.cam2img, 2),
                weight,
                known.expand_as(weight),
            ],
            dim=1,
        )

    def _propagate(self, out: Tensor, guesses: Tensor, candidates: DepthCandidates) -> Tensor:
        """Log depth at stride 2.

        Args:
            out: What the network says, (B, K + 10, H / 2, W / 2).
            guesses: Log depth of K guesses, (B, 4 * K, H / 2, W / 2), each of four pixels.
            candidates: Where they come from.
        """
        choice, affinity, trust = out.split([NUM_CANDIDATES, NUM_NEIGHBORS, 1], dim=1)
        means = guesses.unflatten(1, (-1, 4)).mean(dim=2)
        mean = (choice.softmax(dim=1) * means).sum(dim=1, keepdim=True)
        measured = candidates.log_depth[:, NEAREST : NEAREST + 1]
        near = torch.where(candidates.measured, (-measured).exp(), 0.0)
        anchors = max_2x2(near)  # a cell's nearest measurement
        trust = torch.where(anchors > 0, trust.sigmoid(), 0.0)
        inverse = propagate(
            (-mean).exp(), affinity.softmax(dim=1), anchors, trust, self.propagation_steps
        )
        return -inverse.log()

    def _mix(self, out: Tensor, guesses: Tensor, cells: Tensor) -> DepthPrediction:
        """Depth and uncertainty of what the network says of the four pixels of each cell.

        Everything is computed on the grid of the cells: maps of full size with as many channels
        take longer to arrange than to compute.

        Args:
            out: (B, 4 * (K + 9 + 2), h, w): choice, factor and scale, each of four pixels.
            guesses: Log depth of K guesses, (B, 4 * K, h, w), each of four pixels.
            cells: Log depth of the 3x3 cells around, (B, 9, h, w).
        """
        out = out.unflatten(1, (-1, 4))
        guesses = guesses.unflatten(1, (-1, 4))
        choice, factor, scale = out.split([guesses.shape[1] + NUM_NEIGHBORS, 1, 1], dim=1)
        own, around = choice.softmax(dim=1).split([guesses.shape[1], NUM_NEIGHBORS], dim=1)
        mean = (own * guesses).sum(dim=1) + (around * cells[:, :, None]).sum(dim=1)
        log_depth = mean + factor[:, 0]
        log_depth = log_depth.clamp(-3, 6) if self.training else log_depth
        depth = log_depth.exp()
        if not self.training:
            depth = depth.clamp(1e-3, self.max_depth)
        # its likelihood must not pull at the depth
        uncertainty = depth.detach() * scale[:, 0].clamp(*_LOG_SCALE).exp()
        return DepthPrediction(join_cells(depth), join_cells(uncertainty))

    def loss_by_feat(self, pred: DepthPrediction, gt_depth_map: Tensor) -> dict[str, Tensor]:
        """Losses of depth and uncertainty.

        Args:
            pred: Result of :meth:`forward`.
            gt_depth_map: Ground truth, (B, 1, H, W), meters; 0 where there is none.
        """
        with torch.autocast(gt_depth_map.device.type, enabled=False):
            return self.loss_depth(pred, self.in_range(gt_depth_map.float()))
