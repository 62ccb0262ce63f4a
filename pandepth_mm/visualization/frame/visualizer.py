"""The visualizer: all panels of a frame in one picture."""

from collections.abc import Sequence

import cv2
import numpy as np
from mmdet.structures import DetDataSample
from mmengine.dist import is_main_process
from mmengine.visualization import Visualizer

from pandepth_mm.fileio import atomic_path
from pandepth_mm.registry import VISUALIZERS
from pandepth_mm.structures.frame_maps import FrameMaps, gt_maps, predicted_maps, sparse_input
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.structures.vkitti2_meta import CLASSES
from pandepth_mm.visualization.frame.colors import DEPTH_CMAP, depth_lut, depth_range
from pandepth_mm.visualization.frame.picture import as_image, frame_picture


@VISUALIZERS.register_module()
class PanDepthVisualizer(Visualizer):
    """Draws image, sparse input, semantic, instance, panoptic, depth and its uncertainty.

    See :func:`frame_picture`. Only the panels that exist are drawn, so that single-task models need
    no other settings. Class names and colors come from ``dataset_meta`` (``classes``, ``palette``);
    without a palette it is :func:`default_palette`, without classes those of Virtual KITTI 2.

    Args:
        name: Name of the instance.
        image: Image to start with, RGB.
        vis_backends: Visual backend configs.
        save_dir: Folder of the backends.
        max_depth: Upper end of the depth colors, meters. None: a high percentile of the frame's
            measured depths. One range holds for all depth panels of a frame.
        depth_cmap: Matplotlib color map of depth.
    """

    def __init__(
        self,
        name: str = 'visualizer',
        image: np.ndarray | None = None,
        vis_backends=None,
        save_dir: str | None = None,
        max_depth: float | None = None,
        depth_cmap: str = DEPTH_CMAP,
    ) -> None:
        super().__init__(name=name, image=image, vis_backends=vis_backends, save_dir=save_dir)
        depth_lut(depth_cmap)  # wrong settings fail here
        depth_range([], max_depth)
        self.max_depth = max_depth
        self.depth_cmap = depth_cmap

    # mmengine's property is None on all but the first process, which cannot draw then; here each
    # process draws the frames that it tests.
    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the data set: classes and palette."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, dataset_meta: dict) -> None:
        self._dataset_meta = dataset_meta

    def classes_and_palette(self) -> tuple[Sequence[str], Sequence]:
        """Class names, and one (R, G, B) per class."""
        meta = self._dataset_meta or {}
        classes = meta.get('classes') or CLASSES
        palette = meta.get('palette')
        if palette is None or isinstance(palette, str):
            palette = default_palette(classes)
        return classes, palette

    def render(
        self,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        pred_score_thr: float = 0.3,
    ) -> np.ndarray:
        """Draw a frame and write it nowhere.

        Args:
            image: uint8 (H, W, 3), RGB.
            data_sample: Predictions and ground truth at the image's size, sparse depth at any size.
            draw_gt: Draw the ground truth that the sample has.
            draw_pred: Draw the predictions that the sample has.
            pred_score_thr: Instances with a lower score are left out of the instance panel.

        Returns:
            uint8 RGB picture.

        Raises:
            InputError: A map of another size than the image.
        """
        image = as_image(image)
        classes, palette = self.classes_and_palette()
        size = image.shape[:2]
        pred, gt, sparse = FrameMaps(), FrameMaps(), None
        if data_sample is not None:
            if draw_pred:
                pred = predicted_maps(data_sample, size)
            if draw_gt:
                gt = gt_maps(data_sample, size)
            sparse = sparse_input(data_sample)
        return frame_picture(
            image,
            pred,
            gt,
            sparse,
            classes=classes,
            palette=palette,
            max_depth=self.max_depth,
            depth_cmap=self.depth_cmap,
            score_thr=pred_score_thr,
        )

    def add_datasample(
        self,
        name: str,
        image: np.ndarray,
        data_sample: DetDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        pred_score_thr: float = 0.3,
        step: int = 0,
    ) -> None:
        """Draw a frame and show it, write it, or send it to the backends.

        With ``out_file`` every process of a distributed run writes; windows and backends belong to
        the first process.

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
        picture = self.render(image, data_sample, draw_gt, draw_pred, pred_score_thr)
        self.set_image(picture)  # for get_image, as its siblings do
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            with atomic_path(out_file) as tmp:
                if not cv2.imwrite(tmp, picture[..., ::-1]):
                    raise OSError(f'cannot write {out_file}')
        elif not show:
            self.add_image(name, picture, step)
