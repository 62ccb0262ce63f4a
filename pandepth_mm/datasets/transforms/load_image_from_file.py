"""Loading of the image."""

import cv2
import mmcv
from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile

from pandepth_mm.errors import InputError, require_size
from pandepth_mm.fileio import PathLike
from pandepth_mm.registry import TRANSFORMS


def check_whole_jpeg(content: bytes, source: PathLike) -> None:
    """Refuse a JPEG that breaks off; decoders only warn, and make its lower rows gray.

    Args:
        content: Of an image file; other formats pass.
        source: Its name, for the message.

    Raises:
        InputError: A JPEG without its end.
    """
    if not content.startswith(b'\xff\xd8'):
        return
    start = 2
    # the segments before the picture may hold a small JPEG, with an end of its own
    while content[start : start + 1] == b'\xff' and content[start + 1 : start + 2] != b'\xda':
        start += 2 + int.from_bytes(content[start + 2 : start + 4], 'big')
    if content.find(b'\xff\xd9', start) < 0:
        raise InputError(source, 'a JPEG that breaks off', 'a complete image')


@TRANSFORMS.register_module()
class LoadImageFromFile(_LoadImageFromFile):
    """mmcv's loading, with messages that name the file, and a look at its size.

    Stands before mmcv's under the same name.

    Required keys: ``img_path``; ``height`` and ``width``, where the record has them, must be those
    of the file. Added keys: ``img``, ``img_shape``, ``ori_shape``.
    """

    def transform(self, results: dict) -> dict:
        """Add the image.

        Raises:
            InputError: No such file, one that is broken or breaks off, or one of another size than
                its record says.
        """
        path = results['img_path']
        try:
            with open(path, 'rb') as f:
                content = f.read()
        except OSError as e:
            raise InputError(path, f'what cannot be read ({e.strerror})', 'an image') from None
        check_whole_jpeg(content, path)
        try:
            img = content and mmcv.imfrombytes(
                content, flag=self.color_type, backend=self.imdecode_backend
            )
        except (cv2.error, OSError):
            img = None
        if img is None or not len(img):
            raise InputError(path, 'a file that cannot be decoded', 'an image')
        if 'height' in results:
            size = (results['height'], results['width'])
            require_size(img.shape[:2], size, path, 'the image as its record has it')
        results['img'] = img.astype('float32') if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results
