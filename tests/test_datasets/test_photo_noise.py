"""PhotoNoise, one flaw at a time."""

import cv2
import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.registry import TRANSFORMS

FLAWS = ('gamma', 'blur', 'sharpen', 'noise', 'jpeg')


def flawed(img, *flaws, seed=0, **kwargs):
    """The image with the flaws that are named, and no others."""
    probs = {f'{flaw}_prob': float(flaw in flaws) for flaw in FLAWS}
    transform = TRANSFORMS.build(dict(type='PhotoNoise', **probs, **kwargs))
    np.random.seed(seed)
    return transform(dict(img=img))['img']


@pytest.fixture
def img():
    """A gray step between two halves."""
    img = np.full((60, 80, 3), 60, np.uint8)
    img[:, 40:] = 160
    return img


def test_without_flaws_nothing_changes(img):
    np.testing.assert_array_equal(flawed(img), img)


@pytest.mark.parametrize('flaws', [*[[flaw] for flaw in FLAWS], FLAWS[:2] + FLAWS[3:]])
def test_the_type_stays_and_the_seed_decides(img, flaws):
    img += np.arange(60, dtype=np.uint8)[:, None, None]  # more to compress than flat blocks
    given = img.copy()
    for dtype in (np.uint8, np.float32):
        first, again, other = (flawed(img.astype(dtype), *flaws, seed=s) for s in (0, 0, 1))
        assert first.dtype == dtype and first.shape == img.shape
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(img, given)


def test_gamma(img):
    expected = np.rint((img / 255.0) ** 2 * 255)
    np.testing.assert_array_equal(flawed(img, 'gamma', gamma=(2, 2)), expected)


def test_blur_and_sharpening(img):
    img = img.astype(np.float32)
    blurred = flawed(img, 'blur', blur=(2, 2))[30, :, 0]
    # a step that went through a Gaussian: 16 % and 84 % of its height one sigma from its middle
    np.testing.assert_allclose(np.interp([37.5, 41.5], range(80), blurred), [75.9, 144.1], atol=1.5)
    sharp = flawed(img, 'sharpen', sharpen=(1, 1))[30, :, 0]
    gentle = flawed(img, 'blur', blur=(1, 1))[30, :, 0]
    np.testing.assert_allclose(sharp, 2 * img[30, :, 0] - gentle, atol=1e-3)
    assert sharp.max() > 175 and sharp.min() < 45


def test_noise_rises_with_the_brightness(img):
    noise = flawed(img.astype(np.float32), 'noise', noise=(6, 6)) - img
    for half, gray in ((noise[:, :40], 60), (noise[:, 40:], 160)):
        assert half.std() == pytest.approx(6 * np.sqrt(gray / 127.5), rel=0.05)
        assert abs(half.mean()) < 0.3


def test_jpeg(img):
    img = flawed(img, 'noise')
    content = cv2.imencode('.jpg', img, [cv2.IMWRITE_JPEG_QUALITY, 40])[1]
    expected = cv2.imdecode(content, cv2.IMREAD_COLOR)
    np.testing.assert_array_equal(flawed(img, 'jpeg', jpeg=(40, 40)), expected)


def test_probabilities(img):
    transform = TRANSFORMS.build(dict(type='PhotoNoise'))
    np.random.seed(0)
    same = sum(np.array_equal(transform(dict(img=img))['img'], img) for _ in range(200))
    expected = 200 * 0.7 * 0.5 * 0.6 * 0.7
    assert 0.6 * expected < same < 1.5 * expected


@pytest.mark.parametrize(
    'wrong',
    [
        dict(gamma_prob=1.5),
        dict(blur_prob=0.7, sharpen_prob=0.5),
        dict(gamma=(0, 1)),
        dict(noise=(5, 1)),
        dict(jpeg=(0, 90)),
    ],
)
def test_wrong_values(wrong):
    with pytest.raises(InputError, match=f'PhotoNoise: .*{list(wrong)[0]}'):
        TRANSFORMS.build(dict(type='PhotoNoise', **wrong))
