"""The inferencer: from images and LiDAR points to results."""

import contextlib
import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmcv.transforms import Compose
from mmengine.config import Config, ConfigDict
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.infer import BaseInferencer
from mmengine.logging import print_log
from mmengine.structures import BaseDataElement
from torch import nn
from tqdm import tqdm

from pandepth_mm.apis.inputs import Frame, FrameSource, list_frames, load_frame
from pandepth_mm.apis.result import PanDepthResult, make_result
from pandepth_mm.datasets.transforms.resize_panoptic_depth import DEPTH_RESIZES, ResizePanopticDepth
from pandepth_mm.engine.checkpoint import fill_model, read_checkpoint
from pandepth_mm.engine.model_zoo import config_of_weights, read_config
from pandepth_mm.engine.stored_config import read_stored_config
from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.fileio import KITTI_DEPTH_SCALE
from pandepth_mm.models.build import build_pandepth
from pandepth_mm.registry import TRANSFORMS, set_default_scope, type_name
from pandepth_mm.structures.frame_maps import predicted_maps
from pandepth_mm.structures.palette import default_palette
from pandepth_mm.visualization.frame.colors import as_palette

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
# of a test pipeline: what reads files, which the frame comes with already
_LOADERS = ('LoadImageFromFile', 'LoadDepthMap', 'LoadPanopticMap', 'ResampleSparseDepth')


class PanDepthInferencer(BaseInferencer):
    """Panoptic segmentation and dense depth of your own images.

    Needs no annotation file, no data set and no ground truth. As mmengine's
    inferencers it is made of a config and weights, and called with inputs;
    it returns :class:`PanDepthResult` objects.

    A config is Python code and is run: use those you trust. Weights are read
    as tensors and numbers only, see ``trust_checkpoint``.

    Args:
        model: Config file, name of a config that comes along
            ('pandepth_effb0_minivkitti_long' has weights), or a Config. By
            default the config that the training stored in the weights, as
            far as it is made of the parts that the package's configs use;
            that one is read as data, not run.
        weights: Checkpoint, a file or an http(s) address. By default what
            the metafile names for the config.
        device: 'cpu', 'cuda', 'cuda:1', ... By default the GPU where there
            is one.
        precision: 'fp32', or 'bf16' or 'fp16' for the dense branches on a
            GPU ('bf16' also on a CPU). The depth head and the instance
            branch always run in float32.
        depth_resize: How measurements reach the network's grid, whatever the
            config says: 'rasterize' keeps as many as there is room for,
            'nearest' is the paper's way, see
            :class:`~pandepth_mm.datasets.transforms.ResizePanopticDepth`.
        trust_checkpoint: Let the checkpoint run code while it is loaded.
        show_progress: Show a bar when there are several frames.

    Raises:
        InputError: No such config, weights or device, weights of another
            model, or a checkpoint that would run code.

    Examples:
        >>> inferencer = PanDepthInferencer('pandepth_effb0_minivkitti_long')
        >>> result = inferencer('000000.png', points='000000.bin',
        ...                     calib='000000.txt')
        >>> result.save('out')
    """

    def __init__(
        self,
        model: str | Config | ConfigDict | None = None,
        weights: str | None = None,
        device: str | None = None,
        precision: str = 'fp32',
        depth_resize: str = 'rasterize',
        trust_checkpoint: bool = False,
        show_progress: bool = True,
    ) -> None:
        require_choice(precision, PRECISIONS, 'precision')
        require_choice(depth_resize, DEPTH_RESIZES, 'depth_resize')
        self.depth_resize = depth_resize
        self.device = _check_device(device or get_device(), precision)
        self.precision = precision
        set_default_scope()
        if model is None and weights is not None:
            model = config_of_weights(str(weights))
        elif model is None:
            raise InputError('model, weights', 'neither', 'one of them')
        if not isinstance(model, (Config, ConfigDict, type(None))):
            model, found = read_config(str(model))
            weights = weights or found.weights
        if model is not None and not isinstance(model.get('model'), dict):
            raise InputError('config', 'no dict "model"', 'a runner config')
        if weights is None:
            raise InputError(
                'weights', 'None', 'a checkpoint: no weights come along for this config'
            )
        self._checkpoint = read_checkpoint(str(weights), trust_checkpoint)
        if model is None:
            model = read_stored_config(self._checkpoint, str(weights))
        super().__init__(
            model=model,
            weights=str(weights),
            device=str(self.device),
            scope='pandepth_mm',
            show_progress=show_progress,
        )

    def __call__(
        self,
        inputs: Any,
        sparse_depth: Any = None,
        points: Any = None,
        calib: Any = None,
        depth_scale: float = KITTI_DEPTH_SCALE,
        batch_size: int = 1,
    ) -> PanDepthResult | list[PanDepthResult]:
        """Predict.

        Give sparse depth, or points with a calibration, or neither: the
        depth is then a guess from the image alone.

        Args:
            inputs: Image, list of images, or a folder of them. An image is a
                path or a uint8 array (H, W, 3), BGR as mmcv and OpenCV read
                it.
            sparse_depth: Depth map at the image's size: a 16-bit PNG, a .npy
                or a float array (H, W) in metres, 0 = no measurement. For
                several images a list, or a folder of files of the same
                stems.
            points: LiDAR points: a .bin as KITTI has it, a .npy or an array
                (N, 3) or wider, x, y, z in metres. Lists and folders as
                above.
            calib: A calibration text as KITTI's object data set has it (P2,
                R0_rect, Tr_velo_to_cam); a dict of ``cam2img`` (3, 3), or a
                projection (3, 4) or (4, 4), and ``lidar2cam`` (4, 4); a
                matrix ``cam2img``; or a :class:`Calibration`. One for all,
                or a list or folder as above. Without one there is no cloud,
                and the network assumes Virtual KITTI 2's field of view.
            depth_scale: Units per metre of depth PNGs: 256 for KITTI, 100
                for Virtual KITTI 2, 1000 for millimetres.
            batch_size: Images at a time.

        Returns:
            One result for one image, a list for a list or a folder.

        Raises:
            InputError: What is wrong, with the file or the argument. Missing
                files are reported before the first frame is computed.
        """
        sources, single = list_frames(inputs, sparse_depth, points, calib)
        results: Iterable[PanDepthResult] = self.stream(sources, depth_scale, batch_size)
        if self.show_progress and len(sources) > 1:
            results = tqdm(results, 'frames', len(sources))
        results = list(results)
        return results[0] if single else results

    def stream(
        self,
        sources: Sequence[FrameSource],
        depth_scale: float = KITTI_DEPTH_SCALE,
        batch_size: int = 1,
    ) -> Iterator[PanDepthResult]:
        """Predict frame by frame, so that not all results are in memory.

        Args:
            sources: Of :func:`pandepth_mm.apis.inputs.list_frames`.
            depth_scale: Units per metre of depth PNGs.
            batch_size: Images at a time.

        Returns:
            Iterator over the results, in the order of the sources.

        Raises:
            InputError: At once for the numbers; for a frame when its turn
                comes.
        """
        if not batch_size >= 1:
            raise InputError('batch_size', repr(batch_size), '1 or more')
        if not depth_scale > 0:
            raise InputError('depth_scale', repr(depth_scale), 'units per metre, more than 0')
        return self._stream(sources, depth_scale, batch_size)

    def _stream(
        self, sources: Sequence[FrameSource], depth_scale: float, batch_size: int
    ) -> Iterator[PanDepthResult]:
        """Predict a batch after the other."""
        remaining = iter(sources)
        while chunk := list(islice(remaining, batch_size)):
            frames = [load_frame(source, depth_scale, self.model.max_depth) for source in chunk]
            samples = self.forward(self.preprocess(frames))
            yield from self.postprocess(frames, samples)

    def preprocess(self, frames: Sequence[Frame]) -> dict:
        """Bring frames to the network's size and make a batch of them."""
        return self.collate_fn([self.pipeline(f) for f in frames])

    @torch.no_grad()
    def forward(self, inputs: dict) -> list[BaseDataElement]:
        """Run the model on a batch."""
        dtype = PRECISIONS[self.precision]
        context = (
            contextlib.nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)
        )
        with context:
            return self.model.test_step(inputs)

    def postprocess(
        self, frames: Sequence[Frame], samples: Sequence[BaseDataElement]
    ) -> list[PanDepthResult]:
        """Turn predictions into results."""
        results = []
        for frame, sample in zip(frames, samples, strict=True):
            results.append(
                make_result(
                    frame,
                    predicted_maps(sample, frame.image.shape[:2]),
                    self.classes,
                    self.palette,
                    self.model.num_things,
                    self.model.max_depth,
                )
            )
            if self.model.depth_head is not None and results[-1].depth_is_guess:
                print_log(
                    f'{frame.name}: no depth measurement; the depth is a '
                    'guess from the image alone',
                    logger='current',
                    level=logging.WARNING,
                )
        return results

    def visualize(self, results: Sequence[PanDepthResult]) -> list[np.ndarray]:
        """Draw the panels of each result, uint8 RGB."""
        return [result.picture() for result in results]

    def _init_model(self, cfg: Config, weights: str, device: str) -> nn.Module:
        """Build the model and fill it with what was read already."""
        model = build_pandepth(cfg, 'config')
        checkpoint, self._checkpoint = self._checkpoint, None
        fill_model(model, checkpoint, weights)
        self.classes = _find_classes(cfg, checkpoint, model.num_classes)
        self.palette = _find_palette(cfg, self.classes)
        return model.to(device).eval()

    def _init_pipeline(self, cfg: Config) -> Compose:
        """The test pipeline without what reads files."""
        dataset = _test_dataset(cfg)
        self.img_scale = dataset.get('img_scale')
        if self.img_scale is None:
            raise InputError(
                'config',
                'no img_scale',
                "(width, height) of the network's input",
                'test_dataloader.dataset.img_scale',
            )
        transforms = []
        for transform in dataset.get('pipeline') or ():
            if type_name(transform) not in _LOADERS:
                if type_name(transform) == 'ResizePanopticDepth':
                    transform = dict(transform, depth_resize=self.depth_resize)
                transforms.append(TRANSFORMS.build(transform))
        if not any(isinstance(transform, ResizePanopticDepth) for transform in transforms):
            raise InputError(
                'config',
                'no ResizePanopticDepth',
                'the pipeline of a test',
                'test_dataloader.dataset.pipeline',
            )
        return Compose([self._unpack, *transforms])

    def _unpack(self, frame: Frame) -> dict:
        """A frame as the results dict that transforms know."""
        size = frame.image.shape[:2]
        results = dict(
            img=frame.image,
            img_path=frame.name,
            img_id=0,
            img_shape=size,
            ori_shape=size,
            img_scale=tuple(self.img_scale),
            sparse_depth=frame.sparse_depth,
            cam2img=frame.cam2img,
        )
        if frame.points is not None:
            results['points'] = frame.points
        return results

    def _init_collate(self, cfg: Config):
        """Frames stay in lists: the data preprocessor stacks them."""
        return pseudo_collate

    def _init_visualizer(self, cfg: Config) -> None:
        """None is needed: results draw themselves."""


def _check_device(device: str, precision: str) -> torch.device:
    """Refuse a device that is not there or cannot do the precision."""
    try:
        checked = torch.device(device)
    except (RuntimeError, TypeError):
        raise InputError('device', repr(device), "'cpu', 'cuda' or 'cuda:N'") from None
    if checked.type == 'cuda' and (checked.index or 0) >= torch.cuda.device_count():
        raise InputError(
            'device',
            f'{device!r}, and torch sees {torch.cuda.device_count()} GPUs',
            "'cpu', or a GPU that is there",
        )
    if checked.type == 'cpu' and precision == 'fp16':
        raise InputError('precision', "'fp16' on a CPU", "'fp32' or 'bf16'")
    return checked


def _test_dataset(cfg: Config) -> dict:
    """The data set of the test, unwrapped."""
    dataset = (cfg.get('test_dataloader') or {}).get('dataset') or {}
    while 'img_scale' not in dataset and isinstance(dataset.get('dataset'), dict):
        dataset = dataset['dataset']
    return dataset


def _find_classes(cfg: Config, checkpoint: dict, num_classes: int) -> Sequence[str]:
    """Class names of the weights, else of the config, else numbers."""
    meta = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    names = meta.get('classes')
    if names is None:
        info = _test_dataset(cfg).get('metainfo') or {}
        names = (*info.get('thing_classes', ()), *info.get('stuff_classes', ()))
    if not names:
        return tuple(f'class {i}' for i in range(num_classes))
    if len(names) != num_classes:
        raise InputError(
            'weights',
            f'the names of {len(names)} classes',
            f'{num_classes}, model.num_things + model.num_stuff of the config',
            'meta.dataset_meta.classes',
        )
    return tuple(names)


def _find_palette(cfg: Config, classes: Sequence[str]) -> np.ndarray:
    """Colours that the config states for these classes, else the usual."""
    info = _test_dataset(cfg).get('metainfo') or {}
    named = (*info.get('thing_classes', ()), *info.get('stuff_classes', ()))
    palette = info.get('palette')
    if palette is None or named != tuple(classes):
        palette = default_palette(classes)
    return as_palette(palette)
