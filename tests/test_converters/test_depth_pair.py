"""When input and ground truth are the wrong way round."""

import pytest

from pandepth_mm.converters.core import DepthPair
from pandepth_mm.errors import InputError

PAIR = DepthPair('--in', '--out', 'sparse_pixels', 'gt_pixels')


def counts(sparse, gt):
    return dict(sparse_pixels=sparse, gt_pixels=gt, pixels=1000)


@pytest.mark.parametrize(
    'frames',
    [
        [],
        [dict(sparse_pixels=50, pixels=1000)],  # a test set
        [counts(50, 200)] * 3,
        [counts(50, 50)] * 3,
        [counts(50, 34)] * 3,  # the scan without what the camera cannot see
        [counts(50, 0)] * 8 + [counts(50, 200)] * 2,
        [counts(0, 0)] * 3,
    ],
)
def test_order_is_right(frames):
    PAIR.require_order(frames, 'data', 'train')


@pytest.mark.parametrize('odd', [0, 1])
def test_order_is_wrong(odd):
    frames = [counts(200, 50)] * 9 + [counts(0, 50)] * odd
    with pytest.raises(InputError) as error:
        PAIR.require_order(frames, 'data', 'val')
    density = '18.00' if odd else '20.00'
    assert str(error.value) == (
        f'data: val: found depth at {density}% of the pixels in --in, the input, and at 5.00% in '
        f'--out, the ground truth; 9 of {9 + odd} frames are so; expected the denser maps as the '
        'ground truth: the two are the wrong way round'
    )
