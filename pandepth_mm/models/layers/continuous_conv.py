"""Parametric continuous convolution over a point graph."""

from typing import NamedTuple

import torch
from mmcv.cnn import build_activation_layer, build_norm_layer
from mmengine.dist import get_world_size
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm


def point_norm_cfg(norm_cfg: dict | None) -> dict | None:
    """Turn the norm config of feature maps into one for rows of points.

    ``BN`` means 2-D batch norm in mmcv, which refuses (N, C); the other norms (SyncBN, GN, LN) take
    rows as they are.
    """
    if norm_cfg is not None and norm_cfg['type'] in ('BN', 'BN2d'):
        return dict(norm_cfg, type='BN1d')
    return norm_cfg


class PointNeighbors(NamedTuple):
    """Where the neighbors of points are, seen from them.

    Attributes:
        index: Their rows, (N, K) long; any row where a point has fewer.
        offsets: Position of the point minus theirs, (N, K, 3), meters, camera frame; 0 where a
            point has fewer.
        present: 1 for a neighbor, 0 where a point has fewer, (N, K, 1), of the offsets' type.
    """

    index: Tensor
    offsets: Tensor
    present: Tensor


def point_neighbors(points: Tensor, knn_indices: Tensor) -> PointNeighbors:
    """Look from each point at its neighbors.

    Args:
        points: Positions, (N, 3), meters, camera frame.
        knn_indices: Rows of the neighbors, (N, K) long; -1 where a point has fewer.
    """
    present = (knn_indices >= 0)[..., None]
    index = knn_indices.clamp(min=0)
    offsets = points[:, None] - points[index]
    offsets = torch.where(present, offsets, torch.zeros_like(offsets))
    return PointNeighbors(index, offsets, present.to(offsets))


class ContinuousConv(BaseModule):
    r"""Continuous convolution over the nearest neighbors of each point.

    .. math:: h_i = W \sum_k \mathrm{MLP}(x_i - x_k) \odot f_k

    followed by a per-channel norm and an activation (Wang et al. 2018, eq. 4 to 6; Chen et al.
    2019, eq. 2; PanDepth section 3.5). One MLP is shared by all neighbors, so that their order does
    not matter, and nothing is tied to a point's place in the list. Training and evaluation differ
    only in whose statistics a batch norm reads.

    Args:
        in_channels: Channels of the gathered features.
        out_channels: Channels of the result.
        norm_cfg: Norm over the rows; 'BN' is taken as 'BN1d'. None means none.
        act_cfg: Activation at the end and inside the MLP. None means none at the end and ReLU
            inside, which would be linear without one.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        norm_cfg: dict | None = dict(type='BN'),
        act_cfg: dict | None = dict(type='LeakyReLU', negative_slope=0.01),
    ):
        super().__init__()
        # meters as they are: on a Virtual KITTI 2 frame with 5 % of 200x1000 pixels, the three
        # nearest are 0.12 m away in the median, 95 % within 0.7 m
        hidden = max(in_channels // 2, 1)
        self.mlp = nn.Sequential(
            nn.Linear(3, hidden),
            build_activation_layer(act_cfg or dict(type='ReLU')),
            nn.Linear(hidden, in_channels),
        )
        self.linear = nn.Linear(in_channels, out_channels)
        self.norm = nn.Identity()
        if norm_cfg is not None:
            self.norm = build_norm_layer(point_norm_cfg(norm_cfg), out_channels)[1]
        self.activate = nn.Identity()
        if act_cfg is not None:
            self.activate = build_activation_layer(act_cfg)

    def forward(self, feats: Tensor, neighbors: PointNeighbors) -> Tensor:
        """Convolve.

        Args:
            feats: Features f, (N, in_channels).
            neighbors: Of :func:`point_neighbors`; where one is missing it contributes zero.

        Returns:
            (N, out_channels).
        """
        weights = self.mlp(neighbors.offsets) * neighbors.present
        out = self.linear((weights * feats[neighbors.index]).sum(dim=1))
        return self.activate(self._normalize(out))

    def _normalize(self, x: Tensor) -> Tensor:
        """Apply the norm, also to a batch with fewer than two points.

        One row has no variance, and torch refuses it, so a batch norm in training falls back on its
        running statistics there. A synchronized one across several processes must be called all the
        same, as the other processes wait for it.
        """
        norm = self.norm
        synced = isinstance(norm, nn.SyncBatchNorm) and get_world_size() > 1
        if (
            isinstance(norm, _BatchNorm)
            and norm.training
            and not synced
            and norm.track_running_stats
            and len(x) < 2
        ):
            return F.batch_norm(
                x,
                norm.running_mean,
                norm.running_var,
                norm.weight,
                norm.bias,
                training=False,
                eps=norm.eps,
            )
        return norm(x)
