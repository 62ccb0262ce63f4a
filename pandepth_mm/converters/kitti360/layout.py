"""Find the labeled frames of KITTI-360 on disk."""

import dataclasses
import logging
from collections import Counter
from pathlib import Path

from pandepth_mm.converters.core.labeled_depth import LabeledFrame
from pandepth_mm.converters.kitti360.poses import CAM_TO_VELO, CAMERA_POSES, read_lidar_poses
from pandepth_mm.errors import InputError, require_file
from pandepth_mm.geometry.calibration import Calibration

logger = logging.getLogger(__name__)

LIST = 'data_2d_semantics/train/2013_05_28_drive_{}_frames.txt'
CALIBRATION = 'calibration'
_POSES = (CAMERA_POSES, 'poses.txt')  # the first that is there
_LINE = 'data_2d_raw/SEQUENCE/image_00/data_rect/FRAME.png, and its semantic PNG'


@dataclasses.dataclass(frozen=True)
class SequenceFiles:
    """What there is of a sequence.

    Attributes:
        poses_file: Relative to the data root.
        poses: Numbers of the frames that have a pose.
        scans: Numbers of the frames that have a scan.
        lacking: Why none of its frames can be converted; '' if they can.
    """

    poses_file: str = ''
    poses: frozenset[int] = frozenset()
    scans: frozenset[int] = frozenset()
    lacking: str = ''


def scan_file(sequence: str, number: int) -> str:
    """Path of a scan below the data root."""
    return f'data_3d_raw/{sequence}/velodyne_points/data/{number:010d}.bin'


def find_sequence(root: Path, name: str, calibration: Calibration) -> SequenceFiles:
    """Look for the folders of a sequence.

    Raises:
        InputError: Broken poses.
    """
    folders = dict(
        images=root / f'data_2d_raw/{name}/image_00/data_rect',
        scans=(root / scan_file(name, 0)).parent,
    )
    for what, folder in folders.items():
        if not folder.is_dir():
            return SequenceFiles(lacking=f'no folder of {what}')
    for file in _POSES:
        path = f'data_poses/{name}/{file}'
        if (root / path).is_file():
            poses = read_lidar_poses(root / path, root / CALIBRATION, calibration.lidar2cam)
            numbers = (p.stem for p in folders['scans'].glob('*.bin'))
            scans = frozenset(int(number) for number in numbers if number.isdecimal())
            return SequenceFiles(path, frozenset(poses), scans)
    return SequenceFiles(lacking='no file of poses')


def read_list(path: Path) -> list[tuple[str, str, str, int]]:
    """Read a list of frames.

    Returns:
        Image, semantic PNG, sequence and number of each frame.

    Raises:
        InputError: Missing, or a line that is something else.
    """
    require_file(path, f'a list of frames, per line {_LINE}')
    frames = []
    for number, line in enumerate(path.read_text(errors='replace').splitlines(), start=1):
        words = line.split()
        parts = [Path(word).parts for word in words]
        if not words:
            continue
        if (
            [len(p) for p in parts] != [5, 6]
            or parts[0][1] != parts[1][2]
            or not Path(words[0]).stem.isdecimal()
        ):
            raise InputError(path, f'{line[:80]!r}', _LINE, f'line {number}')
        frames.append((words[0], words[1], parts[0][1], int(Path(words[0]).stem)))
    return frames


def find_frames(
    root: Path, lists: dict[str, Path], neighbors: int, calibration: Calibration
) -> dict[str, list[LabeledFrame]]:
    """The frames of the lists, as far as their sequences are there.

    Frames without a scan or a pose are left out, and so are sequences that were not downloaded; a
    warning counts them.

    Args:
        root: Folder of KITTI-360.
        lists: Split -> its list.
        neighbors: Scans before and after a frame.
        calibration: Of the left camera.

    Raises:
        InputError: Files of a frame are missing, a frame is in two lists, or none is left.
    """
    sequences: dict[str, SequenceFiles] = {}
    left_out: Counter[tuple[str, str]] = Counter()
    splits: dict[str, list[LabeledFrame]] = {}
    missing: list[str] = []
    for split, path in lists.items():
        splits[split] = []
        for image, semantic, name, number in read_list(path):
            if name not in sequences:
                sequences[name] = find_sequence(root, name, calibration)
            there = sequences[name]
            lacking = there.lacking or (
                'no scan' if number not in there.scans else
                'no pose' if number not in there.poses else ''
            )  # fmt: skip
            if lacking:
                left_out[name, lacking] += 1
                continue
            instance = Path(semantic).parents[1] / 'instance' / Path(semantic).name
            sources = dict(image=image, semantic=semantic, instance=instance.as_posix())
            missing += [file for file in sources.values() if not (root / file).is_file()]
            sources.update(
                scan=scan_file(name, number),
                poses=there.poses_file,
                cameras=f'{CALIBRATION}/perspective.txt',
                lidar=f'{CALIBRATION}/{CAM_TO_VELO}',
            )
            second = image.replace('/image_00/', '/image_01/')
            if (root / second).is_file():
                sources['second image'] = second
            around = [number + n for n in range(-neighbors, neighbors + 1) if n]
            usable = tuple(n for n in around if n in there.scans and n in there.poses)
            splits[split].append(
                LabeledFrame(f'{name}/{number:010d}', sources, name, number, usable)
            )
    if missing:
        more = f' ({len(missing)} files are missing)' if len(missing) > 1 else ''
        raise InputError(root / missing[0], f'no such file{more}', 'the files of each listed frame')
    for (name, lacking), count in left_out.items():
        logger.warning('%s: %d frames left out, %s', name, count, lacking)
    if not any(splits.values()):
        reasons = ', '.join(f'{name}: {lacking}' for name, lacking in left_out)
        raise InputError(
            root,
            f'no frame to convert ({reasons or "the lists are empty"})',
            'images, labels, scans and poses of a sequence',
        )
    return splits
