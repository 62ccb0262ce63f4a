"""What the inferencer returns for one image."""

import dataclasses
import functools
import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pandepth_mm.apis.inputs import Frame
from pandepth_mm.apis.writers import write_result
from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike
from pandepth_mm.structures.frame_maps import FrameMaps, InstanceArrays
from pandepth_mm.structures.panoptic_cloud import PanopticCloud, panoptic_cloud
from pandepth_mm.structures.panoptic_ids import INSTANCE_OFFSET, decode_panoptic
from pandepth_mm.visualization.frame.picture import frame_picture

_NOTEBOOK_WIDTH = 1200  # pixels; each picture is kept in the notebook's file


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PanDepthResult:
    """The prediction for one image, at the image's size (H, W).

    A field is None where the model has no branch for it.

    Attributes:
        name: Of the frame.
        image: uint8 (H, W, 3), RGB.
        sparse_depth: The input, float32 (H, W), meters, 0 = no measurement.
        cam2img: Intrinsics, float64 (3, 3), pixels; None if the call gave no calibration.
        classes: Class names, things first; a label is a position in it.
        palette: RGB of each class, uint8 (num_classes, 3).
        num_things: Number of thing classes.
        max_depth: Depth range of the model, meters.
        panoptic: Segment ids 1..n, int32 (H, W), 0 = void.
        segments_info: The n segments: ``id``, ``category_id`` (the label), ``category`` (its name),
            ``isthing``, ``instance_id`` (0 for stuff), ``area`` in pixels.
        semantic: Labels, int32 (H, W).
        instances: ``bboxes`` (n, 4) as x1, y1, x2, y2 in pixels, ``labels`` (n,), ``scores`` (n,),
            ``masks`` bool (n, H, W); also those that the panoptic fusion left out.
        depth: float32 (H, W), meters along the camera's z axis.
        depth_uncertainty: float32 (H, W), meters: the absolute error that the model expects of its
            depth (the scale of a Laplace distribution).
    """

    name: str
    image: np.ndarray
    sparse_depth: np.ndarray
    cam2img: np.ndarray | None
    classes: tuple[str, ...]
    palette: np.ndarray
    num_things: int
    max_depth: float
    panoptic: np.ndarray | None
    segments_info: list[dict] | None
    semantic: np.ndarray | None
    instances: InstanceArrays | None
    depth: np.ndarray | None
    depth_uncertainty: np.ndarray | None

    @property
    def depth_is_guess(self) -> bool:
        """Whether there was no measurement: the depth is then a guess."""
        return not (self.sparse_depth > 0).any()

    @functools.cached_property
    def points(self) -> PanopticCloud:
        """The panoptic cloud, in the camera's frame.

        Made when first asked for. The sky, depths at the end of the model's range, flying pixels
        and uncertain ones are left out, see
        :func:`pandepth_mm.structures.panoptic_cloud.panoptic_cloud`.

        Raises:
            InputError: No calibration was given, or the model lacks depth or semantics.
        """
        if self.cam2img is None:
            raise InputError(
                self.name,
                'no calibration',
                'calib in the call of the inferencer, since a cloud needs the intrinsics',
                'points',
            )
        if self.depth is None or self.semantic is None:
            raise InputError(
                self.name, 'a model without depth or semantics', 'one with both', 'points'
            )
        panoptic = self._mmdet_panoptic()
        return panoptic_cloud(
            self.depth,
            self.cam2img,
            self.image,
            self.semantic if panoptic is None else panoptic,
            len(self.classes),
            depth_uncertainty=self.depth_uncertainty,
            # where the range ends, the depth is cut off
            max_depth=0.99 * self.max_depth,
            skip_labels=[label for label, name in enumerate(self.classes) if name.lower() == 'sky'],
        )

    def picture(self) -> np.ndarray:
        """All panels in one picture, uint8 RGB."""
        return frame_picture(
            self.image,
            FrameMaps(
                self.semantic,
                self.instances,
                self._mmdet_panoptic(),
                self.depth,
                self.depth_uncertainty,
            ),
            sparse_depth=None if self.depth is None else self.sparse_depth,
            classes=self.classes,
            palette=self.palette,
        )

    def show(self) -> None:
        """Show the panels: below the cell of a notebook, else in a window.

        Raises:
            InputError: There is no display.
        """
        picture = Image.fromarray(self.picture())
        if _in_notebook():
            from IPython import display

            picture.thumbnail((_NOTEBOOK_WIDTH, _NOTEBOOK_WIDTH))
            content = io.BytesIO()
            picture.save(content, format='PNG')
            display.display(display.Image(content.getvalue()))
            return
        from matplotlib import pyplot as plt

        figure = plt.figure(self.name, frameon=False)
        axes = figure.add_axes([0, 0, 1, 1])
        axes.imshow(picture)
        axes.set_axis_off()
        if plt.get_backend().lower() == 'agg':
            plt.close(figure)
            raise InputError('show', 'no display', 'a notebook or a screen; save(dir) writes files')
        plt.show()

    def save(self, out_dir: PathLike, kinds: Sequence[str] | None = None) -> dict[str, Path]:
        """Write the result as files, see :func:`pandepth_mm.apis.writers.write_result`.

        Args:
            out_dir: Folder, made where it is missing.
            kinds: Which of :data:`pandepth_mm.apis.writers.WRITERS`. By default all that this
                result can be written as: no cloud without a calibration.

        Returns:
            Path of each file by kind, and of ``result``.
        """
        return write_result(self, out_dir, kinds)

    def __repr__(self) -> str:
        """Say what is there, without the arrays."""
        height, width = self.image.shape[:2]
        parts = [f'{self.name!r}, {width}x{height}']
        if self.segments_info is not None:
            parts.append(f'{len(self.segments_info)} segments')
        if self.instances is not None:
            parts.append(f'{len(self.instances.labels)} instances')
        if self.depth is not None:
            parts.append('depth of no measurement (a guess)' if self.depth_is_guess else 'depth')
        if self.depth_uncertainty is not None:
            parts.append('depth uncertainty')
        return f'PanDepthResult({", ".join(parts)})'

    def _mmdet_panoptic(self) -> np.ndarray | None:
        """The panoptic map as label + 1000 * instance, num_classes = void."""
        if self.panoptic is None:
            return None
        ids = np.array(
            [len(self.classes)]
            + [s['category_id'] + INSTANCE_OFFSET * s['instance_id'] for s in self.segments_info]
        )
        return ids[self.panoptic]


def make_result(
    frame: Frame,
    maps: FrameMaps,
    classes: Sequence[str],
    palette: np.ndarray,
    num_things: int,
    max_depth: float,
) -> PanDepthResult:
    """Put a result together.

    Args:
        frame: The frame as it was given.
        maps: The model's predictions at the image's size.
        classes: Class names, things first.
        palette: RGB of each class.
        num_things: Number of thing classes.
        max_depth: Depth range of the model, meters.
    """
    panoptic = segments = None
    if maps.panoptic is not None:
        panoptic, segments = _segments(maps.panoptic, classes, num_things)
    return PanDepthResult(
        name=frame.name,
        image=cv2.cvtColor(frame.image, cv2.COLOR_BGR2RGB),
        sparse_depth=frame.sparse_depth,
        cam2img=frame.cam2img if frame.calibrated else None,
        classes=tuple(classes),
        palette=palette,
        num_things=num_things,
        max_depth=max_depth,
        panoptic=panoptic,
        segments_info=segments,
        semantic=None if maps.semantic is None else maps.semantic.astype(np.int32),
        instances=maps.instances,
        depth=maps.depth,
        depth_uncertainty=maps.depth_uncertainty,
    )


def _segments(
    ids: np.ndarray, classes: Sequence[str], num_things: int
) -> tuple[np.ndarray, list[dict]]:
    """Segment ids and ``segments_info`` of mmdet's panoptic map."""
    panoptic, segments = decode_panoptic(ids, len(classes))
    return panoptic, [
        dict(
            id=s['id'],
            category_id=s['category'],
            category=classes[s['category']],
            isthing=s['category'] < num_things,
            instance_id=s['instance'],
            area=s['area'],
        )
        for s in segments
    ]


def _in_notebook() -> bool:
    """Whether this runs in a kernel that shows pictures."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return type(get_ipython()).__name__ == 'ZMQInteractiveShell'
