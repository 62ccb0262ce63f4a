"""Label and depth maps to RGB, as pure functions on numpy arrays.

A class has one color in every picture. Depth uses a color map that is perceptually uniform and
works for color-blind readers (viridis, near is bright). So does its uncertainty (cividis, uncertain
is bright).
"""

from collections import Counter
from collections.abc import Sequence

import cv2
import matplotlib
import numpy as np

from pandepth_mm.errors import InputError, require_positive
from pandepth_mm.structures.palette import BOUNDARY_COLOR, VOID_COLORS
from pandepth_mm.structures.panoptic_ids import INSTANCE_OFFSET

DEPTH_CMAP = 'viridis_r'  # near is bright, and far blends into the black
UNCERTAINTY_CMAP = 'cividis'
NO_DEPTH_COLOR = (0, 0, 0)
# A boundary inside a smaller segment would hide the segment.
MIN_BOUNDARY_AREA = 64
_FAR_PERCENTILE = 98.0  # of the measured depths: the end of the colors
# Lightness of an instance relative to its class color (0: the color itself, -1: black, 1: white);
# neighbors in the list differ most.
_SHADES = (0.0, -0.4, 0.4, -0.2, 0.2, -0.5, 0.55, -0.3, 0.3, -0.1, 0.1)


def as_palette(
    palette: Sequence[Sequence[int]], classes: Sequence[str] | None = None
) -> np.ndarray:
    """Check a palette.

    Args:
        palette: RGB of each class.
        classes: The classes, if their number is to be checked.

    Returns:
        uint8 (num_classes, 3), RGB.

    Raises:
        InputError: Not a list of RGB triples from 0 to 255, or another number of them than classes.
    """
    array = np.asarray(palette)
    if array.ndim != 2 or array.shape[1] != 3 or array.min() < 0 or array.max() > 255:
        raise InputError(
            'palette', f'an array of shape {array.shape}', 'one (R, G, B) from 0 to 255 per class'
        )
    if classes is not None and len(array) != len(classes):
        raise InputError(
            'palette', f'{len(array)} colors', f'one for each of the {len(classes)} classes'
        )
    return array.astype(np.uint8)


def void_hatch(height: int, width: int, period: int = 6) -> np.ndarray:
    """Draw the diagonal stripes that stand for void.

    Returns:
        uint8 (height, width, 3), stripes of ``period`` pixels in ``VOID_COLORS``; pixel (0, 0) has
        the first color.
    """
    stripe = (np.add.outer(np.arange(height), np.arange(width)) // period) % 2
    return np.array(VOID_COLORS, dtype=np.uint8)[stripe]


def _hatch_void(colored: np.ndarray, void: np.ndarray) -> np.ndarray:
    """Hatch the void pixels, bool (H, W), of an RGB picture, in place."""
    if void.any():
        colored[void] = void_hatch(*void.shape)[void]
    return colored


def color_semantic(labels: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Color a semantic map.

    Args:
        labels: int (H, W); a value outside 0..num_classes-1 is void.
        palette: RGB of each class.

    Returns:
        uint8 (H, W, 3), RGB: the class color, void hatched.
    """
    palette = as_palette(palette)
    labels = np.asarray(labels).astype(np.int64)
    valid = (labels >= 0) & (labels < len(palette))
    colored = palette[np.where(valid, labels, 0)]
    return _hatch_void(colored, ~valid)


def instance_shade(color: Sequence[int], index: int) -> tuple[int, int, int]:
    """Lighten or darken a class color for one of its instances.

    Args:
        color: RGB of the class.
        index: Number of the instance within its class, from 0; the first has the class color
            itself. Shades repeat after eleven.

    Returns:
        RGB, 0 to 255.
    """
    shade = _SHADES[index % len(_SHADES)]
    target = 255 if shade > 0 else 0
    return tuple(round(c + (target - c) * abs(shade)) for c in map(int, color))


def instance_shades(labels: Sequence[int], palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Shades for a list of instances, counted within each class.

    Args:
        labels: Class of each of n instances.
        palette: RGB of each class.

    Returns:
        uint8 (n, 3), RGB.

    Raises:
        InputError: A label without a color.
    """
    palette = as_palette(palette)
    if len(labels) and not 0 <= min(labels) <= max(labels) < len(palette):
        raise InputError(
            'instance labels',
            f'{min(labels)} to {max(labels)}',
            f'0 to {len(palette) - 1}, the classes of the data set',
        )
    seen = Counter()
    shades = np.zeros((len(labels), 3), dtype=np.uint8)
    for i, label in enumerate(map(int, labels)):
        shades[i] = instance_shade(palette[label], seen[label])
        seen[label] += 1
    return shades


def color_panoptic(ids: np.ndarray, palette: Sequence[Sequence[int]]) -> np.ndarray:
    """Color a panoptic map.

    A line of one pixel runs along the inner edge of every instance, also where it is cut in two.

    Args:
        ids: int (H, W), ``label + 1000 * instance`` as mmdet has it; stuff has instance 0; a label
            outside 0..num_classes-1 is void.
        palette: RGB of each class.

    Returns:
        uint8 (H, W, 3), RGB: stuff in its class color, instances in shades of theirs, by ascending
        id; void hatched.
    """
    palette = as_palette(palette)
    ids = np.asarray(ids).astype(np.int64)
    values = np.unique(ids)
    inverse = np.searchsorted(values, ids)  # faster than unique's own
    areas = np.bincount(inverse.ravel(), minlength=len(values))
    labels = values % INSTANCE_OFFSET
    valid = (values >= 0) & (labels < len(palette))
    is_instance = valid & (values >= INSTANCE_OFFSET)

    table = palette[np.where(valid, labels, 0)]
    table[is_instance] = instance_shades(labels[is_instance], palette)
    colored = _hatch_void(table[inverse], ~valid[inverse])
    lined = is_instance & (areas >= MIN_BOUNDARY_AREA)
    if lined.any():
        colored[_inner_edges(ids) & lined[inverse]] = BOUNDARY_COLOR
    return colored


def _inner_edges(ids: np.ndarray) -> np.ndarray:
    """Pixels with a 4-neighbor of another id: bool (H, W)."""
    edges = np.zeros(ids.shape, dtype=bool)
    across = ids[:, 1:] != ids[:, :-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    down = ids[1:] != ids[:-1]
    edges[1:] |= down
    edges[:-1] |= down
    return edges


def depth_lut(cmap: str = DEPTH_CMAP) -> np.ndarray:
    """The 256 colors of a matplotlib color map, uint8 (256, 3)."""
    if cmap not in matplotlib.colormaps:
        raise InputError('depth_cmap', repr(cmap), "a matplotlib color map, 'viridis' say")
    rgba = matplotlib.colormaps[cmap](np.arange(256) / 255.0)
    return np.rint(rgba[:, :3] * 255).astype(np.uint8)


def color_depth(depth: np.ndarray, vmin: float, vmax: float, cmap: str = DEPTH_CMAP) -> np.ndarray:
    """Color a depth map, or another map of values above 0.

    Args:
        depth: float (H, W), meters; 0, negative and not finite values are "no measurement".
        vmin: Depth of the first color, meters; smaller ones get it too.
        vmax: Depth of the last color, meters; larger ones get it too.
        cmap: Name of a matplotlib color map.

    Returns:
        uint8 (H, W, 3), RGB; ``NO_DEPTH_COLOR`` without a measurement.
    """
    if not vmax > vmin:
        raise InputError('depth range', f'{vmin} to {vmax} m', 'vmin < vmax')
    depth = np.asarray(depth, dtype=np.float32)
    valid = np.isfinite(depth) & (depth > 0)
    scaled = (np.where(valid, depth, vmin) - vmin) / (vmax - vmin)
    index = np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)
    colored = depth_lut(cmap)[index]
    colored[~valid] = NO_DEPTH_COLOR
    return colored


def percent_of_depth(uncertainty: np.ndarray, depth: np.ndarray) -> np.ndarray:
    """The uncertainty of depth, as readers judge it: relative to the depth.

    Args:
        uncertainty: float, meters.
        depth: float, of the same shape, meters; 0, negative and not finite values are "no depth".

    Returns:
        float32, percent of the depth; 0 where there is none.
    """
    depth = np.asarray(depth, dtype=np.float32)
    valid = np.isfinite(depth) & (depth > 0)
    percent = np.zeros(depth.shape, dtype=np.float32)
    return np.divide(100 * uncertainty, depth, out=percent, where=valid, casting='same_kind')


def splat_depth(depth: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bring a depth map to the size of a picture so that points are seen.

    A sparse map becomes dots about as wide as two thirds of the points' mean distance; of
    overlapping dots the nearest point wins. A map whose measured pixels are mostly neighbors is
    resized to the nearest pixel.

    Args:
        depth: float (h, w), meters; 0 = no measurement.
        size: (height, width) of the picture.

    Returns:
        float32 of that size, meters; 0 = no measurement.
    """
    depth = np.asarray(depth, dtype=np.float32)
    height, width = size
    valid = np.isfinite(depth) & (depth > 0)
    rows, cols = np.nonzero(valid)
    if len(rows) == 0:
        return np.zeros(size, dtype=np.float32)
    neighbors = valid[:-1, :-1] & valid[1:, :-1] & valid[:-1, 1:]
    if neighbors.sum() > 0.5 * valid[:-1, :-1].sum():
        return cv2.resize(
            np.where(valid, depth, 0), (width, height), interpolation=cv2.INTER_NEAREST
        )
    # integer coordinates are pixel centers: u' = (u + .5) s - .5
    v = np.rint((rows + 0.5) * height / depth.shape[0] - 0.5).astype(int)
    u = np.rint((cols + 0.5) * width / depth.shape[1] - 0.5).astype(int)
    v, u = v.clip(0, height - 1), u.clip(0, width - 1)
    empty = np.float32(1e9)
    out = np.full(size, empty, dtype=np.float32)
    np.minimum.at(out, (v, u), depth[rows, cols])
    spacing = np.sqrt(height * width / len(rows))
    dot = int(np.clip(round(0.67 * spacing), 1, max(3, width // 200)))
    if dot > 1:
        shape = cv2.MORPH_ELLIPSE if dot > 3 else cv2.MORPH_RECT
        kernel = cv2.getStructuringElement(shape, (dot, dot))
        out = cv2.erode(out, kernel)  # minimum filter: the nearest wins
    out[out >= empty] = 0
    return out


def depth_range(
    depths: Sequence[np.ndarray], max_depth: float | None = None
) -> tuple[float, float]:
    """One color range for all depth maps of a frame.

    Args:
        depths: float arrays, meters; 0 = no measurement.
        max_depth: Upper end, meters, if it is to be fixed. Otherwise it is a high percentile of all
            measurements, rounded up to a tick, so that a few far points do not take all of the
            colors.

    Returns:
        (0, upper end), meters.

    Raises:
        InputError: ``max_depth`` is not positive.
    """
    if max_depth is not None:
        require_positive(max_depth, 'max_depth', unit='m')
        return 0.0, float(max_depth)
    values = np.concatenate([np.float32(()), *(np.float32(d).ravel() for d in depths)])
    values = values[np.isfinite(values) & (values > 0)]
    if len(values) == 0:
        return 0.0, 80.0
    upper = float(np.percentile(values, _FAR_PERCENTILE))
    step = tick_step(upper)
    return 0.0, float(round(np.ceil(upper / step) * step, 6))


def tick_step(span: float) -> float:
    """Step of 1, 2 or 5 times a power of ten: about five in ``span``."""
    rough = span / 5
    power = 10.0 ** np.floor(np.log10(rough))
    for factor in (1, 2, 5):
        if rough <= factor * power * (1 + 1e-9):
            return factor * power
    return 10 * power


def depth_ticks(vmin: float, vmax: float) -> list[float]:
    """Round depths for the ticks of a color bar, meters.

    Returns:
        At most six multiples of a round step in [vmin, vmax].
    """
    step = tick_step(vmax - vmin)
    first = int(np.ceil(vmin / step - 1e-9))
    last = int(np.floor(vmax / step + 1e-9))
    return [round(i * step, 6) for i in range(first, last + 1)]
