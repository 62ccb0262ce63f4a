"""Make sparse depth of point clouds: what the model wants beside an image.

    pandepth-convert points_to_depth DATA_ROOT --out OUT --images image_2 --points velodyne
    python data_converters/points_to_depth.py DATA_ROOT --out OUT ...

Below DATA_ROOT are a folder of images and one of point clouds (.bin, .npy, .ply, .pcd) of the same
names, subfolders included, and a calibration: intrinsics and the place of the LiDAR, one for all or
a folder with one per image. docs/inference.md lists the kinds. Nothing is changed or copied; OUT
receives

    annotations/panoptic_test.json   images and input depth, no ground truth
    sparse_depth/...png              16 bit, 1/256 m, 0 = none; in a pixel the nearest point
    report.json                      density of each frame, and what the filter took
    .points_to_depth/                for a restart; else unused

--beam-steps drops the points that the camera cannot see: those that nearer ones on opposite sides,
as near as the sensor's next measurement, would cover. --distortion puts the points where a lens
with distortion shows them. The run can be stopped and repeated as any other converter's.
"""

import argparse
import dataclasses
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pandepth_mm.converters import core
from pandepth_mm.converters.core import (
    Converter,
    Summary,
    add_max_depth_argument,
    check_max_depth,
    write_depth_maps,
)
from pandepth_mm.converters.points_to_depth.distortion import COEFFICIENTS, project_distorted
from pandepth_mm.errors import InputError, require_positive, require_size
from pandepth_mm.geometry.calibration import Calibration
from pandepth_mm.geometry.calibration_files import CALIB_SUFFIXES, holds_pair, read_calibration
from pandepth_mm.geometry.camera import project, rasterize_depth, transform_points
from pandepth_mm.geometry.point_files import POINT_SUFFIXES, check_points_file, read_points
from pandepth_mm.geometry.visibility import beam_footprint, hidden_mask
from pandepth_mm.structures.annotations import FrameRecord
from pandepth_mm.structures.image_files import check_image_file

logger = logging.getLogger(__name__)

_IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp')


@dataclasses.dataclass(frozen=True)
class Frame(core.Frame):
    """An image with its point cloud and calibration.

    Attributes:
        height: Pixels; 0 until the image was looked at.
        width: Pixels; 0 until the image was looked at.
    """

    height: int = 0
    width: int = 0


@dataclasses.dataclass
class PointsToDepthConverter(Converter):
    """Sparse depth of point clouds; see the module's text for what is written.

    Attributes:
        root: Folder of the data.
        images: Folder of the images below it.
        points: Folder of the point clouds below it.
        calib: A calibration below it, or a folder of them, or one with KITTI raw's two files.
        split: Name of the split.
        camera: Number of the camera, where the calibration has several.
        point_dims: Numbers per point of .bin files; None: told by the numbers.
        max_depth: Meters; what is farther is no measurement.
        beam_steps: Degrees between two measurements of a beam, and between two beams; None: no
            filter.
        distortion: Coefficients of the lens, in OpenCV's order; None: the images are rectified.
    """

    name = 'points_to_depth'
    description = 'images and point clouds, for pandepth_mm by data_converters/points_to_depth.py'
    categories = []
    options = ('camera', 'point_dims', 'max_depth', 'beam_steps', 'distortion')
    needed = dict(
        sparse_pixels='points in the image: lidar2cam leads from the LiDAR to the camera, in meters'
    )

    images: str = 'images'
    points: str = 'points'
    calib: str = 'calib'
    split: str = 'test'
    camera: int | None = None
    point_dims: int | None = None
    max_depth: float = 80.0
    beam_steps: Sequence[float] | None = None
    distortion: Sequence[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_max_depth(self.max_depth)
        if self.beam_steps is not None:
            self.beam_steps = list(self.beam_steps)
            for step in self.beam_steps:
                require_positive(step, '--beam-steps', unit='degrees')
            if len(self.beam_steps) != 2 or max(self.beam_steps) > 10:
                raise InputError(
                    '--beam-steps', f'{self.beam_steps}', 'two numbers of degrees, at most 10'
                )
        if self.distortion is not None:
            self.distortion = list(self.distortion)
            if len(self.distortion) not in COEFFICIENTS or not np.isfinite(self.distortion).all():
                raise InputError(
                    '--distortion',
                    f'{self.distortion}',
                    f'{", ".join(map(str, COEFFICIENTS))} numbers, as OpenCV has them: k1 k2 p1 p2 '
                    'k3 ...',
                )
        if not self.split or not self.split.replace('_', '').isalnum():
            raise InputError('--split', repr(self.split), 'a name of letters, digits and _')

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        add = parser.add_argument
        add('--images', metavar='FOLDER', help='of the images, below DATA_ROOT (%(default)s)')
        add('--points', metavar='FOLDER', help='of the point clouds (%(default)s)')
        add('--calib', metavar='PATH', help='a calibration, or a folder of them (%(default)s)')
        add('--split', metavar='NAME', help='of the annotations (%(default)s)')
        add('--camera', type=int, metavar='N', help='number of the camera in the calibration')
        add('--point-dims', type=int, metavar='N', help='numbers per point of .bin files')
        add_max_depth_argument(parser)
        add(
            '--beam-steps',
            nargs=2,
            type=float,
            metavar=('AZIMUTH', 'ELEVATION'),
            help='drop what the camera cannot see; degrees between two measurements of a beam, and '
            'between two beams (Velodyne HDL-64E: 0.18 0.43)',
        )
        add(
            '--distortion',
            nargs='+',
            type=float,
            metavar='K',
            help='coefficients of the lens as OpenCV has them, k1 k2 p1 p2 k3 ...; the depth then '
            'fits the images as they are',
        )

    def list_frames(self) -> dict[str, list[Frame]]:
        """The images that have a point cloud and a calibration, sorted by name."""
        for flag, folder in (('--images', self.images), ('--points', self.points)):
            if not (self.root / folder).is_dir():
                raise InputError(flag, f'{self.root / folder}, no such folder', 'a folder')
        images = dict(_by_name(self.root / self.images, _IMAGE_SUFFIXES))
        clouds = dict(_by_name(self.root / self.points, POINT_SUFFIXES))
        calib = self.root / self.calib
        several = calib.is_dir() and not holds_pair(calib)
        calibs = dict(_by_name(calib, CALIB_SUFFIXES)) if several else {}
        if not several and not calib.exists():
            raise InputError('--calib', f'{calib}, no such file', 'a calibration, or a folder')
        names = [n for n in images if n in clouds and (n in calibs or not several)]
        if not names:
            raise InputError(
                self.root,
                f'{len(images)} images, {len(clouds)} point clouds and '
                f'{len(calibs) if several else 1} calibrations, no three of one name',
                'the same names without suffix, images/0001.png and points/0001.bin',
            )
        if len(names) < len(images):
            lacking = next(name for name in images if name not in names)
            logger.warning(
                '%d of %d images without a point cloud or calibration left out, the first is %s',
                len(images) - len(names),
                len(images),
                lacking,
            )
        frames = []
        for name in names:
            paths = dict(image=images[name], points=clouds[name])
            if calib.is_dir() and not several:  # KITTI raw's, read as a whole
                paths |= {f'calibration {path.name}': path for path in sorted(calib.glob('*.txt'))}
            else:
                paths['calibration'] = calibs.get(name, calib)
            sources = {k: p.relative_to(self.root).as_posix() for k, p in paths.items()}
            frames.append(Frame(name, sources))
        return {self.split: frames}

    def inspect_frame(self, frame: Frame) -> Frame:
        """Check the headers of the image and of the point cloud."""
        path = self.root / frame.sources['image']
        with open(path, 'rb') as file:
            height, width = check_image_file(file, path)
        check_points_file(self.root / frame.sources['points'], self.point_dims)
        calibration, source = self._calibration(frame)
        if calibration.lidar2cam is None:
            raise InputError(
                source,
                'no lidar2cam',
                'the place of the LiDAR (the unit matrix for points in the frame of the camera)',
            )
        if calibration.image_size:
            require_size((height, width), calibration.image_size[::-1], path, f'images in {source}')
        return dataclasses.replace(frame, height=height, width=width)

    def _calibration(self, frame: Frame) -> tuple[Calibration, Path]:
        """The calibration of a frame, and where it comes from."""
        path = self.root / frame.sources.get('calibration', self.calib)
        return read_calibration(path, self.camera), path

    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame; the counts are of pixels."""
        calibration, _ = self._calibration(frame)
        cam2img, size = calibration.cam2img, (frame.height, frame.width)
        points = read_points(self.root / frame.sources['points'], self.point_dims)
        points = transform_points(points, calibration.lidar2cam)
        points = points[points[:, 2] <= self.max_depth]
        if self.distortion is None:
            uv, depth = project(points, cam2img)
        else:
            uv, depth = project_distorted(points, cam2img, self.distortion)
        sparse_depth = rasterize_depth(uv, depth, size)
        measured = int(np.count_nonzero(sparse_depth))
        if self.beam_steps is not None:
            hidden = hidden_mask(sparse_depth, beam_footprint(cam2img, *self.beam_steps))
            sparse_depth[hidden] = 0
        kept = int(np.count_nonzero(sparse_depth))
        record = FrameRecord(
            file_name=frame.sources['image'],
            width=frame.width,
            height=frame.height,
            cam2img=cam2img.tolist(),
            **write_depth_maps(out, frame, sparse_depth),
        )
        return record, dict(
            pixels=sparse_depth.size,
            sparse_pixels=kept,
            hidden=measured - kept,
            empty=int(not kept),
        )

    def report(self, counts: dict[str, dict[str, int]]) -> dict:
        """Density of each frame, and the share of its measurements that the filter took."""
        return dict(frames={name: _shares(count) for name, count in counts.items()})

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        shares = _shares(summary.counts)
        lines = [
            super().describe(summary),
            f'mean density      sparse_depth {shares["sparse_density"]:.2%} of the pixels',
        ]
        if self.beam_steps is not None:
            lines.append(f'the filter took   {shares["hidden"]:.1%} of the measurements')
        if summary.counts['empty']:
            lines.append(f'without a point   {summary.counts["empty"]} frames: is lidar2cam right?')
        return '\n'.join(lines)


def _by_name(folder: Path, suffixes: Sequence[str]) -> Iterator[tuple[str, Path]]:
    """Path without suffix, relative to the folder, and path of its files, sorted."""
    for path in sorted(folder.rglob('*')):
        if path.suffix.lower() in suffixes and not path.name.startswith('.'):
            yield path.relative_to(folder).with_suffix('').as_posix(), path


def _shares(counts: dict[str, int]) -> dict[str, float]:
    """What the report says of the counts of a frame, or of many."""
    measured = max(counts['sparse_pixels'] + counts['hidden'], 1)
    return dict(
        sparse_density=round(counts['sparse_pixels'] / counts['pixels'], 4),
        hidden=round(counts['hidden'] / measured, 4),
    )


main = PointsToDepthConverter.main
