"""Images that are whole and of 8 bits, and those that are not."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from pandepth_mm.errors import InputError
from pandepth_mm.structures.image_files import check_image_file

IMAGE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
BREAKS_OFF = 'a.img: found a (JPEG|PNG) that breaks off; expected a complete image'


def encode(suffix, image=IMAGE, *options):
    return cv2.imencode(suffix, image, options)[1].tobytes()


def check(content):
    return check_image_file(io.BytesIO(content), 'a.img')


@pytest.mark.parametrize('progressive', [0, 1])
def test_jpegs(progressive):
    """A thumbnail has an end of its own, and what follows the end is no matter."""
    content = encode('.jpg', IMAGE, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    thumbnail = content[:2] + b'\xff\xe1\x00\x06\xff\xd8\xff\xd9' + content[2:]
    filled = content[:2] + b'\xff\xff' + content[2:]
    for whole in (content, content + bytes(5000), thumbnail, filled):
        assert check(whole) == (40, 60)
        assert cv2.imdecode(np.frombuffer(whole, np.uint8), 1).shape == IMAGE.shape
    for whole in (content, thumbnail):
        for cut in (len(content) // 2, 1):
            with pytest.raises(InputError, match=BREAKS_OFF):
                check(whole[:-cut])
    for cut in (3, 10, 300):
        with pytest.raises(InputError, match='a.img: found a '):
            check(thumbnail[: cut + 8])


def test_pngs():
    content = encode('.png')
    assert check(content) == check(content + bytes(5000)) == (40, 60)
    for cut in (100, len(content) // 2, len(content) - 9):
        with pytest.raises(InputError, match=BREAKS_OFF):
            check(content[:cut])


@pytest.mark.parametrize('suffix', ['.bmp', '.tiff', '.webp', '.ppm'])
def test_other_kinds(suffix):
    assert check(encode(suffix)) == (40, 60)


@pytest.mark.parametrize('content', [b'', b'\x89PNG', b'\xff\xd8', b'no image'])
def test_no_image(content):
    with pytest.raises(InputError, match='a.img: found a file that cannot be decoded; expected an'):
        check(content)


@pytest.mark.parametrize('suffix', ['.png', '.tiff', '.ppm', '.pgm'])
def test_16_bits(suffix):
    image = IMAGE.astype(np.uint16) * 256
    content = encode(suffix, image[..., 0] if suffix == '.pgm' else image)
    with pytest.raises(InputError, match='a.img: found an image of more than 8 bits a channel'):
        check(content)


@pytest.mark.parametrize('orientation, size', [(1, (40, 60)), (3, (40, 60)), (6, (60, 40))])
def test_size_when_decoded(orientation, size):
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    Image.fromarray(IMAGE).save(file, 'JPEG', exif=exif)
    assert check(file.getvalue()) == size
    assert cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), 1).shape[:2] == size
