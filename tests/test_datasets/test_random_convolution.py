"""RandomConvolution against a convolution by hand."""

import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.registry import TRANSFORMS


def convolved(img, seed=0, **kwargs):
    transform = TRANSFORMS.build(dict(type='RandomConvolution', **kwargs))
    np.random.seed(seed)
    return transform(dict(img=img))['img']


@pytest.fixture
def img():
    return np.random.default_rng(0).integers(60, 196, (24, 32, 3)).astype(np.uint8)


def test_without_probability_nothing_changes(img):
    np.testing.assert_array_equal(convolved(img, prob=0), img)


def test_the_type_stays_and_the_seed_decides(img):
    given = img.copy()
    for dtype in (np.uint8, np.float32):
        first, again, other = (convolved(img.astype(dtype), seed=s, prob=1) for s in (0, 0, 1))
        assert first.dtype == dtype and first.shape == img.shape
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(img, given)


@pytest.mark.parametrize('size', [1, 3, 7])
def test_each_channel_is_a_convolution_of_all_three(img, size):
    """Away from the border, a channel is linear in the size * size * 3 values around a pixel."""
    img = img.astype(np.float32)
    result = convolved(img, prob=1, kernel_sizes=(size,))
    pad = size // 2
    windows = np.lib.stride_tricks.sliding_window_view(img, (size, size), axis=(0, 1))
    values = windows.reshape(-1, 3 * size * size)
    values = np.concatenate([values, np.ones_like(values[:, :1])], axis=1).astype(float)
    inner = result[pad : len(img) - pad, pad : img.shape[1] - pad].reshape(-1, 3)
    weights, *_ = np.linalg.lstsq(values, inner, rcond=None)
    np.testing.assert_allclose(values @ weights, inner, atol=0.1)
    # every channel and every place of the window has a weight
    assert (abs(weights[:-1]) > 1e-4).mean() > 0.95


def test_mean_and_contrast_stay(img):
    """At both ends of the mixture; between them two patterns may cancel each other."""
    img = img.astype(np.float32)
    for seed in range(20):
        result = convolved(img, seed=seed, prob=1)
        np.testing.assert_allclose(result.mean((0, 1)), img.mean((0, 1)), atol=2)
        assert (result.std((0, 1)) < img.std((0, 1)) * 1.01).all()


def test_an_image_of_one_gray_keeps_it():
    img = np.full((16, 16, 3), 90, np.uint8)
    np.testing.assert_array_equal(convolved(img, prob=1), img)


def test_probability(img):
    transform = TRANSFORMS.build(dict(type='RandomConvolution', prob=0.3))
    np.random.seed(0)
    same = sum(np.array_equal(transform(dict(img=img))['img'], img) for _ in range(200))
    assert 115 < same < 165


@pytest.mark.parametrize(
    'wrong',
    [dict(prob=1.5), dict(kernel_sizes=(3, 4)), dict(kernel_sizes=(0,)), dict(kernel_sizes=(1.5,))],
)
def test_wrong_values(wrong):
    with pytest.raises(InputError, match=f'RandomConvolution: .*{list(wrong)[0]}'):
        TRANSFORMS.build(dict(type='RandomConvolution', **wrong))
