"""Convert KITTI-360 to the annotations that pandepth_mm reads.

    pandepth-convert kitti360 DATA_ROOT --out OUT [--workers N]
    python data_converters/kitti360.py DATA_ROOT --out OUT [--workers N]

DATA_ROOT holds, as the data set's archives unpack, of each sequence that should be converted

    calibration/{perspective,calib_cam_to_velo,calib_cam_to_pose}.txt
    data_2d_raw/SEQUENCE/image_00/data_rect/0000000250.png     image_01 too, if you have it
    data_2d_semantics/train/2013_05_28_drive_{train,val}_frames.txt
    data_2d_semantics/train/SEQUENCE/image_00/{semantic,instance}/0000000250.png
    data_3d_raw/SEQUENCE/velodyne_points/data/0000000250.bin
    data_poses/SEQUENCE/cam0_to_world.txt           (or poses.txt)

Nothing in it is changed or copied. OUT receives ``annotations``, ``panoptic``, ``sparse_depth``
(the scan of the frame) and ``gt_depth_map`` (that scan and those around it, brought together by the
poses). On things, which may move, other scans do not count, and in the sky none; what the camera
cannot see and what moved is removed, with image_01 by stereo too.

The classes are the 19 of Cityscapes. Pixels of things without an instance number are a crowd. The
run can be stopped at any time; the same command goes on where it stopped. Not verified on the
genuine files: the layout is that of the data set's documentation.
"""

import argparse
import dataclasses
import functools
import logging
import os
from pathlib import Path

import numpy as np

from pandepth_mm.converters.core import (
    Converter,
    Summary,
    add_max_depth_argument,
    check_max_depth,
    write_maps,
)
from pandepth_mm.converters.core.ground_truth import LIDAR_COUNTS, add_neighbors_argument
from pandepth_mm.converters.core.id_images import (
    check_decodes,
    check_id_image,
    read_id_image,
    tracked_segments,
)
from pandepth_mm.converters.core.labeled_depth import (
    LabeledFrame,
    check_image_pair,
    describe_depth,
    labeled_depth,
    stereo_of_pair,
)
from pandepth_mm.converters.kitti360.labels import CATEGORIES, SKY, category_table, instance_numbers
from pandepth_mm.converters.kitti360.layout import CALIBRATION, LIST, find_frames, scan_file
from pandepth_mm.converters.kitti360.poses import read_lidar_poses
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.geometry.calibration import Calibration, check_image_size
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.point_files import check_points_file, read_points
from pandepth_mm.structures.annotations import FrameRecord
from pandepth_mm.structures.cityscapes_meta import THING_CLASSES

logger = logging.getLogger(__name__)

SPLITS = ('train', 'val')
_NUM_THINGS = len(THING_CLASSES)
_COLUMNS = 4  # of a scan: x, y, z, reflectance


@dataclasses.dataclass
class KITTI360Converter(Converter):
    """KITTI-360; see the module's text for what is read and written.

    Attributes:
        root: Folder of KITTI-360.
        train_frames: The list of the split, a line "IMAGE SEMANTIC" per frame, relative to
            ``root``; None: the data set's own, if it is there.
        val_frames: The same.
        neighbors: Scans before and after that of the frame, for the ground truth.
        max_depth: Meters; what is farther is no measurement.
    """

    name = 'kitti360'
    description = 'KITTI-360, converted for pandepth_mm by data_converters/kitti360.py'
    categories = CATEGORIES
    options = ('neighbors', 'max_depth')
    needed = LIDAR_COUNTS

    train_frames: str | None = None
    val_frames: str | None = None
    neighbors: int = 4
    max_depth: float = 80.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count(self.neighbors, '--neighbors', least=0)
        check_max_depth(self.max_depth)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        for split in SPLITS:
            parser.add_argument(
                f'--{split}-frames',
                metavar='FILE',
                help=f'list of the split below DATA_ROOT (default: {LIST.format(split)})',
            )
        add_neighbors_argument(parser)
        add_max_depth_argument(parser)

    def list_frames(self) -> dict[str, list[LabeledFrame]]:
        """The frames of the lists, as far as their sequences are there."""
        if not self.root.is_dir():
            raise InputError(self.root, 'no such folder', 'the folder of KITTI-360 (DATA_ROOT)')
        lists = {}
        for split in SPLITS:
            given = getattr(self, f'{split}_frames')
            path = self.root / (given or LIST.format(split))
            if given or path.is_file():
                lists[split] = path
            else:
                logger.warning('no %s, so no %s', path, split)
        if not lists:
            raise InputError(self.root, 'no list of frames', LIST.format('train'))
        return find_frames(self.root, lists, self.neighbors, self._calibration())

    def _calibration(self, camera: int = 0) -> Calibration:
        return read_calibration(self.root / CALIBRATION, camera)

    def inspect_frame(self, frame: LabeledFrame) -> LabeledFrame:
        """Read the headers of a frame."""
        paths = {kind: self.root / file for kind, file in frame.sources.items()}
        shape = check_image_pair(paths)
        check_image_size(self._calibration(), shape[1], shape[0], str(paths['cameras']))
        check_id_image(paths['semantic'], shape, 'an image of class ids')
        check_id_image(paths['instance'], shape, 'an image of instances')
        check_points_file(paths['scan'], _COLUMNS)
        return dataclasses.replace(frame, height=shape[0], width=shape[1])

    def convert_frame(self, frame: LabeledFrame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame; the counts are of pixels and things, and of :func:`labeled_depth`."""
        paths = {kind: self.root / file for kind, file in frame.sources.items()}
        check_decodes(paths['image'])
        semantic = read_id_image(paths['semantic'])
        instance, odd = instance_numbers(semantic, read_id_image(paths['instance']))
        category = category_table()[np.minimum(semantic, 255)]
        if not category.any():
            raise InputError(paths['semantic'], 'no pixel of a class', 'class ids of KITTI-360')
        ids, segments, things = tracked_segments(category, instance, _NUM_THINGS, paths['instance'])

        calibration, stereo = self._calibration(), None
        if 'second image' in paths:
            pair = calibration, self._calibration(1)
            stereo = stereo_of_pair(paths['image'], paths['second image'], pair, paths['cameras'])
        sparse_depth, gt_depth_map, counts = labeled_depth(
            self._scans(frame, calibration),
            calibration.cam2img,
            (category > 0) & (category <= _NUM_THINGS),
            category == SKY,
            self.max_depth,
            stereo,
        )
        record = FrameRecord(
            file_name=frame.sources['image'],
            width=frame.width,
            height=frame.height,
            cam2img=calibration.cam2img.tolist(),
            scene=frame.sequence,
            camera=0,
            frame=frame.number,
            **write_maps(out, frame, ids, segments, sparse_depth, gt_depth_map),
        )
        return record, dict(
            counts,
            things=things,
            without_things=int(not things),
            pixels=ids.size,
            void_pixels=int((ids == 0).sum()),
            odd_pixels=odd,
        )

    def _scans(
        self, frame: LabeledFrame, calibration: Calibration
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """The scans, the frame's first, each with the transform to the frame's camera."""
        path, lidar2cam = self.root / frame.sources['poses'], calibration.lidar2cam
        stat = os.stat(path)
        poses = _lidar_poses(
            path, self.root / CALIBRATION, lidar2cam.tobytes(), stat.st_size, stat.st_mtime_ns
        )
        world2cam = lidar2cam @ np.linalg.inv(poses[frame.number])
        return [
            (
                read_points(self.root / scan_file(frame.sequence, number), _COLUMNS),
                world2cam @ poses[number],
            )
            for number in (frame.number, *frame.neighbors)
        ]

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        counts = summary.counts
        void = counts['void_pixels'] / max(counts['pixels'], 1)
        lines = [
            super().describe(summary),
            f'things            {counts["things"]} (no thing in {counts["without_things"]} frames)',
            f'void              {void:.2%} of the pixels',
            *describe_depth(counts),
        ]
        if counts['odd_pixels']:
            lines.append(
                f'odd instances     {counts["odd_pixels"]} pixels have one of another class; they '
                'count as a crowd'
            )
        return '\n'.join(lines)


@functools.lru_cache(maxsize=2)
def _lidar_poses(
    path: Path, calibration: Path, lidar2cam: bytes, size: int, time: int
) -> dict[int, np.ndarray]:
    """Poses of a sequence, read once per process; size and time of the file tell it from others."""
    return read_lidar_poses(path, calibration, np.frombuffer(lidar2cam).reshape(4, 4))


main = KITTI360Converter.main
