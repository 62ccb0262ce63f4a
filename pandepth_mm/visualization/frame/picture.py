"""All panels of a frame in one picture, as a pure function on arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from pandepth_mm.errors import InputError, require_size
from pandepth_mm.structures.frame_maps import FrameMaps
from pandepth_mm.structures.panoptic_ids import INSTANCE_OFFSET
from pandepth_mm.visualization.frame.colors import (
    DEPTH_CMAP,
    NO_DEPTH_COLOR,
    as_palette,
    color_depth,
    color_panoptic,
    color_semantic,
    depth_range,
    percent_of_depth,
    splat_depth,
)
from pandepth_mm.visualization.frame.instances import draw_instances
from pandepth_mm.visualization.frame.panels import (
    ColorBar,
    LegendEntry,
    Panel,
    arrange,
    arrange_pairs,
    compose_panels,
    panel_scale,
    uncertainty_bar,
)

# FrameMaps' fields in the order of the paper's Figure 5, with their titles.
TITLES = dict(
    semantic='Semantic',
    instances='Instances',
    panoptic='Panoptic',
    depth='Depth',
    depth_uncertainty='Depth uncertainty',
)
_NOTHING = FrameMaps()


class _Style(NamedTuple):
    """What all panels of a frame share."""

    image: np.ndarray  # at panel size
    classes: Sequence[str]
    palette: np.ndarray
    colorbar: ColorBar
    score_thr: float


def frame_picture(
    image: np.ndarray,
    pred: FrameMaps,
    gt: FrameMaps = _NOTHING,
    sparse_depth: np.ndarray | None = None,
    *,
    classes: Sequence[str],
    palette: Sequence[Sequence[int]],
    max_depth: float | None = None,
    depth_cmap: str = DEPTH_CMAP,
    score_thr: float = 0.3,
) -> np.ndarray:
    """Draw image, sparse input, semantic, instance, panoptic, depth and its uncertainty.

    As the paper's Figure 5, rows (a) to (e), and beside each prediction its ground truth where
    there is one. Only the panels that exist are drawn. The uncertainty is shown in percent of the
    depth.

    Args:
        image: (H, W, 3), RGB, 0 to 255.
        pred: Predictions at the image's size; ``FrameMaps()``: none.
        gt: Ground truth at the image's size. Beside predictions, the ground truth of a field that
            they lack is left out.
        sparse_depth: float (h, w), at any size, meters; 0 = no measurement.
        classes: Class names in label order.
        palette: RGB of each class.
        max_depth: Upper end of the depth colors, meters. None: a high percentile of the measured
            depths, or of the predicted ones where nothing was measured. One range holds for all
            panels.
        depth_cmap: Matplotlib color map of depth.
        score_thr: Instances with a lower score are left out of the instance panel.

    Returns:
        uint8 RGB picture.

    Raises:
        InputError: An image of another shape, a map of another size than the image, or another
            number of colors than classes.
    """
    image = as_image(image)
    size = image.shape[:2]
    for maps in (pred, gt):
        _check_size(maps, size)
    palette = as_palette(palette, classes)
    if any(field is not None for field in pred):
        # the ground truth of a branch that the model lacks is left out
        gt = gt._replace(**{key: None for key, value in pred._asdict().items() if value is None})

    measured = [d for d in (sparse_depth, gt.depth) if d is not None]
    predicted = [] if pred.depth is None else [pred.depth]
    scale = panel_scale(size[1])
    style = _Style(
        _resize(image, scale, cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA),
        classes,
        palette,
        _depth_scale(measured, predicted, max_depth, depth_cmap),
        score_thr,
    )

    inputs = [Panel('Image', style.image)]
    if sparse_depth is not None:
        inputs.append(_sparse_panel(sparse_depth, style))
    grid = _layout(inputs, _draw_maps(pred, scale, style), _draw_maps(gt, scale, style, is_gt=True))
    legend = _legend(pred, gt, style)
    if sparse_depth is not None:
        legend.append(('no depth', NO_DEPTH_COLOR))
    return compose_panels(grid, legend)


def as_image(image: np.ndarray) -> np.ndarray:
    """Check an image and clip it to 0..255.

    Returns:
        uint8 (H, W, 3), contiguous.

    Raises:
        InputError: Another shape, or no pixel.
    """
    image = np.ascontiguousarray(np.clip(image, 0, 255), dtype=np.uint8)
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError('image', f'shape {image.shape}', '(H, W, 3)')
    return image


def _check_size(maps: FrameMaps, size: tuple) -> None:
    """Refuse maps of another size than the image's (height, width)."""
    arrays = maps._asdict()
    if maps.instances is not None:
        masks = maps.instances.masks
        has_masks = masks is not None and len(masks)
        arrays['instances'] = masks[0] if has_masks else None
    for field, array in arrays.items():
        if array is not None:
            require_size(array.shape, size, field, 'the image')


def _depth_scale(
    measured: list[np.ndarray], predicted: list[np.ndarray], max_depth: float | None, cmap: str
) -> ColorBar:
    """One depth scale for all maps of a frame."""
    # a wild prediction must not change the scale of the measurements
    vmin, vmax = depth_range(measured or predicted, max_depth)
    clipped = any((depth > vmax).any() for depth in measured + predicted)
    return ColorBar(vmin, vmax, cmap, clipped)


def _resize(array: np.ndarray, scale: float, interpolation: int = cv2.INTER_NEAREST) -> np.ndarray:
    """Resize (H, W) or (H, W, 3) by a factor."""
    if scale == 1:
        return array
    height, width = array.shape[:2]
    return cv2.resize(
        array,
        (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=interpolation,
    )


def _sparse_panel(sparse_depth: np.ndarray, style: _Style) -> Panel:
    """Panel of the sparse input, its points as dots."""
    share = 100.0 * np.count_nonzero(sparse_depth > 0) / sparse_depth.size
    return Panel(
        f'Sparse depth, {share:.1f} %',
        color_depth(splat_depth(sparse_depth, style.image.shape[:2]), *style.colorbar[:3]),
        style.colorbar,
    )


def _draw_maps(maps: FrameMaps, scale: float, style: _Style, is_gt: bool = False) -> dict:
    """Draw what a frame has.

    Args:
        maps: Predictions or ground truth.
        scale: From the image to the panel.
        style: Shared by the panels.
        is_gt: Say so in the titles, and draw depth as dots where it is sparse.

    Returns:
        A panel for each field of ``maps`` that is not None.
    """
    panels = {}
    bars = dict(depth=style.colorbar)
    if maps.semantic is not None:
        labels = _resize(maps.semantic.astype(np.int32), scale)
        panels['semantic'] = color_semantic(labels, style.palette)
    if maps.instances is not None:
        found = maps.instances
        panels['instances'] = draw_instances(
            style.image,
            found.bboxes * scale,
            found.labels,
            found.scores,
            found.masks,
            style.classes,
            style.palette,
            style.score_thr,
        )
    if maps.panoptic is not None:
        ids = _resize(maps.panoptic.astype(np.int32), scale)
        panels['panoptic'] = color_panoptic(ids, style.palette)
    if maps.depth is not None:
        depth = maps.depth.astype(np.float32)
        depth = splat_depth(depth, style.image.shape[:2]) if is_gt else _resize(depth, scale)
        panels['depth'] = color_depth(depth, *style.colorbar[:3])
        if maps.depth_uncertainty is not None:
            percent = _resize(percent_of_depth(maps.depth_uncertainty, maps.depth), scale)
            bars['depth_uncertainty'] = uncertainty_bar(percent)
            panels['depth_uncertainty'] = color_depth(percent, *bars['depth_uncertainty'][:3])
    return {
        key: Panel(TITLES[key] + (', ground truth' if is_gt else ''), picture, bars.get(key))
        for key, picture in panels.items()
    }


def _layout(inputs: list[Panel], pred: dict, gt: dict):
    """Grid of panels: pairs where there is a prediction and ground truth."""
    if not pred or not gt:
        return arrange(inputs + list((pred or gt).values()))
    pairs = [tuple(inputs) if len(inputs) == 2 else (inputs[0], None)]
    pairs += [(panel, gt.get(key)) for key, panel in pred.items()]
    return arrange_pairs(pairs)


def _legend(pred: FrameMaps, gt: FrameMaps, style: _Style) -> list[LegendEntry]:
    """Classes that the panels of a frame show, in label order, then void."""
    shown = set()
    for maps in (pred, gt):
        for array in (maps.semantic, maps.panoptic):
            if array is not None:
                # panoptic ids are label + 1000 * instance
                shown |= {i % INSTANCE_OFFSET if i >= 0 else i for i in np.unique(array).tolist()}
        if maps.instances is not None:
            labels, scores = maps.instances.labels, maps.instances.scores
            if scores is not None:
                labels = labels[scores >= style.score_thr]
            shown |= set(labels.tolist())
    legend = [
        (name, tuple(style.palette[i].tolist()))
        for i, name in enumerate(style.classes)
        if i in shown
    ]
    if any(not 0 <= i < len(style.classes) for i in shown):
        legend.append(('void', None))
    return legend
