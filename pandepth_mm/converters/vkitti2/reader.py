"""Find the frames of Virtual KITTI 2 on disk, however its archives were unpacked.

Three layouts exist, and mixtures of them:

1. one merged tree, ``ROOT/Scene01/clone/frames/rgb/Camera_0/rgb_00000.jpg``;
2. one folder per archive, ``ROOT/vkitti_2.0.3_rgb/Scene01/clone/frames/rgb/Camera_0/...``, which
   may lie in another of the same name;
3. either of these with lower-case ``classsegmentation`` and ``instancesegmentation`` folders.

Everything here reads names and headers only, so that wrong input is known before the long work
starts.
"""

import dataclasses
import logging
import math
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from pandepth_mm.converters import core
from pandepth_mm.converters.vkitti2.layout import (
    ARCHIVE_PATTERN,
    HEADERS,
    IMAGES,
    TEXT_ARCHIVE,
    ImageKind,
    image_folder,
    text_path,
)
from pandepth_mm.errors import InputError
from pandepth_mm.structures.vkitti2_meta import CX, CY, FOCAL, IMAGE_SIZE

logger = logging.getLogger(__name__)

# (bit depth, PNG color type): 0 gray, 2 RGB, 3 palette
_PNG_KINDS = dict(
    depth=({(16, 0)}, '16-bit gray (centimeters)'),
    classes=({(8, 2)}, '8-bit RGB (class colors)'),
    instances=(
        {(1, 3), (2, 3), (4, 3), (8, 3), (8, 0), (16, 0)},
        'palette or gray (value = trackID + 1)',
    ),
)


@dataclasses.dataclass(frozen=True)
class Frame(core.Frame):
    """One image of Virtual KITTI 2, and where its files lie.

    Attributes:
        scene: ``Scene01``, ...
        variation: ``clone``, ...
        camera: 0 or 1.
        number: The frame number in the file names.
        cam2img: (3, 3), pixels; None until :func:`inspect` where the data have no
            ``intrinsic.txt``.
        height: Pixels; 0 until :func:`inspect` has looked.
        width: Pixels; 0 until :func:`inspect` has looked.
    """

    scene: str
    variation: str
    camera: int
    number: int
    cam2img: list[list[float]] | None
    height: int = 0
    width: int = 0


def _child(folder: Path, name: str) -> Path | None:
    """The subfolder of that name, in this case or else in any other."""
    if (folder / name).is_dir():
        return folder / name
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if entry.name.lower() == name.lower() and entry.is_dir():
                return entry
    return None


def _bases(root: Path, archive: str) -> list[Path]:
    """Folders that hold ``SceneXX``: the root, the archive's folder, one of the same name in it."""
    pattern = re.compile(ARCHIVE_PATTERN + archive, re.IGNORECASE)
    bases = [root]
    for folder in (entry for entry in sorted(root.iterdir()) if pattern.fullmatch(entry.name)):
        bases += [path for path in (folder, folder / folder.name) if path.is_dir()]
    return bases


def _listing(folder: Path, kind: ImageKind) -> dict[int, str]:
    """Frame number -> file name; a JPEG may have been converted to PNG."""
    pattern = rf'{kind.prefix}_(\d+)(?:{re.escape(kind.suffix)}|\.png)'
    found = {}
    for name in sorted(os.listdir(folder)):
        match = re.fullmatch(pattern, name)
        if match:
            found.setdefault(int(match[1]), name)
    return found


class DataRoot:
    """The data root that a user names.

    Args:
        root: Folder in one of the three layouts.

    Raises:
        InputError: No such folder.
    """

    def __init__(self, root):
        self.root = Path(root)
        if not self.root.is_dir():
            raise InputError(root, 'no such folder', 'the root of Virtual KITTI 2 (DATA_ROOT)')
        self._image_bases = {key: _bases(self.root, kind.folder) for key, kind in IMAGES.items()}
        self._text_bases = _bases(self.root, TEXT_ARCHIVE)

    def has(self, scene: str, variation: str) -> bool:
        """Whether any archive holds frames of that sequence."""
        return any(
            (base / scene / variation / 'frames').is_dir()
            for bases in self._image_bases.values()
            for base in bases
        )

    def variations(self, scenes: Sequence[str]) -> list[str]:
        """Names of the variations of which any archive holds frames of these scenes."""
        return sorted(
            {
                folder.parent.name
                for bases in self._image_bases.values()
                for base in bases
                for scene in scenes
                for folder in base.glob(f'{scene}/*/frames')
            }
        )

    def _folder(self, key: str, scene: str, variation: str, camera: int) -> Path:
        """Folder of one kind of images of one sequence."""
        for base in self._image_bases[key]:
            folder = _child(base / scene / variation / 'frames', IMAGES[key].folder)
            if folder and (folder / f'Camera_{camera}').is_dir():
                return folder / f'Camera_{camera}'
        raise InputError(
            self.root,
            'no such folder',
            f'all four of {", ".join(kind.folder for kind in IMAGES.values())}, in one merged '
            'tree or one folder per archive',
            image_folder(Path(scene, variation), key, camera).as_posix(),
        )

    def frames(self, scene: str, variation: str, camera: int) -> list[Frame]:
        """All frames of one sequence, by number.

        Raises:
            InputError: An image is missing, or ``intrinsic.txt`` is there and is broken or lacks a
                frame.
        """
        folders = {key: self._folder(key, scene, variation, camera) for key in IMAGES}
        names = {key: _listing(folders[key], IMAGES[key]) for key in IMAGES}
        numbers = sorted(set().union(*names.values()))
        missing = [
            folders[key] / IMAGES[key].file_name(number)
            for number in numbers
            for key in IMAGES
            if number not in names[key]
        ]
        if missing:
            more = f' ({len(missing)} such files are missing beside it)' if len(missing) > 1 else ''
            raise InputError(
                missing[0],
                f'no such file{more}',
                'each frame as rgb, depth, class and instance image',
            )
        matrices = self._intrinsics(scene, variation, camera, numbers)
        return [
            Frame(
                f'{scene}/{variation}/Camera_{camera}/{number:05d}',
                {
                    key: (folders[key] / names[key][number]).relative_to(self.root).as_posix()
                    for key in IMAGES
                },
                scene,
                variation,
                camera,
                number,
                matrices[number],
            )
            for number in numbers
        ]

    def _intrinsics(
        self, scene: str, variation: str, camera: int, numbers: Sequence[int]
    ) -> dict[int, list[list[float]] | None]:
        """Frame number -> 3x3 matrix, pixels; None without the text archive."""
        for base in self._text_bases:
            path = text_path(base / scene / variation, 'intrinsic')
            if path.is_file():
                break
        else:
            return dict.fromkeys(numbers)
        table = read_intrinsics(path)
        for number in numbers:
            if (number, camera) not in table:
                raise InputError(
                    path, 'no such row', 'a row for each frame', f'frame {number} camera {camera}'
                )
        return {number: table[number, camera] for number in numbers}


def select_frames(
    data: DataRoot,
    splits: dict[str, Sequence[str]],
    variations: Sequence[str],
    cameras: Sequence[int],
    optional_splits: Sequence[str],
    optional_variations: bool,
) -> dict[str, list[Frame]]:
    """The frames of each split, sorted by scene, variation, camera, number.

    Args:
        data: Where they lie.
        splits: Split -> scenes.
        variations: Weather and light variations.
        cameras: Camera numbers.
        optional_splits: Splits where a missing scene gets a warning (the default scenes); elsewhere
            it is an error (the user named it).
        optional_variations: Warn only where a variation is missing.

    Returns:
        Split -> frames; a split may be empty.

    Raises:
        InputError: A sequence that was asked for or one of its files is missing, or there is
            nothing at all.
    """
    selected = {split: [] for split in splits}
    for split, scenes in splits.items():
        for scene in scenes:
            there = [v for v in variations if data.has(scene, v)]
            absent = [v for v in variations if v not in there]
            if not there:
                others = data.variations([scene])
                if split not in optional_splits:
                    if others:
                        raise _other_variations(data.root, scene, variations, others)
                    raise InputError(
                        data.root,
                        f'no frames of {scene} ({", ".join(variations)})',
                        f'the scene, as --{split}-scenes names it',
                    )
                what = f'has only {", ".join(others)}' if others else f'is not in {data.root}'
                logger.warning('%s (%s) %s, left out', scene, split, what)
                continue
            if absent and not optional_variations:
                raise _other_variations(data.root, scene, absent, data.variations([scene]))
            if absent:
                logger.warning('%s has no %s, left out', scene, ', '.join(absent))
            for variation in there:
                for camera in cameras:
                    selected[split] += data.frames(scene, variation, camera)
        selected[split].sort(key=lambda f: (f.scene, f.variation, f.camera, f.number))
    if not any(selected.values()):
        scenes = [scene for names in splits.values() for scene in names]
        others = data.variations(scenes)
        if others:
            raise _other_variations(data.root, 'these scenes', variations, others)
        raise InputError(
            data.root,
            'no frames',
            'Virtual KITTI 2, for instance '
            'SceneXX/VARIATION/frames/rgb/Camera_0/rgb_00000.jpg, or one '
            'folder per archive (vkitti_2.0.3_rgb/SceneXX/...)',
        )
    for split, frames in selected.items():
        if splits[split] and not frames:
            logger.warning('%s has no frames, so it gets no annotations', split)
    return selected


def _other_variations(
    root: Path, scene: str, wanted: Sequence[str], there: Sequence[str]
) -> InputError:
    """Say which variations are there instead."""
    names = ' '.join(there)
    return InputError(
        root,
        f'{scene} without {", ".join(wanted)}, but with {", ".join(there)}',
        f'the variations that are there: add --variations {names}',
    )


def _png_header(path: Path) -> tuple[int, int, int, int]:
    """Height, width, bit depth and color type of a PNG."""
    with open(path, 'rb') as f:
        head = f.read(26)
    if len(head) < 26 or head[:8] != b'\x89PNG\r\n\x1a\n' or head[12:16] != b'IHDR':
        raise InputError(path, 'a file that is not a PNG', 'a PNG')
    width, height, bits, color_type = struct.unpack('>IIBB', head[16:26])
    return height, width, bits, color_type


def inspect(frame: Frame, root: Path) -> Frame:
    """Read the four headers of a frame.

    Returns:
        The frame with its size and, where ``intrinsic.txt`` did not give it, the published camera
        matrix, which holds for 1242x375.

    Raises:
        InputError: A file is no image, of the wrong kind, or of another size than the RGB image; or
            no camera matrix is known.
    """
    path = root / frame.sources['rgb']
    try:
        with Image.open(path) as image:
            width, height = image.size
    except OSError as e:
        raise InputError(path, f'a file that cannot be read ({e})', 'an RGB image') from None
    for key, (kinds, expected) in _PNG_KINDS.items():
        path = root / frame.sources[key]
        *size, bits, color_type = _png_header(path)
        if (bits, color_type) not in kinds:
            kind = {0: 'gray', 2: 'RGB', 3: 'palette', 4: 'gray + alpha', 6: 'RGBA'}.get(
                color_type, '?'
            )
            raise InputError(path, f'a PNG of {bits}-bit {kind}', f'a PNG of {expected}')
        if size != [height, width]:
            raise InputError(
                path,
                f'size (h, w) = {tuple(size)}',
                f'{(height, width)}, the size of the RGB image',
            )
    cam2img = frame.cam2img
    if cam2img is None:
        if (height, width) != IMAGE_SIZE:
            raise InputError(
                root / frame.sources['rgb'],
                f'size (h, w) = {(height, width)} and no '
                f'{frame.scene}/{frame.variation}/intrinsic.txt',
                'intrinsic.txt (archive vkitti_2.0.3_textgt), or '
                f'{IMAGE_SIZE}, for which the constants are published',
            )
        cam2img = [[FOCAL, 0.0, CX], [0.0, FOCAL, CY], [0.0, 0.0, 1.0]]
    return dataclasses.replace(frame, height=height, width=width, cam2img=cam2img)


def read_intrinsics(path: Path) -> dict[tuple[int, int], list[list[float]]]:
    """Read an ``intrinsic.txt``.

    Args:
        path: Text with the header ``frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]`` and one row per
            frame and camera, in pixels.

    Returns:
        (frame, camera) -> 3x3 matrix, pixels, integer coordinates are pixel centers.

    Raises:
        InputError: Another header, or a row that is not six numbers with positive focal lengths.
    """
    lines = path.read_text(encoding='utf-8-sig', errors='replace').splitlines()
    header = lines[0].split() if lines else []
    if header != HEADERS['intrinsic'].split():
        raise InputError(path, f'{" ".join(header)!r}', f'{HEADERS["intrinsic"]!r}', 'line 1')
    matrices = {}
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip():
            continue
        try:
            frame, camera, fx, fy, cx, cy = line.split()
            key = int(frame), int(camera)
            fx, fy, cx, cy = (float(x) for x in (fx, fy, cx, cy))
        except ValueError:
            fx = math.nan
        if not (fx > 0 and fy > 0 and math.isfinite(fx + fy + cx + cy)):
            raise InputError(
                path,
                f'{line.strip()!r}',
                'frame, camera and fx > 0, fy > 0, cx, cy',
                f'line {number}',
            )
        matrices[key] = [[fx, 0.0, cx], [0.0, fy, cy], [0.0, 0.0, 1.0]]
    return matrices
