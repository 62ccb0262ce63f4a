"""RecolorSegments, one change at a time."""

import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.registry import TRANSFORMS

PLAIN = dict(prob=1, segment_prob=1, shift=0, contrast=(1, 1), texture_prob=0)


def recolored(img, segments, seed=0, **kwargs):
    transform = TRANSFORMS.build(dict(type='RecolorSegments', **{**PLAIN, **kwargs}))
    np.random.seed(seed)
    return transform(dict(img=img, gt_panoptic_seg=segments))['img']


@pytest.fixture
def frame():
    """A gray frame with a little noise, and four segments in columns of 20 pixels."""
    rng = np.random.default_rng(0)
    img = rng.integers(100, 140, (40, 80, 3)).astype(np.uint8)
    segments = np.repeat(np.array([3, 1001, 14, 2001], np.int32), 20)[None].repeat(40, axis=0)
    return img, segments


def inner(x):
    """Pixels (segment, N, ...) away from the borders of the segments."""
    return [x[:, 20 * i + 4 : 20 * i + 16].astype(float) for i in range(4)]


def test_nothing_to_change(frame):
    np.testing.assert_array_equal(recolored(*frame), frame[0])
    np.testing.assert_array_equal(recolored(*frame, prob=0, shift=60), frame[0])
    np.testing.assert_array_equal(recolored(*frame, segment_prob=0, shift=60), frame[0])


def test_the_type_stays_and_the_seed_decides(frame):
    img, segments = frame
    given = img.copy(), segments.copy()
    kwargs = dict(shift=200, contrast=(0.5, 2), texture_prob=1, texture=(5, 30))
    for dtype in (np.uint8, np.float32):
        first, again, other = (
            recolored(img.astype(dtype), segments, seed=s, **kwargs) for s in (0, 0, 1)
        )
        assert first.dtype == dtype and first.shape == img.shape
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()
        assert first.min() >= 0 and first.max() <= 255
    np.testing.assert_array_equal(img, given[0])
    np.testing.assert_array_equal(segments, given[1])


def test_each_segment_has_a_shift_of_its_own(frame):
    img, segments = frame
    changed = recolored(img.astype(np.float32), segments, shift=60)
    shifts = []
    for old, new in zip(inner(img), inner(changed), strict=True):
        assert (new - old).std(axis=(0, 1)).max() < 1e-3  # one shift for all pixels of a segment
        shifts.append((new - old).mean(axis=(0, 1)))
    assert np.abs(shifts).max() <= 60
    assert np.ptp(shifts, axis=0).min() > 5


def test_contrast_is_about_the_mean_of_the_segment(frame):
    img, segments = frame
    changed = recolored(img.astype(np.float32), segments, contrast=(0.5, 0.5))
    for old, new in zip(inner(img), inner(changed), strict=True):
        mean = old.mean(axis=(0, 1))
        np.testing.assert_allclose(new, mean + (old - mean) / 2, atol=0.6)


def test_texture(frame):
    img, segments = frame
    flat = np.full_like(img, 120, dtype=np.float32)
    changed = recolored(flat, segments, segment_prob=0.5, texture_prob=1, texture=(20, 20), seed=3)
    spread = np.array([x[..., 0].std() for x in inner(changed)])
    assert 0 < (spread > 5).sum() < 4  # some segments, not all
    assert (spread[spread <= 5] < 1e-3).all()


@pytest.mark.parametrize(
    'wrong',
    [
        dict(prob=1.5),
        dict(segment_prob=-1),
        dict(shift=300),
        dict(contrast=(0, 1)),
        dict(texture=(9, 1)),
    ],
)
def test_wrong_values(wrong):
    with pytest.raises(InputError, match=f'RecolorSegments: .*{list(wrong)[0]}'):
        TRANSFORMS.build(dict(type='RecolorSegments', **wrong))
