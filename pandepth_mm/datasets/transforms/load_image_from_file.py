"""Loading of the image."""

import io

import cv2
import mmcv
from mmcv.transforms import LoadImageFromFile as _LoadImageFromFile

from pandepth_mm.errors import InputError, require_size
from pandepth_mm.registry import TRANSFORMS
from pandepth_mm.structures.image_files import check_image_file


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
            InputError: No such file, one that is broken or breaks off, one of more than 8 bits a
                channel, or one of another size than its record says.
        """
        path = results['img_path']
        try:
            with open(path, 'rb') as f:
                content = f.read()
        except OSError as e:
            raise InputError(path, f'what cannot be read ({e.strerror})', 'an image') from None
        check_image_file(io.BytesIO(content), path)
        try:
            img = mmcv.imfrombytes(content, flag=self.color_type, backend=self.imdecode_backend)
        except (cv2.error, OSError):
            img = None
        if img is None:
            raise InputError(path, 'a file that cannot be decoded', 'an image')
        if 'height' in results:
            size = (results['height'], results['width'])
            require_size(img.shape[:2], size, path, 'the image as its record has it')
        results['img'] = img.astype('float32') if self.to_float32 else img
        results['img_shape'] = results['ori_shape'] = img.shape[:2]
        return results
