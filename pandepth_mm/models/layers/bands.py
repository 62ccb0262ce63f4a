"""Maps computed band by band of rows, so that what lies between two layers stays in the cache.

On a CPU a map that is larger than the caches costs more to allocate, write and read than many a
layer takes to compute it.
"""

from collections.abc import Iterable, Iterator

import torch
from mmcv.cnn import ConvModule
from torch import Tensor, nn
from torch.nn import functional as F

from pandepth_mm.models.layers.fuse_block import FuseBlock, PlacedPoints

# of a band, at the widest layer: a few times the second level cache of one core
_BAND_BYTES = 4 << 20
# with fewer, too much of a band would be its neighbors' rows
_MIN_ROWS = 4


class ConvBands(nn.Module):
    """A stack of 3x3 convolutions with nothing but activations between them, for inference.

    Args:
        layers: The convolutions, see :func:`is_plain_3x3`.
    """

    def __init__(self, layers: Iterable[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)
        self.width = max(_conv(layer).out_channels for layer in self.layers)

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) to (B, channels of the last layer, H, W)."""
        bands = split_bands(x, self.width)
        for layer in self.layers:
            bands = convolve_bands(layer, bands)
        out, top = None, 0
        for band in bands:
            out = _empty_map(band, x.shape[2]) if out is None else out
            out[:, :, top : top + band.shape[2]] = band
            top += band.shape[2]
        return out


class FuseBlockBands(nn.Module):
    """A fuse block for inference, with a single map of full size.

    A block with a residual overwrites its input with its result, so that it allocates none.

    Args:
        block: The block, without norms in its 3x3 convolutions at full size.
    """

    def __init__(self, block: FuseBlock) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, points: PlacedPoints) -> Tensor:
        """Fuse, see :meth:`FuseBlock.forward`."""
        block, top = self.block, 0
        out = x if block.with_residual else None
        for band in convolve_bands(block.fuse, self._sums(x, points)):
            out = _empty_map(band, x.shape[2]) if out is None else out
            rows = slice(top, top + band.shape[2])
            if block.with_residual:  # no layer reads these rows any more
                out[:, :, rows] += band
            else:
                out[:, :, rows] = band
            top = rows.stop
        return out

    def _sums(self, x: Tensor, points: PlacedPoints) -> Iterator[Tensor]:
        """The sum of the three branches, band by band."""
        block, (_, height, width) = self.block, points.size
        coarse = block.coarse(x).permute(0, 2, 3, 1)
        row_above = _nearest(coarse.shape[1], height, x.device)
        col_above = _nearest(coarse.shape[2], width, x.device)
        feats = block.forward_points(x, points) / points.count
        order = points.row.argsort()
        # where the points of each row begin
        starts = torch.searchsorted(
            points.row[order].contiguous(), torch.arange(height + 1, device=x.device)
        ).tolist()
        top = 0
        for band in convolve_bands(block.fine.depthwise_conv, split_bands(x, x.shape[1])):
            band = block.fine.pointwise_conv(band)
            bottom = top + band.shape[2]
            pixels = band.permute(0, 2, 3, 1)
            pixels += coarse.index_select(1, row_above[top:bottom]).index_select(2, col_above)
            here = order[starts[top] : starts[bottom]]
            place = (points.batch[here], points.row[here] - top, points.col[here])
            pixels.index_put_(place, feats[here].to(pixels.dtype), accumulate=True)
            yield band
            top = bottom


def split_bands(x: Tensor, channels: int) -> tuple[Tensor, ...]:
    """Divide a map (B, C, H, W) into bands of rows, for layers of this many channels."""
    row = x.element_size() * len(x) * channels * x.shape[3]
    return x.split(max(_MIN_ROWS, _BAND_BYTES // row), dim=2)


def convolve_bands(layer: nn.Module, bands: Iterable[Tensor]) -> Iterator[Tensor]:
    """Apply a 3x3 convolution to a map that comes in bands of rows.

    Args:
        layer: See :func:`is_plain_3x3`.
        bands: (B, C, any number of rows, W), from top to bottom.

    Yields:
        The rows of the result, each once, from top to bottom. A band ends a row before that of the
        input, whose next row is not there yet; the last one ends with it.
    """
    above = None
    for band in bands:
        if above is None:
            above = torch.zeros_like(band[:, :, :1])
        band = torch.cat([above, band], dim=2)
        above = band[:, :, -2:]
        if band.shape[2] > 2:
            yield _convolve(layer, band)
    yield _convolve(layer, F.pad(above, (0, 0, 0, 1)))


def is_plain_3x3(layer: nn.Module) -> bool:
    """Whether a layer is a 3x3 convolution that keeps the size, and at most an activation.

    That of a ``ConvModule`` without a norm (any more) counts.
    """
    if isinstance(layer, ConvModule):
        if layer.order != ('conv', 'norm', 'act') or layer.with_explicit_padding:
            return False
        if layer.with_norm and not isinstance(layer.norm, nn.Identity):
            return False
        layer = layer.conv
    return (
        type(layer) is nn.Conv2d
        and layer.kernel_size == (3, 3)
        and layer.stride == layer.padding == layer.dilation == (1, 1)
        and layer.padding_mode == 'zeros'
    )


def _conv(layer: nn.Module) -> nn.Conv2d:
    """The convolution of a layer."""
    return layer.conv if isinstance(layer, ConvModule) else layer


def _convolve(layer: nn.Module, band: Tensor) -> Tensor:
    """Apply a layer to rows that bring their neighbors along."""
    conv = _conv(layer)
    band = F.conv2d(band, conv.weight, conv.bias, padding=(0, 1), groups=conv.groups)
    return layer.activate(band) if layer is not conv and layer.with_activation else band


def _empty_map(band: Tensor, height: int) -> Tensor:
    """A map that a band (B, C, any number of rows, W) is a part of, its channels last."""
    size = (*band.shape[:2], height, band.shape[3])
    return torch.empty(
        size, dtype=band.dtype, device=band.device, memory_format=torch.channels_last
    )


def _nearest(old: int, new: int, device: torch.device) -> Tensor:
    """The cells that interpolation by nearest neighbor reads, long (new,)."""
    cells = torch.arange(old, dtype=torch.float32, device=device)
    return F.interpolate(cells[None, None], size=new, mode='nearest')[0, 0].long()
