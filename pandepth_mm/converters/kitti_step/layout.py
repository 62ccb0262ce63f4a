"""Find the labeled frames of KITTI-STEP on disk."""

import logging
from pathlib import Path

import numpy as np

from pandepth_mm.converters.core.labeled_depth import LabeledFrame
from pandepth_mm.errors import InputError, require_file
from pandepth_mm.geometry.calibration import make_calibration

logger = logging.getLogger(__name__)

SPLITS = ('train', 'val')
_MAPS = ('panoptic_maps', 'kitti-step/panoptic_maps')
# of the tracking set as it unpacks, and as DeepLab2 wants it
_IMAGES = ('training/image_02/{sequence}', 'images/{split}/{sequence}')
_OXTS_COLUMNS = 30


def scan_file(sequence: str, number: int) -> str:
    """Path of a scan below the data root."""
    return f'training/velodyne/{sequence}/{number:06d}.bin'


def read_oxts(path: Path) -> np.ndarray:
    """Read the records of a sequence.

    Returns:
        float64 (N, 30), one record per frame.

    Raises:
        InputError: Missing, or a line that is no record.
    """
    require_file(path, 'the records of the inertial unit')
    records = []
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), start=1):
        try:
            records.append([float(word) for word in line.split()])
        except ValueError:
            records.append([])
        if len(records[-1]) != _OXTS_COLUMNS or not np.isfinite(records[-1]).all():
            expected = f'{_OXTS_COLUMNS} numbers: latitude, longitude, ...'
            raise InputError(path, f'{line[:60]!r}', expected, f'line {number}')
    return np.array(records).reshape(-1, _OXTS_COLUMNS)


def read_imu2velo(path: Path) -> np.ndarray:
    """Place of the inertial unit, float64 (4, 4), from the calibration of a sequence.

    Raises:
        InputError: No line ``Tr_imu_velo`` with a rotation and a translation.
    """
    for line in path.read_text(errors='replace').splitlines():
        name, *words = line.replace(':', ' ', 1).split() or ['']
        if name in ('Tr_imu_velo', 'Tr_imu_to_velo'):
            try:
                matrix = np.array([float(word) for word in words]).reshape(3, 4)
            except ValueError:
                raise InputError(path, f'{len(words)} words', '12 numbers', name) from None
            return make_calibration(np.eye(3), matrix, str(path)).lidar2cam
    raise InputError(path, 'no such line', 'the place of the inertial unit', 'Tr_imu_velo')


def find_frames(root: Path, neighbors: int) -> dict[str, list[LabeledFrame]]:
    """The labeled frames of each split, by sequence and number.

    Frames without a scan, of which the tracking set has a few, are left out; a warning counts them.

    Args:
        root: Folder of the tracking set and of the panoptic maps.
        neighbors: Scans before and after a frame.

    Raises:
        InputError: No panoptic map, or files of a frame are missing.
    """
    if not root.is_dir():
        raise InputError(root, 'no such folder', 'the folder of KITTI-STEP (DATA_ROOT)')
    base = next((base for base in _MAPS if (root / base).is_dir()), None)
    if base is None:
        raise InputError(root, f'no folder {_MAPS[0]}', "KITTI-STEP's panoptic maps")
    splits: dict[str, list[LabeledFrame]] = {}
    missing: list[str] = []
    for split in SPLITS:
        folders = sorted(path for path in (root / base / split).glob('*') if path.is_dir())
        if not folders:
            logger.warning('no %s/%s, so no %s', base, split, split)
            continue
        splits[split] = []
        for folder in folders:
            frames = _of_sequence(root, split, folder, neighbors, missing)
            splits[split] += frames
    if missing:
        more = f' ({len(missing)} files are missing)' if len(missing) > 1 else ''
        raise InputError(
            root / missing[0],
            f'no such file{more}',
            "the tracking set's files of each labeled frame",
        )
    if not any(splits.values()):
        raise InputError(
            root / base, 'no frame with a scan', 'train/SEQUENCE/FRAME.png, training/velodyne'
        )
    return splits


def _of_sequence(
    root: Path, split: str, folder: Path, neighbors: int, missing: list[str]
) -> list[LabeledFrame]:
    """The frames of a sequence that have a scan; adds files that are missing."""
    sequence = folder.name
    places = [place.format(split=split, sequence=sequence) for place in _IMAGES]
    images = next((place for place in places if (root / place).is_dir()), places[0])
    calibration, oxts = f'training/calib/{sequence}.txt', f'training/oxts/{sequence}.txt'
    scans = {int(p.stem) for p in (root / scan_file(sequence, 0)).parent.glob('*.bin')}
    posed: set[int] = set()
    if neighbors and (root / oxts).is_file():
        posed = set(range(len(read_oxts(root / oxts))))
    elif neighbors:
        logger.warning('no %s: the ground truth of %s is one scan', oxts, sequence)
    frames, left_out = [], 0
    for path in sorted(folder.glob('*.png')):
        if not path.stem.isdecimal():
            raise InputError(path, path.name, '000000.png, the number of a frame')
        number = int(path.stem)
        if number not in scans:
            left_out += 1
            continue
        sources = dict(
            image=f'{images}/{path.name}',
            panoptic=path.relative_to(root).as_posix(),
            scan=scan_file(sequence, number),
            calibration=calibration,
        )
        missing += [file for file in sources.values() if not (root / file).is_file()]
        second = f'training/image_03/{sequence}/{path.name}'
        if (root / second).is_file():
            sources['second image'] = second
        around = [number + n for n in range(-neighbors, neighbors + 1) if n]
        usable = tuple(n for n in around if n in scans and {n, number} <= posed)
        if usable:
            sources['oxts'] = oxts
        frames.append(
            LabeledFrame(f'{split}/{sequence}/{path.stem}', sources, sequence, number, usable)
        )
    if left_out:
        logger.warning('%s: %d frames without a scan left out', sequence, left_out)
    return frames
