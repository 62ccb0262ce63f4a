"""The inferencer: from images and LiDAR points to results."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any

import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.device import get_device
from mmengine.logging import print_log
from tqdm import tqdm

from pandepth_mm.apis.builder import init_model
from pandepth_mm.apis.inputs import Frame, check_sources, load_frame
from pandepth_mm.apis.kept_memory import keep_freed_memory
from pandepth_mm.apis.result import PanDepthResult, make_result
from pandepth_mm.apis.sources import FrameSource, list_frames
from pandepth_mm.datasets.transforms.resize_panoptic_depth import DEPTH_RESIZES
from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, dataset_of_test
from pandepth_mm.errors import InputError, require_choice, require_count, require_positive
from pandepth_mm.fileio import KITTI_DEPTH_SCALE, PathLike, is_path
from pandepth_mm.models.detectors import PanDepth
from pandepth_mm.models.optimize import optimize_for_inference
from pandepth_mm.models.precision import check_precision, predict_in
from pandepth_mm.registry import TRANSFORMS, set_default_scope, type_name
from pandepth_mm.structures.frame_maps import predicted_maps

# transforms of a test pipeline that read files; a Frame holds what they would load
_LOADERS = ('LoadImageFromFile', 'LoadDepthMap', 'LoadPanopticMap', 'ResampleSparseDepth')


class PanDepthInferencer:
    """Panoptic segmentation and dense depth of your own images.

    Needs no annotation file, no data set and no ground truth. Call it with inputs; it returns
    :class:`PanDepthResult` objects. It takes a built model; :meth:`from_pretrained` and
    :meth:`from_config` build one.

    Args:
        model: A model of :func:`pandepth_mm.apis.init_model`, or what :meth:`from_pretrained`
            takes. By default the demo's model, with the shipped weights.
        device: 'cpu', 'cuda', 'cuda:1', ... By default the GPU where there is one. The model is
            moved there.
        precision: 'fp32', or 'bf16' or 'fp16' for the dense branches on a GPU ('bf16' also on a
            CPU). The instance branch always runs in float32, and so do depth measurements,
            positions and the last layer of the depth; with 'fp16' the paper's whole depth head.
        depth_resize: How measurements reach the network's grid, whatever the config says:
            'rasterize' keeps as many as there is room for, 'nearest' is the paper's way, see
            :class:`~pandepth_mm.datasets.transforms.ResizePanopticDepth`.
        show_progress: Show a bar when there are several frames.
        optimize: Predict with a copy of the model that is quicker and gives the same up to
            rounding, see :func:`pandepth_mm.models.optimize.optimize_for_inference`. On a CPU the
            process also keeps what it frees, see
            :func:`pandepth_mm.apis.kept_memory.keep_freed_memory`.

    Attributes:
        model: The model that predicts, in eval mode; with ``optimize`` the copy.
        device: The torch.device that it is on.
        classes: Class names, things first.
        palette: RGB of each class, uint8 (num_classes, 3).

    Raises:
        InputError: No such device or precision, or not a model of ``init_model``.

    Examples:
        >>> inferencer = PanDepthInferencer()
        >>> result = inferencer('000000.png', points='000000.bin',
        ...                     calib='000000.txt')
        >>> result.save('out')
    """

    def __init__(
        self,
        model: PanDepth | PathLike | None = None,
        device: str | None = None,
        precision: str = 'fp32',
        depth_resize: str = 'rasterize',
        show_progress: bool = True,
        optimize: bool = True,
    ) -> None:
        require_choice(depth_resize, DEPTH_RESIZES, 'depth_resize')
        self.device = _check_device(device or get_device())
        check_precision(precision, self.device)
        self.precision = precision
        self.show_progress = show_progress
        if model is None or is_path(model):
            model = init_model(None, model)
        if not isinstance(model, PanDepth) or not hasattr(model, 'cfg'):
            raise InputError(
                'model', type(model).__name__, 'a model of init_model, a name, a file or an address'
            )
        self.pipeline = _make_pipeline(model.cfg, depth_resize)
        model = model.to(self.device).eval()
        self.model = optimize_for_inference(model) if optimize else model
        if optimize and self.device.type == 'cpu':
            keep_freed_memory()
        self.classes = model.dataset_meta['classes']
        self.palette = model.dataset_meta['palette']

    @classmethod
    def from_pretrained(
        cls, weights: PathLike = DEFAULT_MODEL, trust_checkpoint: bool = False, **options
    ) -> 'PanDepthInferencer':
        """Build the model from weights alone.

        Args:
            weights: Name of a shipped model, a file (.pth or .safetensors), or an http(s) address;
                a copy is kept in torch's cache. A file or address must hold its config, as training
                checkpoints and the files of ``tools/publish_model.py`` do.
            trust_checkpoint: Let the checkpoint run code while it is loaded.
            **options: ``device``, ``precision``, ``depth_resize``, ``show_progress`` and
                ``optimize``, as the class has them.

        Raises:
            InputError: See :func:`pandepth_mm.apis.init_model`.
        """
        return cls(init_model(None, weights, trust_checkpoint), **options)

    @classmethod
    def from_config(
        cls,
        config: PathLike | Config,
        weights: PathLike | None = None,
        trust_checkpoint: bool = False,
        **options,
    ) -> 'PanDepthInferencer':
        """Build the model from a config, which is run, and weights.

        Args:
            config: Config file, name of a shipped config, or a Config.
            weights: A file or an http(s) address. By default the weights shipped for the config.
            trust_checkpoint: Let the checkpoint run code while it is loaded.
            **options: As in :meth:`from_pretrained`.

        Raises:
            InputError: See :func:`pandepth_mm.apis.init_model`.
        """
        return cls(init_model(config, weights, trust_checkpoint), **options)

    def __call__(
        self,
        inputs: Any,
        sparse_depth: Any = None,
        points: Any = None,
        calib: Any = None,
        depth_scale: float = KITTI_DEPTH_SCALE,
        batch_size: int = 1,
        camera: int | None = None,
        point_dims: int | None = None,
    ) -> PanDepthResult | list[PanDepthResult]:
        """Predict for one or several images.

        Give sparse depth, or points with a calibration, or neither: the depth is then a guess from
        the image alone.

        Args:
            inputs: Image, list of images, or a folder of them. An image is a path or a uint8 array
                (H, W, 3), BGR as mmcv and OpenCV read it.
            sparse_depth: Depth map at the image's size: a 16-bit PNG, a .npy or a float array (H,
                W) in meters, 0 = no measurement. For several images a list, or a folder of files of
                the same stems.
            points: LiDAR points: a .bin, .npy, .ply or .pcd, or an array (N, 3) or wider, x, y, z
                in meters; see :func:`pandepth_mm.geometry.point_files.read_points`. Lists and
                folders as above.
            calib: A file that :func:`read_calibration` reads, of KITTI's data sets, ROS or JSON; a
                dict of ``cam2img`` (3, 3), or a projection (3, 4) or (4, 4), and ``lidar2cam`` (4,
                4); a matrix ``cam2img``; or a :class:`Calibration`. One for all, or a list or
                folder as above; the two files of KITTI raw or KITTI-360 as their folder or, for a
                single image, as a list. Without one there is no cloud, and the network assumes
                Virtual KITTI 2's field of view.
            depth_scale: Units per meter of depth PNGs: 256 for KITTI, 100 for Virtual KITTI 2, 1000
                for millimeters.
            batch_size: Images at a time.
            camera: Which camera of the calibration the images are of, 0 to 3. By default the one
                that the folder of an image names (``image_3``, ``image_03/data``), else the left
                color camera.
            point_dims: Numbers per row of a .bin; by default told by the numbers.

        Returns:
            One result for one image, a list for a list or a folder.

        Raises:
            InputError: What is wrong, with the file or the argument, of the first bad frame. All
                are looked at before the first is computed, see
                :func:`pandepth_mm.apis.inputs.check_sources`, which tells of every bad one.
        """
        require_count(batch_size, 'batch_size')
        require_positive(depth_scale, 'depth_scale', unit='(units per meter)')
        sources, single = list_frames(inputs, sparse_depth, points, calib, camera, point_dims)
        for error in check_sources(sources).values():
            raise error
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
        skipped: dict[str, InputError] | None = None,
    ) -> Iterator[PanDepthResult]:
        """Predict batch by batch, so that not all results are in memory.

        Args:
            sources: Of :func:`pandepth_mm.apis.sources.list_frames`.
            depth_scale: Units per meter of depth PNGs.
            batch_size: Images at a time.
            skipped: Takes the error of each bad frame, by name, and the frame is left out. By
                default the error is raised.

        Returns:
            Iterator over the results, in the order of the sources.

        Raises:
            InputError: A wrong number, at once; a bad frame, when its turn comes.
        """
        require_count(batch_size, 'batch_size')
        require_positive(depth_scale, 'depth_scale', unit='(units per meter)')
        frames = self._load(sources, depth_scale, skipped)
        return self._stream(frames, batch_size)

    def _load(
        self,
        sources: Sequence[FrameSource],
        depth_scale: float,
        skipped: dict[str, InputError] | None,
    ) -> Iterator[Frame]:
        """Read one frame after the other."""
        for source in sources:
            try:
                frame = load_frame(source, depth_scale, self.model.max_depth)
            except InputError as error:
                if skipped is None:
                    raise
                skipped[source.name] = error
            else:
                yield frame

    def _stream(self, frames: Iterator[Frame], batch_size: int) -> Iterator[PanDepthResult]:
        """Predict one batch after the other."""
        while batch := list(islice(frames, batch_size)):
            yield from self.predict(batch)

    @torch.inference_mode()
    def predict(self, frames: Sequence[Frame]) -> list[PanDepthResult]:
        """Predict for frames that are read already, as one batch."""
        with predict_in(self.precision, self.device):
            samples = self.model.test_step(pseudo_collate([self.pipeline(f) for f in frames]))
        results = [
            make_result(
                frame,
                predicted_maps(sample, frame.image.shape[:2]),
                self.classes,
                self.palette,
                self.model.num_things,
                self.model.max_depth,
            )
            for frame, sample in zip(frames, samples, strict=True)
        ]
        for result in results:
            if result.depth is not None and result.depth_is_guess:
                print_log(
                    f'{result.name}: no depth measurement; the depth is a '
                    'guess from the image alone',
                    logger='current',
                    level=logging.WARNING,
                )
        return results


def _check_device(device: str) -> torch.device:
    """Refuse a device that is not there."""
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
    return checked


def _make_pipeline(cfg: Config, depth_resize: str) -> Compose:
    """The test pipeline of a config, from a :class:`Frame` on."""
    dataset = dataset_of_test(cfg)
    if dataset.get('img_scale') is None:
        raise InputError(
            'config',
            'no img_scale',
            "(width, height) of the network's input",
            'test_dataloader.dataset.img_scale',
        )
    steps = [t for t in dataset.get('pipeline') or () if type_name(t) not in _LOADERS]
    if 'ResizePanopticDepth' not in map(type_name, steps):
        raise InputError(
            'config',
            'no ResizePanopticDepth',
            'the pipeline of a test',
            'test_dataloader.dataset.pipeline',
        )

    def unpack(frame: Frame) -> dict:
        size = frame.image.shape[:2]
        results = dict(
            img=frame.image,
            img_path=frame.name,
            img_id=0,
            img_shape=size,
            ori_shape=size,
            img_scale=tuple(dataset['img_scale']),
            sparse_depth=frame.sparse_depth,
            cam2img=frame.cam2img,
        )
        return results if frame.points is None else dict(results, points=frame.points)

    set_default_scope()
    transforms = [
        TRANSFORMS.build(
            dict(t, depth_resize=depth_resize) if type_name(t) == 'ResizePanopticDepth' else t
        )
        for t in steps
    ]
    return Compose([unpack, *transforms])
