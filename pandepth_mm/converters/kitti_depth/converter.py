"""Convert KITTI depth completion: its LiDAR input and ground truth with the images of KITTI raw.

    pandepth-convert kitti_depth DATA_ROOT --out OUT --raw RAW_ROOT
    python data_converters/kitti_depth.py DATA_ROOT --out OUT --raw RAW_ROOT

DATA_ROOT holds what the depth archives unpack to:

    {train,val}/DRIVE/proj_depth/{velodyne_raw,groundtruth}/image_02/0000000005.png
    depth_selection/val_selection_cropped/{image,velodyne_raw,groundtruth_depth,intrinsics}
    depth_selection/test_depth_completion_anonymous/{image,velodyne_raw,intrinsics}

and RAW_ROOT the days of KITTI raw, for the images and calibrations of train and val:
2011_09_26/calib_cam_to_cam.txt, 2011_09_26/DRIVE/image_02/data. What is not there is left out.
Nothing is changed or copied; OUT receives

    annotations/panoptic_{train,val,val_selection_cropped,test_depth_completion_anonymous}.json
    report.json       densities of each frame, and the files that are missing
    .kitti_depth/     for a restart; else unused

The annotations lead from OUT to the files by relative paths: convert again, which is quick, when
either moves. Frames whose image is missing are left out, counted and listed. The run can be stopped
and repeated as any other converter's.
"""

import argparse
import dataclasses
import functools
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pandepth_mm.converters import core
from pandepth_mm.converters.core import Converter, DepthPair, Summary
from pandepth_mm.converters.kitti_depth.layout import (
    CAMERAS,
    DRIVE_SPLITS,
    SELECTIONS,
    Files,
    list_drives,
    list_selection,
    split_folders,
)
from pandepth_mm.errors import InputError, require_choice
from pandepth_mm.fileio import KITTI_DEPTH_SCALE, check_depth_file, read_depth_png
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.structures.annotations import FrameRecord
from pandepth_mm.structures.image_files import check_image_file

logger = logging.getLogger(__name__)

SPLITS = DRIVE_SPLITS + SELECTIONS


@dataclasses.dataclass(frozen=True)
class Frame(core.Frame):
    """An image with the depth of its scan and, but for the test set, its ground truth.

    Attributes:
        drive: Name of the drive; None where the test set hides it, as the next.
        camera: 2 or 3.
        number: Of the frame.
        height: Pixels; 0 until the image was looked at.
        width: Pixels; 0 until the image was looked at.
    """

    drive: str | None
    camera: int | None
    number: int
    height: int = 0
    width: int = 0


@dataclasses.dataclass
class KittiDepthConverter(Converter):
    """KITTI depth completion; see the module's text for what is written.

    Attributes:
        root: Folder of the depth archives.
        raw: Folder of KITTI raw; None: ``root``.
        splits: Of ``SPLITS``; these must be there. None: all that are there.
        cameras: 2, the left color camera, and 3, the right one.
    """

    name = 'kitti_depth'
    description = 'KITTI depth completion, for pandepth_mm by data_converters/kitti_depth.py'
    categories = []
    depth_pair = DepthPair(
        'velodyne_raw', 'groundtruth', 'sparse_depth_pixels', 'gt_depth_map_pixels'
    )

    raw: str | Path | None = None
    splits: Sequence[str] | None = None
    cameras: Sequence[int] = (2,)

    def __post_init__(self) -> None:
        super().__post_init__()
        for split in self.splits or ():
            require_choice(split, SPLITS, '--splits')
        for camera in self.cameras:
            require_choice(camera, CAMERAS, '--cameras')

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Add the flags."""
        parser.add_argument('--raw', metavar='RAW_ROOT', help='KITTI raw (default: DATA_ROOT)')
        parser.add_argument(
            '--splits', nargs='+', metavar='NAME', help=f'of {", ".join(SPLITS)}; default: all'
        )
        parser.add_argument(
            '--cameras', nargs='+', type=int, metavar='N', help='2, 3 or both; default: 2'
        )

    def list_frames(self) -> dict[str, list[Frame]]:
        """The frames of each split of which all files are there."""
        if not self.root.is_dir():
            raise InputError(self.root, 'no such folder', 'the root of KITTI depth completion')
        splits, missing, total = {}, [], 0
        for split in SPLITS:
            if self.splits is not None and split not in self.splits:
                continue
            if self.splits is not None and not split_folders(self.root, split):
                raise InputError(self.root, f'no folder {split}', 'it, as --splits names it')
            splits[split] = []
            for files in self._files(split):
                total += 1
                lacking = files.missing()
                missing += lacking
                if not lacking:
                    splits[split].append(self._frame(files))
        if not total:
            raise InputError(
                self.root,
                'no frames',
                '{train,val}/DRIVE/proj_depth/{velodyne_raw,groundtruth}/image_02/*.png, or '
                'depth_selection',
            )
        if not any(splits.values()):
            raise InputError(
                missing[0],
                f'no such file, and of none of {total} frames all files',
                'the images of KITTI raw: --raw RAW_ROOT',
            )
        if missing:
            logger.warning(
                '%d of %d frames left out: %d files are missing, the first is %s; report.json '
                'lists them',
                total - sum(map(len, splits.values())),
                total,
                len(missing),
                missing[0],
            )
        return splits

    def _files(self, split: str) -> Iterator[Files]:
        """The files of all frames of a split, there or not."""
        if not split_folders(self.root, split):
            return
        raw = Path(self.raw or self.root)
        for camera in sorted(set(self.cameras)):
            if split in SELECTIONS:
                yield from list_selection(self.root, split, camera)
            else:
                yield from list_drives(self.root, split, raw, camera)

    def _frame(self, files: Files) -> Frame:
        """The frame of these files; paths relative to the root."""
        kinds = dict(
            image=files.image,
            calibration=files.calibration,
            velodyne_raw=files.velodyne,
            groundtruth=files.gt,
        )
        sources = {kind: _relative(path, self.root) for kind, path in kinds.items() if path}
        return Frame(files.name, sources, files.drive, files.camera, files.number)

    def inspect_frame(self, frame: Frame) -> Frame:
        """Check headers and sizes."""
        path = self.root / frame.sources['image']
        with open(path, 'rb') as file:
            height, width = check_image_file(file, path)
        for kind in ('velodyne_raw', 'groundtruth'):
            if kind in frame.sources:
                check_depth_file(self.root / frame.sources[kind], (height, width))
        return dataclasses.replace(frame, height=height, width=width)

    def convert_frame(self, frame: Frame, out: Path) -> tuple[FrameRecord, dict[str, int]]:
        """Decode the depth of a frame, and count its pixels."""
        calibration = read_calibration(self.root / frame.sources['calibration'], frame.camera)
        depths, counts = {}, dict(pixels=frame.height * frame.width)
        to_root = Path(_relative(self.root, out))
        for kind, source in (('sparse_depth', 'velodyne_raw'), ('gt_depth_map', 'groundtruth')):
            if source not in frame.sources:
                continue
            file = frame.sources[source]
            depth = read_depth_png(self.root / file, KITTI_DEPTH_SCALE)
            depths[f'{kind}_file'] = (to_root / file).as_posix()
            depths[f'{kind}_scale'] = KITTI_DEPTH_SCALE
            counts[f'{kind}_pixels'] = int(np.count_nonzero(depth))
        record = FrameRecord(
            file_name=frame.sources['image'],
            width=frame.width,
            height=frame.height,
            cam2img=calibration.cam2img.tolist(),
            scene=frame.drive,
            camera=frame.camera,
            frame=frame.number,
            **depths,
        )
        return record, counts

    def report(self, counts: dict[str, dict[str, int]]) -> dict:
        """Densities of each frame, and the files that are missing, relative to the root."""
        missing = [
            _relative(path, self.root)
            for split in self.splits or SPLITS
            for files in self._files(split)
            for path in files.missing()
        ]
        frames = {
            name: {
                key.replace('pixels', 'density'): round(count[key] / count['pixels'], 4)
                for key in count
                if key != 'pixels'
            }
            for name, count in counts.items()
        }
        return dict(missing=missing, frames=frames)

    def describe(self, summary: Summary) -> str:
        """What to print after a run."""
        counts = summary.counts
        densities = ', '.join(
            f'{kind} {counts[f"{kind}_pixels"] / counts["pixels"]:.2%}'
            for kind in ('sparse_depth', 'gt_depth_map')
        )
        return f'{super().describe(summary)}\nmean density      {densities} of the pixels'


_real_path = functools.lru_cache(1024)(os.path.realpath)  # of folders, each with many files


def _relative(path: Path, start: Path) -> str:
    """Path relative to a folder, with slashes, that also holds where the folder is a link."""
    parent = os.path.relpath(_real_path(path.parent), _real_path(start))
    return (Path(parent) / path.name).as_posix()


main = KittiDepthConverter.main
