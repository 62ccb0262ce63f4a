"""Convert KITTI's raw drives: LiDAR input, and depth ground truth from neighboring scans.

    pandepth-convert kitti_raw DATA_ROOT --out OUT [--train DRIVE ...] [--val ...] [--test ...]
    python data_converters/kitti_raw.py DATA_ROOT --out OUT ...

DATA_ROOT holds the days as they unpack, 2011_09_26/calib_*.txt and
2011_09_26/2011_09_26_drive_0009_sync/{image_02,image_03,velodyne_points,oxts}/data; images may be
PNG or JPEG. Nothing in it is changed or copied; OUT receives

    annotations/panoptic_{train,val,test}.json   images and depth, no panoptic ground truth
    sparse_depth/DAY/DRIVE/image_02/...png       one scan; 16 bit, 1/256 m, 0 = none
    gt_depth_map/DAY/DRIVE/image_02/...png       several scans, filtered
    report.json                                  densities and what the filter took, per frame
    .kitti_raw/                                  for a restart; else unused

The ground truth of a frame is made of its scan and of the --neighbors before and after it, brought
together by the poses of oxts; in each pixel the nearest measurement stays. What nearer ones around
it cover is dropped, and so is what the frame's own scan looked through, since it moved. Where the
second camera is there, only what stereo matching confirms stays.

A DRIVE is the name of its folder, of which :FIRST-LAST chooses frames by number:
--train 2011_09_26_drive_0009_sync:0-29 --test 2011_09_26_drive_0009_sync:36-50. Without these flags
all drives go into train. The run can be stopped and repeated as any other converter's.
"""

import argparse
import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from pandepth_mm.converters import core
from pandepth_mm.converters.core import (
    Converter,
    Summary,
    add_max_depth_argument,
    check_max_depth,
    write_depth_maps,
)
from pandepth_mm.converters.core.ground_truth import (
    LIDAR_COUNTS,
    STEREO_TOLERANCE,
    accumulate_scans,
    add_neighbors_argument,
    filter_depth,
    stereo_depth,
)
from pandepth_mm.converters.kitti_raw.layout import (
    CALIBRATIONS,
    IMAGE_SUFFIXES,
    day_folder,
    find_drives,
    list_numbers,
    read_oxts,
)
from pandepth_mm.errors import (
    InputError,
    require_choice,
    require_count,
    require_file,
    require_fraction,
    require_size,
)
from pandepth_mm.geometry.calibration import Calibration
from pandepth_mm.geometry.calibration_files import read_calibration, read_transform
from pandepth_mm.geometry.point_files import check_points_file, read_points
from pandepth_mm.geometry.poses import oxts_poses
from pandepth_mm.structures.annotations import FrameRecord
from pandepth_mm.structures.image_files import check_image_file

logger = logging.getLogger(__name__)

SPLITS = ('train', 'val', 'test')
_SECOND = {2: 3, 3: 2}  # the other color camera
_COLUMNS = 4  # of a scan
_MAX_STEP = 100.0  # meters per frame, more than a car drives in a second
_MANY_UNCONFIRMED = 0.6  # of what was accumulated; on a genuine drive it is 0.26 to 0.39 a frame
_FILTERS = ('seen_through', 'hidden', 'unconfirmed')  # counts of filter_depth


@dataclasses.dataclass(frozen=True)
class Frame(core.Frame):
    """An image of a drive, and the scans that its ground truth is made of.

    Attributes:
        drive: Name of the folder.
        number: Of the frame.
        scans: Their numbers relative to the frame's, ascending, 0 among them.
        height: Pixels; 0 until the image was looked at.
        width: Pixels; 0 until the image was looked at.
    """

    drive: str
    number: int
    scans: tuple[int, ...]
    height: int = 0
    width: int = 0


@dataclasses.dataclass
class KittiRawConverter(Converter):
    """KITTI's raw drives; see the module's text for what is written.

    Attributes:
        root: Folder of the days, or of the drives of one day.
        train: Drives, ``NAME`` or ``NAME:FIRST-LAST``; None in all three splits: all drives are in
            train.
        val: The same.
        test: The same.
        camera: 2, the left color camera, or 3, the right one.
        neighbors: Scans before and after that of the frame, for the ground truth; 0 needs no oxts.
        max_depth: Meters; what is farther is no measurement.
        stereo_tolerance: Share of the depth by which a measurement may differ from stereo.
    """

    name = 'kitti_raw'
    description = 'KITTI raw, converted for pandepth_mm by data_converters/kitti_raw.py'
    categories = []
    options = ('camera', 'neighbors', 'max_depth', 'stereo_tolerance')
    needed = LIDAR_COUNTS

    train: Sequence[str] | None = None
    val: Sequence[str] | None = None
    test: Sequence[str] | None = None
    camera: int = 2
    neighbors: int = 4
    max_depth: float = 80.0
    stereo_tolerance: float = STEREO_TOLERANCE

    def __post_init__(self) -> None:
        super().__post_init__()
        require_choice(self.camera, _SECOND, '--camera')
        require_count(self.neighbors, '--neighbors', least=0)
        require_fraction(self.stereo_tolerance, '--stereo-tolerance')
        check_max_depth(self.max_depth)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        for split in SPLITS:
            parser.add_argument(
                f'--{split}',
                nargs='+',
                metavar='DRIVE[:FIRST-LAST]',
                help=f'drives, or frames of them, in the split {split}',
            )
        parser.add_argument(
            '--camera', type=int, help='2, the left color camera, or 3, the right (%(default)s)'
        )
        add_neighbors_argument(parser)
        add_max_depth_argument(parser)
        parser.add_argument(
            '--stereo-tolerance',
            type=float,
            help='share of the depth by which stereo may differ from what it confirms '
            '(%(default)s)',
        )

    def list_frames(self) -> dict[str, list[Frame]]:
        """The frames of each split that have a scan, by drive and number."""
        drives = find_drives(self.root)
        if not drives:
            raise InputError(
                self.root, 'no drive', 'DAY/DRIVE, such as 2011_09_26/2011_09_26_drive_0009_sync'
            )
        given = {split: getattr(self, split) for split in SPLITS}
        if all(names is None for names in given.values()):
            given['train'] = list(drives)
        splits = {}
        for split, names in given.items():
            splits[split] = []
            for text in names or ():
                name, first, last = _parse_range(text, f'--{split}')
                if name not in drives:
                    raise InputError(f'--{split}', name, f'one of {list(drives)}')
                chosen = [f for f in self._frames(drives[name]) if first <= f.number <= last]
                if not chosen:
                    raise InputError(f'--{split}', f'{text}, no frame', 'frames with a scan')
                splits[split] += chosen
        return splits

    def _frames(self, drive: Path) -> list[Frame]:
        """The frames of a drive that have a scan."""
        folder = self.root / drive
        for name in CALIBRATIONS:
            require_file(folder.parent / name, f'the calibration of {day_folder(drive)}')
        kinds = {
            f'image_0{self.camera}': IMAGE_SUFFIXES,
            f'image_0{_SECOND[self.camera]}': IMAGE_SUFFIXES,
            'velodyne_points': ('.bin',),
            'oxts': ('.txt',),
        }
        images, seconds, scans, oxts = (
            {n: (drive / kind / 'data' / file).as_posix() for n, file in files.items()}
            for kind, files in ((k, list_numbers(folder / k / 'data', s)) for k, s in kinds.items())
        )
        for kind, files in zip(kinds, (images, None, scans), strict=False):
            if files == {}:
                expected = ' or '.join(f'0000000000{suffix}' for suffix in kinds[kind])
                raise InputError(folder / kind / 'data', 'no files of the kind', expected)
        if self.neighbors and not oxts:
            raise InputError(
                folder / 'oxts' / 'data',
                'no files',
                'the poses of the drive; --neighbors 0 does without, and --train, --val and --test '
                'choose drives',
            )
        missing = [number for number in images if number not in scans]
        if missing:
            logger.warning('%s: %d images without a scan, left out', drive.name, len(missing))
        frames = []
        for number in (number for number in images if number in scans):
            near = range(-self.neighbors, self.neighbors + 1)
            offsets = tuple(m for m in near if number + m in scans)
            sources = dict(image=images[number])
            if number in seconds:
                sources['second image'] = seconds[number]
            sources |= {f'scan {m:+d}': scans[number + m] for m in offsets}
            if self.neighbors:
                data = drive / 'oxts' / 'data'
                sources |= {
                    f'oxts {m:+d}': oxts.get(number + m, f'{data.as_posix()}/{number + m:010d}.txt')
                    for m in offsets
                }
            sources |= {name: (drive.parent / name).as_posix() for name in CALIBRATIONS}
            name = f'{day_folder(drive)}/{drive.name}/image_0{self.camera}/{number:010d}'
            frames.append(Frame(name, sources, drive.name, number, offsets))
        return frames

    def inspect_frame(self, frame: Frame) -> Frame:
        """Check headers and sizes of the image, the second one and the scan."""
        size = None
        for kind in ('image', 'second image'):
            path = self.root / frame.sources.get(kind, frame.sources['image'])
            require_file(path, f'the {kind} of frame {frame.name}')
            with open(path, 'rb') as file:
                found = check_image_file(file, path)
            if size is not None:
                require_size(found, size, path, 'the image')
            size = found
        check_points_file(self.root / frame.sources['scan +0'], _COLUMNS)
        return dataclasses.replace(frame, height=size[0], width=size[1])

    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Convert one frame; the counts are of pixels, and those of :func:`filter_depth`."""
        calibration = self.load_calibration(frame, self.camera)
        size = (frame.height, frame.width)
        scans = self.load_scans(frame, calibration.lidar2cam)
        own = scans[frame.scans.index(0)]
        cam2img = calibration.cam2img
        sparse_depth = accumulate_scans([own], cam2img, size, self.max_depth)
        accumulated = accumulate_scans(scans, cam2img, size, self.max_depth)
        stereo = self.load_stereo(frame, calibration)
        gt_depth_map, counts = filter_depth(
            accumulated, sparse_depth, cam2img, stereo, self.stereo_tolerance
        )
        record = FrameRecord(
            file_name=frame.sources['image'],
            width=frame.width,
            height=frame.height,
            cam2img=cam2img.tolist(),
            scene=frame.drive,
            camera=self.camera,
            frame=frame.number,
            **write_depth_maps(out, frame, sparse_depth, gt_depth_map),
        )
        return record, dict(
            pixels=sparse_depth.size,
            sparse_pixels=int(np.count_nonzero(sparse_depth)),
            accumulated_pixels=int(np.count_nonzero(accumulated)),
            gt_pixels=int(np.count_nonzero(gt_depth_map)),
            scans=len(scans),
            stereo=int(stereo is not None),
            **counts,
        )

    def load_calibration(self, frame: Frame, camera: int) -> Calibration:
        """The calibration of the day, checked against the size of the image."""
        path = self.root / frame.sources[CALIBRATIONS[0]]
        calibration = read_calibration(path, camera)
        if calibration.image_size:
            width, height = calibration.image_size
            image = self.root / frame.sources['image']
            require_size((frame.height, frame.width), (height, width), image, f'S_rect of {path}')
        return calibration

    def load_scans(
        self, frame: Frame, lidar2cam: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """The scans of a frame, each with the transform to the frame's camera."""
        points = [
            read_points(self.root / frame.sources[f'scan {m:+d}'], _COLUMNS) for m in frame.scans
        ]
        if not self.neighbors:
            return [(points[0], lidar2cam)]
        imu2velo = read_transform(self.root / frame.sources[CALIBRATIONS[2]])
        # the frame's record first: the poses are exact at its latitude
        order = sorted(frame.scans, key=abs)
        oxts = [read_oxts(self.root / frame.sources[f'oxts {m:+d}']) for m in order]
        poses = dict(zip(order, oxts_poses(np.array(oxts)), strict=True))
        for m in frame.scans:
            distance = np.linalg.norm(poses[m][:3, 3] - poses[0][:3, 3])
            if distance > _MAX_STEP * abs(m):
                raise InputError(
                    self.root / frame.sources[f'oxts {m:+d}'],
                    f'a place {distance:.0f} m from that of frame {frame.number}',
                    'the records of one drive',
                )
        world2cam = lidar2cam @ imu2velo @ np.linalg.inv(poses[0])
        velo2imu = np.linalg.inv(imu2velo)
        transforms = [world2cam @ poses[m] @ velo2imu for m in frame.scans]
        return list(zip(points, transforms, strict=True))

    def load_stereo(self, frame: Frame, calibration: Calibration) -> np.ndarray | None:
        """Depth from both cameras, where the second is there."""
        if 'second image' not in frame.sources:
            return None
        second = self.load_calibration(frame, _SECOND[self.camera])
        if not np.allclose(second.cam2img, calibration.cam2img, atol=0.01):
            raise InputError(
                self.root / frame.sources[CALIBRATIONS[0]],
                f'P_rect_02 and P_rect_03 of different intrinsics, {second.cam2img.tolist()} and '
                f'{calibration.cam2img.tolist()}',
                'a rectified pair',
            )
        baseline = calibration.lidar2cam[0, 3] - second.lidar2cam[0, 3]
        images = []
        for kind in ('image', 'second image'):
            path = self.root / frame.sources[kind]
            image = cv2.imread(str(path))
            if image is None:
                raise InputError(path, 'a file that cannot be decoded', 'an image')
            images.append(image)
        return stereo_depth(*images, calibration.cam2img[0, 0], baseline)

    def report(self, counts: dict[str, dict[str, int]]) -> dict:
        """Densities, and the share of the accumulated pixels that the filter took."""
        return dict(frames={name: _shares(count) for name, count in counts.items()})

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        counts = summary.counts
        shares = _shares(counts)
        frames = sum(summary.frames.values())
        lines = [
            super().describe(summary),
            f'  with stereo     {counts["stereo"]} of {frames}',
            f'mean density      sparse_depth {shares["sparse_density"]:.2%}, gt_depth_map '
            f'{shares["gt_density"]:.2%} of the pixels',
            f'the filter took   {shares["filtered"]:.1%} of the accumulated pixels: seen '
            f'through {shares["seen_through"]:.1%}, hidden {shares["hidden"]:.1%}, not '
            f'confirmed by stereo {shares["unconfirmed"]:.1%}',
        ]
        if shares['unconfirmed'] > _MANY_UNCONFIRMED:
            files = ', '.join(CALIBRATIONS)
            lines.append(
                f'note              scans and stereo disagree: are {files} and oxts of this day?'
            )
        return '\n'.join(lines)


def _shares(counts: dict[str, int]) -> dict[str, float]:
    """What the report says of the counts of a frame, or of many."""
    accumulated = max(counts['accumulated_pixels'], 1)
    shares = dict(
        sparse_density=counts['sparse_pixels'] / counts['pixels'],
        accumulated_density=counts['accumulated_pixels'] / counts['pixels'],
        gt_density=counts['gt_pixels'] / counts['pixels'],
        filtered=1 - counts['gt_pixels'] / accumulated,
        **{key: counts.get(key, 0) / accumulated for key in _FILTERS},
    )
    return {**{key: round(share, 4) for key, share in shares.items()}, 'scans': counts['scans']}


def _parse_range(text: str, flag: str) -> tuple[str, int, float]:
    """Drive, first and last frame of ``DRIVE[:FIRST-LAST]``."""
    name, colon, numbers = text.partition(':')
    first, dash, last = numbers.partition('-')
    if not colon:
        return name, 0, np.inf
    if not (first.isdecimal() and dash and last.isdecimal() and int(first) <= int(last)):
        raise InputError(flag, text, 'DRIVE, or DRIVE:FIRST-LAST with frame numbers')
    return name, int(first), int(last)


main = KittiRawConverter.main
