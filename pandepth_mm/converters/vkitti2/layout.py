"""The layout of Virtual KITTI 2 on disk, for its reader and for the renderer that writes it.

A sequence is a folder ``SceneXX/VARIATION``. It holds the images of a frame under
``frames/FOLDER/Camera_N/PREFIX_00000.png`` and six text files, each a header and one row per line.
The data set's archives unpack into one folder each, ``vkitti_2.0.3_rgb``; most people merge them.
"""

from pathlib import Path
from typing import NamedTuple


class ImageKind(NamedTuple):
    """One of the images of a frame.

    Attributes:
        folder: Below ``frames``; also the end of the archive's name.
        prefix: Of the file names.
        suffix: Of the file names.
    """

    folder: str
    prefix: str
    suffix: str = '.png'

    def file_name(self, number: int) -> str:
        """Name of the image of a frame."""
        return f'{self.prefix}_{number:05d}{self.suffix}'


IMAGES = dict(
    rgb=ImageKind('rgb', 'rgb', '.jpg'),
    depth=ImageKind('depth', 'depth'),
    classes=ImageKind('classSegmentation', 'classgt'),
    instances=ImageKind('instanceSegmentation', 'instancegt'),
)

# name of the text file without .txt -> its first line
HEADERS = dict(
    colors='Category r g b',
    intrinsic='frame cameraID K[0,0] K[1,1] K[0,2] K[1,2]',
    extrinsic='frame cameraID r1,1 r1,2 r1,3 t1 r2,1 r2,2 r2,3 t2 r3,1 r3,2 r3,3 t3 0 0 0 1',
    info='trackID label model color',
    bbox='frame cameraID trackID left right top bottom number_pixels '
    'truncation_ratio occupancy_ratio isMoving',
    pose='frame cameraID trackID alpha width height length '
    'world_space_X world_space_Y world_space_Z '
    'rotation_world_space_y rotation_world_space_x rotation_world_space_z '
    'camera_space_X camera_space_Y camera_space_Z '
    'rotation_camera_space_y rotation_camera_space_x '
    'rotation_camera_space_z',
)

TEXT_ARCHIVE = 'textgt'
ARCHIVE_PATTERN = r'vkitti_2[\d.]*_'  # before an image kind's folder or TEXT_ARCHIVE


def image_folder(sequence: Path, kind: str, camera: int) -> Path:
    """Folder of the images of a kind of one sequence."""
    return sequence / 'frames' / IMAGES[kind].folder / f'Camera_{camera}'


def image_path(sequence: Path, kind: str, number: int, camera: int = 0) -> Path:
    """Path of one image of a sequence."""
    return image_folder(sequence, kind, camera) / IMAGES[kind].file_name(number)


def text_path(sequence: Path, name: str) -> Path:
    """Path of a text file of a sequence."""
    return sequence / f'{name}.txt'
