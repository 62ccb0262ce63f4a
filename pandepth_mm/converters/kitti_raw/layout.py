"""The layout of KITTI's raw drives on disk.

A drive is a folder such as ``2011_09_26/2011_09_26_drive_0009_sync`` with ``image_02/data``,
``image_03/data``, ``velodyne_points/data`` and ``oxts/data``; the three calibrations of the day lie
beside its drives. Its files are numbered, ``0000000005.png``.
"""

import re
from pathlib import Path

import numpy as np

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike

CALIBRATIONS = ('calib_cam_to_cam.txt', 'calib_velo_to_cam.txt', 'calib_imu_to_velo.txt')
IMAGE_SUFFIXES = ('.png', '.jpg', '.jpeg')
_DAY = r'\d{4}_\d\d_\d\d'
_DRIVE = rf'{_DAY}_drive_\w+'


def find_drives(root: PathLike) -> dict[str, Path]:
    """Find the drives.

    Args:
        root: Folder of the days, or of the drives of one day.

    Returns:
        Name of the folder -> its path below ``root``, sorted.

    Raises:
        InputError: No such folder.
    """
    root = Path(root)
    if not root.is_dir():
        raise InputError(root, 'no such folder', 'the root of KITTI raw (DATA_ROOT)')
    places = list(root.iterdir())
    days = [path for path in places if re.fullmatch(_DAY, path.name) and path.is_dir()]
    found = {
        path.name: path.relative_to(root)
        for path in (*(path for day in days for path in day.iterdir()), *places)
        if re.fullmatch(_DRIVE, path.name)
        and path.parent.name == (day_folder(path) if path.parent != root else root.name)
        and path.is_dir()
    }
    return dict(sorted(found.items()))


def day_folder(drive: PathLike) -> str:
    """Name of the day of a drive: ``2011_09_26``."""
    return Path(drive).name[:10]


def list_numbers(folder: Path, suffixes: tuple[str, ...]) -> dict[int, str]:
    """The numbered files of a folder.

    Args:
        folder: It need not exist.
        suffixes: Of the files; where two have one number the earlier suffix counts.

    Returns:
        Number -> file name, ascending.
    """
    found: dict[int, str] = {}
    for path in folder.iterdir() if folder.is_dir() else ():
        suffix = path.suffix.lower()
        if suffix in suffixes and path.stem.isdecimal():
            names = (path.name, found.get(int(path.stem), path.name))
            found[int(path.stem)] = min(
                names, key=lambda name: suffixes.index(Path(name).suffix.lower())
            )
    return dict(sorted(found.items()))


def read_oxts(path: Path) -> list[float]:
    """Read the six numbers of a record that make a pose.

    Returns:
        Latitude, longitude (degrees), altitude (meters), roll, pitch, yaw (radians).

    Raises:
        InputError: Less than six numbers, not finite, or no latitude.
    """
    words = path.read_text(errors='replace').split()
    try:
        numbers = [float(word) for word in words[:6]]
    except ValueError:
        numbers = []
    if len(numbers) < 6 or not np.isfinite(numbers).all() or abs(numbers[0]) >= 90:
        raise InputError(
            path,
            f'{" ".join(words[:6])!r}',
            'latitude, longitude, altitude, roll, pitch, yaw as six numbers, degrees and radians',
        )
    return numbers
