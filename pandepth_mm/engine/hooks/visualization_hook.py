"""The hook that draws frames during validation and testing."""

import os.path as osp
from collections.abc import Sequence

import cv2
from mmdet.structures import DetDataSample
from mmengine.dataset import BaseDataset
from mmengine.hooks import Hook
from mmengine.runner import Runner

from pandepth_mm.errors import InputError, require_count
from pandepth_mm.registry import HOOKS
from pandepth_mm.structures.frame_names import ambiguous_names, frame_name


@HOOKS.register_module()
class PanDepthVisualizationHook(Hook):
    """Draws predictions and ground truth side by side.

    As mmdet's ``DetVisualizationHook``, with three differences. A file is named after the frame's
    scene, variation, camera and number (or after its folder and name), since many data sets repeat
    their file names in every folder. ``test_out_dir`` is taken as it is, not below the work
    directory. In a distributed test every process writes the frames that it tests.

    Args:
        draw: Draw at all.
        interval: In validation, draw the first frame of every ``interval``-th batch, the same
            frames each time; they go to the visualizer's backends.
        test_interval: In testing, draw every ``test_interval``-th frame.
        score_thr: Lowest score of an instance in the instance panel.
        draw_gt: Draw the ground truth beside the predictions.
        test_out_dir: Folder for one PNG per frame in testing. Without it they go to the
            visualizer's backends.
    """

    def __init__(
        self,
        draw: bool = False,
        interval: int = 50,
        test_interval: int = 1,
        score_thr: float = 0.3,
        draw_gt: bool = True,
        test_out_dir: str | None = None,
    ) -> None:
        require_count(interval, type(self).__name__, 'interval')
        require_count(test_interval, type(self).__name__, 'test_interval')
        self.draw = draw
        self.interval = interval
        self.test_interval = test_interval
        self.score_thr = score_thr
        self.draw_gt = draw_gt
        self.test_out_dir = test_out_dir
        self._test_index = 0
        self._ambiguous: set[str] | None = None

    def before_val(self, runner: Runner) -> None:
        """Find out which names need an id."""
        if self.draw:
            self._ambiguous = _dataset_ambiguities(runner.val_loop.dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        """Find out which names need an id, and count frames from 0."""
        self._test_index = 0
        if self.draw:
            self._ambiguous = _dataset_ambiguities(runner.test_loop.dataloader.dataset)

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[DetDataSample]
    ) -> None:
        """Draw the first frame of every ``interval``-th batch.

        Args:
            runner: The runner.
            batch_idx: Number of the batch.
            data_batch: The batch, not used.
            outputs: Its samples with predictions and ground truth.
        """
        if self.draw and batch_idx % self.interval == 0:
            self._draw_sample(runner, outputs[0], 'val', runner.iter)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict, outputs: Sequence[DetDataSample]
    ) -> None:
        """Draw every ``test_interval``-th frame.

        Args:
            runner: The runner.
            batch_idx: Number of the batch, not used.
            data_batch: The batch, not used.
            outputs: Its samples with predictions and ground truth.
        """
        if not self.draw:
            return
        for data_sample in outputs:
            if self._test_index % self.test_interval == 0:
                self._draw_sample(runner, data_sample, 'test', self._test_index, self.test_out_dir)
            self._test_index += 1

    def _draw_sample(
        self,
        runner: Runner,
        data_sample: DetDataSample,
        prefix: str,
        step: int,
        out_dir: str | None = None,
    ) -> None:
        """Read the frame's image and hand both to the visualizer.

        Raises:
            InputError: The image cannot be decoded.
        """
        image = cv2.imread(data_sample.img_path, cv2.IMREAD_COLOR)
        if image is None:
            raise InputError(data_sample.img_path, 'a file that cannot be decoded', 'an image')
        name = frame_name(data_sample.metainfo, self._ambiguous)
        runner.visualizer.add_datasample(
            f'{prefix}_{name}',
            image[..., ::-1],
            data_sample=data_sample,
            draw_gt=self.draw_gt,
            out_file=None if out_dir is None else osp.join(out_dir, f'{name}.png'),
            pred_score_thr=self.score_thr,
            step=step,
        )


def _dataset_ambiguities(dataset: BaseDataset) -> set[str] | None:
    """Names that several frames share; None if the data set cannot tell."""
    if not hasattr(dataset, 'get_data_info'):
        return None
    return ambiguous_names(dataset.get_data_info(i) for i in range(len(dataset)))
