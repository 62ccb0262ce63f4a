"""The layout of KITTI depth completion on disk.

``train`` and ``val`` hold the drives, ``DRIVE/proj_depth/velodyne_raw/image_02/0000000005.png`` and
``groundtruth`` beside it; their images are those of KITTI raw. The two selections bring their
images and intrinsics along::

    val_selection_cropped/image/DRIVE_image_0000000008_image_02.png
    val_selection_cropped/velodyne_raw/DRIVE_velodyne_raw_0000000008_image_02.png
    val_selection_cropped/groundtruth_depth/DRIVE_groundtruth_depth_0000000008_image_02.png
    val_selection_cropped/intrinsics/DRIVE_image_0000000008_image_02.txt
    test_depth_completion_anonymous/{image,velodyne_raw}/0000000000.png
    test_depth_completion_anonymous/intrinsics/0000000000.txt

Each of them may lie in the folder of its archive.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pandepth_mm.converters.kitti_raw.layout import IMAGE_SUFFIXES, day_folder, list_numbers
from pandepth_mm.errors import InputError

DRIVE_SPLITS = ('train', 'val')
SELECTIONS = ('val_selection_cropped', 'test_depth_completion_anonymous')
CAMERAS = (2, 3)
# what may lie between the root and a split
_ARCHIVES = (
    '.',
    'data_depth_velodyne',
    'data_depth_annotated',
    'depth_selection',
    'data_depth_selection',
    'data_depth_selection/depth_selection',
)
_CROPPED = r'(?P<drive>\w+_drive_\w+_sync)_image_(?P<number>\d{10})_image_0(?P<camera>\d)'


class Files(NamedTuple):
    """The files of a frame.

    Attributes:
        name: Of the frame, with slashes.
        drive: Name of the drive; None where the test set hides it.
        camera: 2 or 3; None where the test set hides it.
        number: Of the frame in the drive, or in the test set.
        image: The image, or where it would have to be.
        velodyne: Depth of one scan.
        gt: Depth ground truth; None in the test set.
        calibration: The intrinsics.
    """

    name: str
    drive: str | None
    camera: int | None
    number: int
    image: Path
    velodyne: Path
    gt: Path | None
    calibration: Path

    def missing(self) -> list[Path]:
        """The image and depth files that are not there."""
        return [
            path for path in (self.image, self.velodyne, self.gt) if path and not path.is_file()
        ]


def split_folders(root: Path, split: str) -> list[Path]:
    """The folders of a split: one, or in archives of their own one of each kind of depth."""
    folders = (root / archive / split for archive in _ARCHIVES)
    return [folder for folder in folders if folder.is_dir()]


def list_drives(root: Path, split: str, raw: Path, camera: int) -> Iterator[Files]:
    """The frames of all drives of a split that have a scan or a ground truth.

    Args:
        root: Folder of the data.
        split: One of DRIVE_SPLITS.
        raw: Folder of KITTI raw: of its days, or of its drives.
        camera: Number of the camera.
    """
    folders = split_folders(root, split)
    names = sorted({path.name for folder in folders for path in folder.iterdir() if path.is_dir()})
    for drive in names:
        kinds = [
            _numbered(folders, f'{drive}/proj_depth/{kind}/image_0{camera}', ('.png',))
            for kind in ('velodyne_raw', 'groundtruth')
        ]
        day = day_folder(drive)
        places = [raw / day / drive, raw / drive, *(folder / drive for folder in folders)]
        images = _numbered(places, f'image_0{camera}/data', IMAGE_SUFFIXES)
        days = [raw / day, raw]
        calibration = next(
            (p for p in (d / 'calib_cam_to_cam.txt' for d in days) if p.is_file()),
            days[0] / 'calib_cam_to_cam.txt',
        )
        for number in sorted(set().union(*(files for _, files in kinds))):
            path, velodyne, gt = (
                files.get(number, folder / f'{number:010d}.png')
                for folder, files in (images, *kinds)
            )
            name = f'{split}/{drive}/image_0{camera}/{number:010d}'
            yield Files(name, drive, camera, number, path, velodyne, gt, calibration)


def _numbered(
    bases: list[Path], below: str, suffixes: tuple[str, ...]
) -> tuple[Path, dict[int, Path]]:
    """The first folder ``below`` one of the bases that holds numbered files, and these."""
    for base in bases:
        files = list_numbers(base / below, suffixes)
        if files:
            return base / below, {number: base / below / name for number, name in files.items()}
    return bases[0] / below, {}


def list_selection(root: Path, split: str, camera: int) -> Iterator[Files]:
    """The frames of a selection.

    Args:
        root: Folder of the data.
        split: One of SELECTIONS.
        camera: Number of the camera; the test set, which does not tell it, is listed for 2.

    Raises:
        InputError: A PNG of another name, such as one of the ground truth.
    """
    folder = split_folders(root, split)[0]
    cropped = split == SELECTIONS[0]
    for velodyne in sorted((folder / 'velodyne_raw').glob('*.png')):
        stem = velodyne.stem.replace('_velodyne_raw_', '_image_')
        match = re.fullmatch(_CROPPED if cropped else r'(?P<number>\d+)', stem)
        if match is None:
            expected = 'DRIVE_velodyne_raw_0000000008_image_02.png' if cropped else '0000000000.png'
            raise InputError(velodyne, 'another name', expected)
        if int(match.groupdict().get('camera', 2)) != camera:
            continue
        gt = velodyne.name.replace('_velodyne_raw_', '_groundtruth_depth_')
        yield Files(
            f'{split}/{stem}',
            match['drive'] if cropped else None,
            camera if cropped else None,
            int(match['number']),
            folder / 'image' / f'{stem}.png',
            velodyne,
            folder / 'groundtruth_depth' / gt if cropped else None,
            folder / 'intrinsics' / f'{stem}.txt',
        )
