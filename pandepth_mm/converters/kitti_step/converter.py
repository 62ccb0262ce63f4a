"""Convert KITTI-STEP to the annotations that pandepth_mm reads.

    pandepth-convert kitti_step DATA_ROOT --out OUT [--workers N]
    python data_converters/kitti_step.py DATA_ROOT --out OUT [--workers N]

DATA_ROOT holds KITTI's tracking set as its archives unpack, and KITTI-STEP's panoptic maps

    panoptic_maps/{train,val}/0002/000000.png     R = class, 256 G + B = instance
    training/image_02/0002/000000.png             or images/{train,val}/0002/000000.png
    training/velodyne/0002/000000.bin
    training/calib/0002.txt
    training/oxts/0002.txt                        optional: scans around a frame count too
    training/image_03/0002/000000.png             optional: stereo confirms the ground truth

Nothing in it is changed or copied. OUT receives ``annotations``, ``panoptic``, ``sparse_depth``
(the scan of the frame) and ``gt_depth_map`` (that scan and those around it, without what the camera
cannot see and what moved).

The classes are the 19 of Cityscapes, of which only person and car have instances; the others are
stuff. Persons and cars of the instance 0 are a crowd. The run can be stopped at any time; the same
command goes on where it stopped. Not verified on the genuine files: the layout is that of the data
sets' documentation.
"""

import argparse
import dataclasses
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
from pandepth_mm.converters.kitti_step.layout import (
    find_frames,
    read_imu2velo,
    read_oxts,
    scan_file,
)
from pandepth_mm.errors import InputError, require_count
from pandepth_mm.geometry.calibration import Calibration, check_image_size
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.point_files import check_points_file, read_points
from pandepth_mm.geometry.poses import oxts_poses
from pandepth_mm.structures.annotations import FrameRecord, coco_categories
from pandepth_mm.structures.cityscapes_meta import CLASS_COLORS, CLASSES

THING_CLASSES = ('person', 'car')  # those with instances
STUFF_CLASSES = tuple(name for name in CLASSES if name not in THING_CLASSES)
_NAMES = (*THING_CLASSES, *STUFF_CLASSES)
_NUM_THINGS = len(THING_CLASSES)
_SKY = _NAMES.index('sky') + 1  # category id
# without instances of their own, but they move all the same
_MOVING = (*THING_CLASSES, 'rider', 'truck', 'bus', 'train', 'motorcycle', 'bicycle')
_MOVING_IDS = [_NAMES.index(name) + 1 for name in _MOVING]
_COLUMNS = 4  # of a scan: x, y, z, reflectance


@dataclasses.dataclass
class KITTIStepConverter(Converter):
    """KITTI-STEP; see the module's text for what is read and written.

    Attributes:
        root: Folder of the tracking set and of the panoptic maps.
        neighbors: Scans before and after that of the frame, for the ground truth, where there are
            oxts.
        max_depth: Meters; what is farther is no measurement.
    """

    name = 'kitti_step'
    description = 'KITTI-STEP, converted for pandepth_mm by data_converters/kitti_step.py'
    categories = coco_categories(
        THING_CLASSES, STUFF_CLASSES, [CLASS_COLORS[name] for name in _NAMES]
    )
    options = ('neighbors', 'max_depth')
    needed = LIDAR_COUNTS

    neighbors: int = 4
    max_depth: float = 80.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count(self.neighbors, '--neighbors', least=0)
        check_max_depth(self.max_depth)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        add_neighbors_argument(parser, ', where there are oxts')
        add_max_depth_argument(parser)

    def list_frames(self) -> dict[str, list[LabeledFrame]]:
        """The labeled frames of each split, by sequence and number."""
        return find_frames(self.root, self.neighbors)

    def inspect_frame(self, frame: LabeledFrame) -> LabeledFrame:
        """Read the headers of a frame."""
        paths = {kind: self.root / file for kind, file in frame.sources.items()}
        shape = check_image_pair(paths)
        calibration = self._calibration(frame)
        check_image_size(calibration, shape[1], shape[0], str(paths['calibration']))
        check_id_image(paths['panoptic'], shape, 'a panoptic map', gray=False, rgb=True)
        check_points_file(paths['scan'], _COLUMNS)
        if frame.neighbors:
            read_imu2velo(paths['calibration'])
        return dataclasses.replace(frame, height=shape[0], width=shape[1])

    def _calibration(self, frame: LabeledFrame, camera: int = 2) -> Calibration:
        """A calibration with the place of the LiDAR."""
        path = self.root / frame.sources['calibration']
        calibration = read_calibration(path, camera)
        if calibration.lidar2cam is None:
            raise InputError(path, 'no place of the LiDAR', 'lines R_rect and Tr_velo_cam')
        return calibration

    def convert_frame(self, frame: LabeledFrame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame; the counts are of pixels and things, and of :func:`labeled_depth`."""
        paths = {kind: self.root / file for kind, file in frame.sources.items()}
        check_decodes(paths['image'])
        values = read_id_image(paths['panoptic'])
        _require_rgb(values, paths['panoptic'])
        category = _category_table()[values & 255]
        if not category.any():
            raise InputError(paths['panoptic'], 'no pixel of a class', 'classes 0 to 18 in red')
        instance = (values >> 8 & 255) * 256 + (values >> 16)
        ids, segments, things = tracked_segments(category, instance, _NUM_THINGS, paths['panoptic'])

        calibration, stereo = self._calibration(frame), None
        if 'second image' in paths:
            pair, source = (calibration, self._calibration(frame, 3)), paths['calibration']
            stereo = stereo_of_pair(paths['image'], paths['second image'], pair, source)
        sparse_depth, gt_depth_map, counts = labeled_depth(
            self._scans(frame, calibration),
            calibration.cam2img,
            np.isin(category, _MOVING_IDS),
            category == _SKY,
            self.max_depth,
            stereo,
        )
        record = FrameRecord(
            file_name=frame.sources['image'],
            width=frame.width,
            height=frame.height,
            cam2img=calibration.cam2img.tolist(),
            scene=frame.sequence,
            camera=2,
            frame=frame.number,
            **write_maps(out, frame, ids, segments, sparse_depth, gt_depth_map),
        )
        return record, dict(
            counts,
            things=things,
            without_things=int(not things),
            crowd_pixels=sum(s['area'] for s in segments if s['iscrowd']),
            pixels=ids.size,
            void_pixels=int((ids == 0).sum()),
        )

    def _scans(
        self, frame: LabeledFrame, calibration: Calibration
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """The scans, the frame's first, each with the transform to the frame's camera."""
        numbers = [frame.number, *frame.neighbors]
        points = [
            read_points(self.root / scan_file(frame.sequence, number), _COLUMNS)
            for number in numbers
        ]
        if not frame.neighbors:
            return [(points[0], calibration.lidar2cam)]
        imu2velo = read_imu2velo(self.root / frame.sources['calibration'])
        # the frame's record first: the poses are exact at its latitude
        poses = oxts_poses(read_oxts(self.root / frame.sources['oxts'])[numbers])
        world2cam = calibration.lidar2cam @ imu2velo @ np.linalg.inv(poses[0])
        velo2imu = np.linalg.inv(imu2velo)
        return [(p, world2cam @ pose @ velo2imu) for p, pose in zip(points, poses, strict=True)]

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        counts = summary.counts
        pixels = max(counts['pixels'], 1)
        return '\n'.join(
            [
                super().describe(summary),
                f'things            {counts["things"]} (no thing in {counts["without_things"]} '
                'frames)',
                f'crowds            {counts["crowd_pixels"] / pixels:.2%} of the pixels',
                f'void              {counts["void_pixels"] / pixels:.2%} of the pixels',
                *describe_depth(counts),
            ]
        )


def _category_table() -> np.ndarray:
    """Train id, 0 to 255 -> category id, int32 (256,); 0 = void."""
    table = np.zeros(256, np.int32)
    for train_id, name in enumerate(CLASSES):
        table[train_id] = _NAMES.index(name) + 1
    return table


def _require_rgb(values: np.ndarray, path: Path) -> None:
    """Refuse a panoptic map with its channels in the order B, G, R.

    Only persons and cars have instances. In the wrong order a stuff pixel is read as road, class 0,
    with its class as the instance; read in the order B, G, R, no stuff has one. Of a map without
    stuff but road the orders cannot be told apart.

    Args:
        values: int (H, W), R + 256 G + 65536 B.
        path: Of the map, for the message.

    Raises:
        InputError: Ten times as many stuff pixels have an instance as in the order B, G, R.
    """
    stray = _stray_instances(values & 255, values >> 8)
    if stray > 10 * _stray_instances(values >> 16, values & 0xFFFF):
        raise InputError(
            path,
            f'instances of stuff at {stray:.2%} of the pixels, which the order B, G, R would not '
            'have',
            'the channels in the order R = class, G and B = instance',
        )


def _stray_instances(train_ids: np.ndarray, instances: np.ndarray) -> float:
    """Share of the pixels that are stuff and have an instance."""
    stuff = _category_table()[train_ids] > _NUM_THINGS
    return float((stuff & (instances > 0)).mean())


main = KITTIStepConverter.main
