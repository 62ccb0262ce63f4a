"""Find the frames of a data set by the patterns of its files, and check their headers."""

import dataclasses
import logging
from collections.abc import Sequence
from pathlib import Path

from pandepth_mm.converters import core
from pandepth_mm.converters.core.id_images import check_id_image
from pandepth_mm.converters.semantic_instance.patterns import Pattern
from pandepth_mm.errors import InputError, require_file
from pandepth_mm.fileio import check_depth_file
from pandepth_mm.geometry.calibration import check_image_size
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.point_files import check_points_file
from pandepth_mm.structures.image_files import check_image_file

logger = logging.getLogger(__name__)

KINDS = ('images', 'semantic', 'instances', 'sparse_depth', 'points', 'gt_depth', 'calib')
SPLITS = ('train', 'val', 'test')
Values = dict[str, str]  # of the placeholders of a frame


@dataclasses.dataclass(frozen=True)
class Frame(core.Frame):
    """A frame; matrices and size are known after :func:`inspect`.

    Attributes:
        scene: Value of {scene}, if there is one.
        stem: Value of {name}.
        cam2img: (3, 3), pixels.
        lidar2cam: (4, 4), meters; None without points.
        height: Pixels.
        width: Pixels.
    """

    scene: str | None
    stem: str
    cam2img: list[list[float]] | None = None
    lidar2cam: list[list[float]] | None = None
    height: int = 0
    width: int = 0


def find_frames(
    root: Path, patterns: dict[str, Pattern], labels: Pattern, splits: Sequence[str] | None
) -> dict[str, list[Frame]]:
    """The frames of each split, sorted by path, or in the order of their lists.

    Args:
        root: Folder of the data.
        patterns: Of ``KINDS`` and, if splits are lists, ``lists``.
        labels: The one of them that finds the frames.
        splits: Names; None: of ``SPLITS`` those that are there.

    Raises:
        InputError: No frame, a split without frames, or files that are missing.
    """
    if not root.is_dir():
        raise InputError(root, 'no such folder', 'the folder of the data (DATA_ROOT)')
    if 'lists' in patterns:
        found = _from_lists(root, patterns['lists'], labels, splits)
    else:
        found = _from_folders(root, labels, splits)
    frames: dict[str, list[Frame]] = {}
    missing = []
    for split, all_values in found.items():
        frames[split] = []
        for values in all_values:
            sources = {kind: patterns[kind].fill(values) for kind in KINDS if kind in patterns}
            missing += [file for file in sources.values() if not (root / file).is_file()]
            stem, scene = values['name'], values.get('scene')
            name = '/'.join(filter(None, (split, scene, stem)))
            frames[split].append(Frame(name, sources, scene, stem))
    if missing:
        more = f' ({len(missing)} files are missing)' if len(missing) > 1 else ''
        expected = 'all files of each frame, where the patterns say'
        raise InputError(root / missing[0], f'no such file{more}', expected)
    return frames


def _from_folders(
    root: Path, labels: Pattern, splits: Sequence[str] | None
) -> dict[str, list[Values]]:
    """Split -> frames; a split is a folder, or there is only one."""
    found: dict[str, list[Values]] = {}
    for values in labels.find(root):
        values.setdefault('split', (splits or SPLITS)[0])
        found.setdefault(values['split'], []).append(values)
    if not found:
        raise InputError(root, 'no file', labels.text, labels.flag)
    wanted = splits or [split for split in SPLITS if split in found]
    absent = [split for split in wanted if split not in found]
    if absent or not wanted:
        raise InputError(
            '--splits',
            f'{", ".join(absent) or "none of " + ", ".join(SPLITS)} among the folders',
            f'some of those that {labels.flag} finds: {", ".join(sorted(found))}',
        )
    for split in sorted(set(found) - set(wanted)):
        logger.warning('%s: %d frames left out (--splits)', split, len(found[split]))
    return {split: found[split] for split in wanted}


def _from_lists(
    root: Path, lists: Pattern, labels: Pattern, splits: Sequence[str] | None
) -> dict[str, list[Values]]:
    """Split -> frames, from the lists."""
    found: dict[str, list[Values]] = {}
    owner: dict[str, str] = {}
    for split in splits or SPLITS:
        path = root / lists.fill(dict(split=split))
        if not path.is_file() and splits is None:
            continue
        require_file(path, f'the list of {split}', '--lists')
        lines = path.read_text(encoding='utf-8-sig', errors='replace').splitlines()
        found[split] = []
        for number, line in enumerate(map(str.strip, lines), start=1):
            if not line:
                continue
            if line in owner:
                raise InputError(
                    path, line, f'a frame that is not in {owner[line]}', f'line {number}'
                )
            owner[line] = f'line {number} of {path.name}'
            scene, slash, stem = line.rpartition('/')
            if 'scene' not in labels.fields:
                found[split].append(dict(split=split, name=line))
            elif slash:
                found[split].append(dict(split=split, scene=scene, name=stem))
            else:
                raise InputError(path, line, 'scene/name', f'line {number}')
    if not any(found.values()):
        raise InputError(root, 'no list with a frame', lists.text, lists.flag)
    return found


def inspect(
    frame: Frame, root: Path, camera: int | None, point_dims: int | None, rgb_instances: bool
) -> Frame:
    """Read the headers of a frame and its calibration.

    Args:
        frame: As :func:`find_frames` makes it.
        root: Folder of the data.
        camera: Of the calibration, where it has several.
        point_dims: Columns of ``.bin`` clouds, if they cannot be told.
        rgb_instances: Whether images of instances may have three channels.

    Returns:
        The frame with its size and matrices.

    Raises:
        InputError: A file of a wrong kind or size, or a calibration that lacks what is needed.
    """
    paths = {kind: root / file for kind, file in frame.sources.items()}
    with open(paths['images'], 'rb') as f:
        shape = check_image_file(f, paths['images'])
    if 'semantic' in paths:
        check_id_image(paths['semantic'], shape, 'an image of class ids')
    if 'instances' in paths:
        check_id_image(paths['instances'], shape, 'an image of instances', rgb=rgb_instances)
    for kind in ('sparse_depth', 'gt_depth'):
        if kind in paths:
            check_depth_file(paths[kind], shape)
    calibration = read_calibration(paths['calib'], camera)
    check_image_size(calibration, shape[1], shape[0], str(paths['calib']))
    if 'points' in paths:
        check_points_file(paths['points'], point_dims)
        if calibration.lidar2cam is None:
            raise InputError(
                paths['calib'],
                'no lidar2cam',
                'the place of the LiDAR, for --points (the unit matrix for points in the frame of '
                'the camera)',
            )
    return dataclasses.replace(
        frame,
        cam2img=calibration.cam2img.tolist(),
        lidar2cam=calibration.lidar2cam.tolist() if 'points' in paths else None,
        height=shape[0],
        width=shape[1],
    )
