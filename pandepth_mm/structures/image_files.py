"""The image of a frame as a file: is it whole, and has it 8 bits?"""

import os
from typing import BinaryIO

from PIL import Image

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import PathLike

_ENDS = dict(JPEG=b'\xff\xd9', PNG=b'IEND')  # markers at the end of complete files
_TAIL = 1024  # bytes in which they mostly are; some cameras append a video
_ORIENTATION = 0x0112  # tag of Exif
_SCAN = b'\xff\xda'  # marker before the pixels of a JPEG


def check_image_file(file: BinaryIO, source: PathLike) -> tuple[int, int]:
    """Check the header and the end of an image, without decoding it.

    Decoders do not help there: of a JPEG that breaks off they make the lower rows gray, and of 16
    bits they keep 8, with a warning at most.

    Args:
        file: The open image; it is left at any position.
        source: Its name, for the message.

    Returns:
        (height, width) of the image when decoded, that is turned as Exif says.

    Raises:
        InputError: No image, one of more than 8 bits a channel, or one that breaks off.
    """
    try:
        with Image.open(file) as image:
            width, height = image.size
            deep = (
                image.mode[0] in 'IF'
                or ';16' in str(image.tile)
                or (image.format == 'PPM' and isinstance(image.tile[0][3], tuple))  # with a maximum
            )
            kind = 'JPEG' if image.format == 'MPO' else image.format  # several JPEGs, one by one
            if kind == 'JPEG' and image.getexif().get(_ORIENTATION, 1) > 4:  # lies on its side
                width, height = height, width
            whole = _is_whole(file, kind)
    # a broken file can fail in many ways
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        raise InputError(source, 'a file that cannot be decoded', 'an image') from None
    if deep:
        raise InputError(source, 'an image of more than 8 bits a channel', '8 bits: convert it')
    if not whole:
        raise InputError(source, f'a {kind} that breaks off', 'a complete image')
    return height, width


def _is_whole(file: BinaryIO, kind: str | None) -> bool:
    """Whether an image has the end of its kind, where that is known."""
    if kind not in _ENDS:
        return True
    start = _start_of_scan(file) if kind == 'JPEG' else 0
    size = file.seek(0, os.SEEK_END)
    for position in (max(start, size - _TAIL), start):
        file.seek(position)
        if _ENDS[kind] in file.read():
            return True
    return False


def _start_of_scan(file: BinaryIO) -> int:
    """Where the pixels of a JPEG begin.

    The segments before them may hold a small JPEG, with an end of its own.
    """
    file.seek(2)
    while (marker := file.read(2)) != _SCAN and marker[:1] == b'\xff':
        if marker == b'\xff\xff':  # the first one fills
            file.seek(-1, os.SEEK_CUR)
        else:
            file.seek(int.from_bytes(file.read(2), 'big') - 2, os.SEEK_CUR)
    return file.tell()
