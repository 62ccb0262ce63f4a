"""The visualizer: all panels of a frame in one picture."""
from typing import List, NamedTuple, Optional, Sequence, Tuple

import cv2
import numpy as np
from mmdet.evaluation import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.visualization import Visualizer

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import atomic_path
from pandepth_mm.registry import VISUALIZERS
from pandepth_mm.visualization.colors import (DEPTH_CMAP, as_palette,
                                              colour_depth, colour_panoptic,
                                              colour_semantic,
                                              default_palette, depth_lut,
                                              depth_range, splat_depth)
from pandepth_mm.visualization.frame_maps import (FrameMaps, predicted_maps,
                                                  sparse_input, truth_maps)
from pandepth_mm.visualization.instances import draw_instances
from pandepth_mm.visualization.panels import (ColorBar, LegendEntry, Panel,
                                              arrange, arrange_pairs,
                                              compose_panels,
                                              no_depth_legend, panel_scale)
from pandepth_mm.vkitti2_meta import CLASSES

# FrameMaps' fields in the order of the paper's Figure 5, with their titles.
TITLES = dict(
    semantic='Semantic',
    instances='Instances',
    panoptic='Panoptic',
    depth='Depth')


class _Style(NamedTuple):
    """What all panels of a frame share."""
    image: np.ndarray  # at panel size
    classes: Sequence[str]
    palette: np.ndarray
    colorbar: ColorBar
    score_thr: float


@VISUALIZERS.register_module()
class PanDepthVisualizer(Visualizer):
    """Draws image, sparse input, semantic, instance, panoptic and depth.

    As the paper's Figure 5, rows (a) to (e), and beside each prediction its
    ground truth where the sample has one. Only the panels that exist are
    drawn, so that single-task models need no other settings. Colours and
    class names come from ``dataset_meta`` (``classes``, ``palette``); the
    classes of Virtual KITTI 2 are the fallback.

    Args:
        name: Name of the instance.
        image: Image to start with, RGB.
        vis_backends: Visual backend configs.
        save_dir: Folder of the backends.
        max_depth: Upper end of the depth colours, metres. None: a high
            percentile of the frame's measured depths. One range holds for
            all depth panels of a frame.
        depth_cmap: Matplotlib colour map of depth.
        min_panel_width: Narrower images are enlarged by a whole number,
            pixels.
        max_panel_width: Wider images are shrunk, pixels.
    """

    def __init__(self,
                 name: str = 'visualizer',
                 image: Optional[np.ndarray] = None,
                 vis_backends=None,
                 save_dir: Optional[str] = None,
                 max_depth: Optional[float] = None,
                 depth_cmap: str = DEPTH_CMAP,
                 min_panel_width: int = 600,
                 max_panel_width: int = 1400) -> None:
        super().__init__(
            name=name,
            image=image,
            vis_backends=vis_backends,
            save_dir=save_dir)
        depth_lut(depth_cmap)  # an unknown name fails here
        depth_range([], max_depth if max_depth is not None else 1.0)
        self.max_depth = max_depth
        self.depth_cmap = depth_cmap
        self.min_panel_width = min_panel_width
        self.max_panel_width = max_panel_width

    # mmengine's property is None on all but the first process, which cannot
    # draw then; here each process draws the frames that it tests.
    @property
    def dataset_meta(self) -> Optional[dict]:
        """Meta information of the data set: classes and palette."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        self._dataset_meta = dataset_meta

    def classes_and_palette(self) -> Tuple[Sequence[str], np.ndarray]:
        """Class names and their colours, uint8 (num_classes, 3), RGB.

        Raises:
            InputError: The data set states another number of colours than
                classes.
        """
        meta = self._dataset_meta or {}
        classes = meta.get('classes') or CLASSES
        palette = meta.get('palette')
        if palette is None or isinstance(palette, str):
            palette = default_palette(classes)
        if len(palette) != len(classes):
            raise InputError("dataset_meta['palette']",
                             f'{len(palette)} colours',
                             f'one for each of the {len(classes)} classes')
        return classes, as_palette(palette)

    def render(self,
               image: np.ndarray,
               data_sample: Optional[DetDataSample] = None,
               draw_gt: bool = True,
               draw_pred: bool = True,
               pred_score_thr: float = 0.3) -> np.ndarray:
        """Draw a frame and write it nowhere.

        Args:
            image: uint8 (H, W, 3), RGB.
            data_sample: Predictions and ground truth at the image's size,
                sparse depth at any size.
            draw_gt: Draw the ground truth that the sample has.
            draw_pred: Draw the predictions that the sample has.
            pred_score_thr: Instances with a lower score are left out of the
                instance panel.

        Returns:
            uint8 RGB picture.

        Raises:
            InputError: A map of another size than the image.
        """
        image = np.ascontiguousarray(np.clip(image, 0, 255), dtype=np.uint8)
        if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
            raise InputError('image', f'shape {image.shape}', '(H, W, 3)')
        classes, palette = self.classes_and_palette()
        size = image.shape[:2]
        pred, truth, sparse = FrameMaps(), FrameMaps(), None
        if data_sample is not None:
            if draw_pred:
                pred = predicted_maps(data_sample, size)
            if draw_gt:
                truth = truth_maps(data_sample, size, len(classes))
            sparse = sparse_input(data_sample)
        if any(field is not None for field in pred):
            # the truth of a branch that the model lacks is left out
            truth = truth._replace(**{
                key: None
                for key, value in pred._asdict().items() if value is None
            })

        measured = [d for d in (sparse, truth.depth) if d is not None]
        predicted = [] if pred.depth is None else [pred.depth]
        scale = panel_scale(size[1], self.min_panel_width,
                            self.max_panel_width)
        style = _Style(
            _resize(image, scale, cv2.INTER_CUBIC if scale > 1 else
                    cv2.INTER_AREA), classes, palette,
            self._colorbar(measured, predicted), pred_score_thr)

        inputs = [Panel('Image', style.image)]
        if sparse is not None:
            inputs.append(_sparse_panel(sparse, style))
        grid = _layout(inputs, _draw_maps(pred, scale, style),
                       _draw_maps(truth, scale, style, is_truth=True))
        legend = _legend(pred, truth, classes, palette, pred_score_thr)
        if sparse is not None:
            legend.append(no_depth_legend())
        return compose_panels(grid, legend)

    def _colorbar(self, measured: List[np.ndarray],
                  predicted: List[np.ndarray]) -> ColorBar:
        """One depth scale for all maps of a frame."""
        # a wild prediction must not change the scale of the measurements
        vmin, vmax = depth_range(measured or predicted, self.max_depth)
        clipped = any((depth > vmax).any() for depth in measured + predicted)
        return ColorBar(vmin, vmax, self.depth_cmap, clipped)

    def add_datasample(self,
                       name: str,
                       image: np.ndarray,
                       data_sample: Optional[DetDataSample] = None,
                       draw_gt: bool = True,
                       draw_pred: bool = True,
                       show: bool = False,
                       wait_time: float = 0,
                       out_file: Optional[str] = None,
                       pred_score_thr: float = 0.3,
                       step: int = 0) -> None:
        """Draw a frame and show it, write it, or send it to the backends.

        With ``out_file`` every process of a distributed run writes; windows
        and backends belong to the first process.

        Args:
            name: Title of the window, or tag in the backends.
            image: uint8 (H, W, 3), RGB.
            data_sample: What to draw, see :meth:`render`.
            draw_gt: Draw the ground truth.
            draw_pred: Draw the predictions.
            show: Show a window; then the backends get nothing.
            wait_time: Seconds until the window closes; 0 = at a key.
            out_file: PNG to write; then the backends get nothing.
            pred_score_thr: Lowest score in the instance panel.
            step: Step recorded in the backends.

        Raises:
            InputError: A map of another size than the image.
        """
        if out_file is None and not is_main_process():
            return
        picture = self.render(image, data_sample, draw_gt, draw_pred,
                              pred_score_thr)
        self.set_image(picture)  # for get_image, as its siblings do
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            with atomic_path(out_file) as tmp:
                if not cv2.imwrite(tmp, picture[..., ::-1]):
                    raise OSError(f'cannot write {out_file}')
        elif not show:
            self.add_image(name, picture, step)


def _resize(array: np.ndarray, scale: float,
            interpolation: int = cv2.INTER_NEAREST) -> np.ndarray:
    """Resize (H, W) or (H, W, 3) by a factor."""
    if scale == 1:
        return array
    height, width = array.shape[:2]
    return cv2.resize(
        array, (max(1, round(width * scale)), max(1, round(height * scale))),
        interpolation=interpolation)


def _sparse_panel(sparse: np.ndarray, style: _Style) -> Panel:
    """Panel of the sparse input, its points as dots."""
    share = 100.0 * np.count_nonzero(sparse > 0) / sparse.size
    return Panel(
        f'Sparse depth, {share:.1f} %',
        colour_depth(
            splat_depth(sparse, style.image.shape[:2]), *style.colorbar[:3]),
        style.colorbar)


def _draw_maps(maps: FrameMaps,
               scale: float,
               style: _Style,
               is_truth: bool = False) -> dict:
    """Draw what a frame has.

    Args:
        maps: Predictions or ground truth.
        scale: From the image to the panel.
        style: Shared by the panels.
        is_truth: Say so in the titles, and draw depth as dots where it is
            sparse.

    Returns:
        A panel for each field of ``maps`` that is not None.
    """
    panels = {}
    if maps.semantic is not None:
        labels = _resize(maps.semantic.astype(np.int32), scale)
        panels['semantic'] = colour_semantic(labels, style.palette)
    if maps.instances is not None:
        found = maps.instances
        panels['instances'] = draw_instances(
            style.image, found.bboxes * scale, found.labels, found.scores,
            found.masks, style.classes, style.palette, style.score_thr)
    if maps.panoptic is not None:
        ids = _resize(maps.panoptic.astype(np.int32), scale)
        panels['panoptic'] = colour_panoptic(ids, style.palette)
    if maps.depth is not None:
        depth = maps.depth.astype(np.float32)
        depth = splat_depth(depth, style.image.shape[:2]) if is_truth else \
            _resize(depth, scale)
        panels['depth'] = colour_depth(depth, *style.colorbar[:3])
    return {
        key: Panel(TITLES[key] + (', ground truth' if is_truth else ''),
                   picture, style.colorbar if key == 'depth' else None)
        for key, picture in panels.items()
    }


def _layout(inputs: List[Panel], pred: dict, truth: dict):
    """Grid of panels: pairs where there is a prediction and a truth."""
    if not pred or not truth:
        return arrange(inputs + list((pred or truth).values()))
    pairs = [tuple(inputs) if len(inputs) == 2 else (inputs[0], None)]
    pairs += [(panel, truth.get(key)) for key, panel in pred.items()]
    return arrange_pairs(pairs)


def _legend(pred: FrameMaps, truth: FrameMaps, classes: Sequence[str],
            palette: np.ndarray, score_thr: float) -> List[LegendEntry]:
    """Classes that the panels of a frame show, in label order, then void."""
    shown = set()
    for maps in (pred, truth):
        for array in (maps.semantic, maps.panoptic):
            if array is not None:
                # panoptic ids are label + 1000 * instance
                shown |= {i % INSTANCE_OFFSET if i >= 0 else i
                          for i in np.unique(array).tolist()}
        if maps.instances is not None:
            labels, scores = maps.instances.labels, maps.instances.scores
            if scores is not None:
                labels = labels[scores >= score_thr]
            shown |= set(labels.tolist())
    legend = [(name, tuple(palette[i].tolist()))
              for i, name in enumerate(classes) if i in shown]
    if any(not 0 <= i < len(classes) for i in shown):
        legend.append(('void', None))
    return legend
