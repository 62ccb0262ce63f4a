"""The converter's input sampled from the ground truth, as the authors do."""

import numpy as np
import pytest
from vkitti2_frames import load, make_frame, quiet, tree

from pandepth_mm.errors import InputError
from pandepth_mm.fileio import read_depth_png
from pandepth_mm.geometry.sampling import sample_nested


def test_draw_by_the_authors_steps():
    """20 % of all pixels, the valid of these, 5 % of all of those."""
    depth = np.random.default_rng(0).uniform(1, 80, (100, 120))
    depth[:30] = 0  # sky
    sparse, gt = sample_nested(depth, 0.2, 0.05, seed=1)
    assert (sparse > 0).sum() == 600
    assert (gt[sparse > 0] == sparse[sparse > 0]).all(), 'a part of it'
    assert (gt[gt > 0] == depth[gt > 0]).all()
    # hypergeometric: 2400 of 12000, 70 % of them valid, deviation 20
    assert abs((gt > 0).sum() - 0.7 * 2400) < 100
    again = sample_nested(depth, 0.2, 0.05, seed=1)
    np.testing.assert_array_equal(again, (sparse, gt))
    assert (sample_nested(depth, 0.2, 0.05, seed=2)[1] != gt).any()
    # fewer valid than asked for: the whole ground truth
    sparse, gt = sample_nested(depth, 0.2, 0.2, seed=1)
    np.testing.assert_array_equal(sparse, gt)


def test_draws_are_uniform():
    """Each of 200 pixels about 300 and 600 times of 3000."""
    hits = sum(np.array(sample_nested(np.ones((10, 20)), 0.2, 0.1, seed)) for seed in range(3000))
    for count, mean, deviation in zip(hits, (300, 600), (16.4, 21.9), strict=True):
        assert count.mean() == mean
        assert abs(count - mean).max() < 5 * deviation


@pytest.fixture
def root(tmp_path):
    raw = np.random.default_rng(0).integers(100, 8000, (60, 80)).astype(np.uint16)
    raw[:20] = 65535
    make_frame(tmp_path / 'in', scale=10, depth=raw)
    return tmp_path / 'in'


def maps(out):
    (image,) = load(out)['images']
    return [
        read_depth_png(out / image[f'{key}_file'], 256) for key in ('sparse_depth', 'gt_depth_map')
    ]


def test_files_and_info(root, tmp_path):
    quiet(root, tmp_path / 'nested', input_from_gt=True)
    sparse, gt = maps(tmp_path / 'nested')
    assert (sparse > 0).sum() == 240
    assert (gt[sparse > 0] == sparse[sparse > 0]).all()
    assert 550 < (gt > 0).sum() < 730  # two thirds of 960
    assert load(tmp_path / 'nested')['info']['input_from_gt'] is True

    quiet(root, tmp_path / 'apart')
    sparse, gt = maps(tmp_path / 'apart')
    assert (gt > 0).sum() == 960
    assert (gt[sparse > 0] == 0).any(), 'independent by default'
    assert load(tmp_path / 'apart')['info']['input_from_gt'] is False


def test_does_not_mix_with_the_other_sampling(root, tmp_path):
    out = tmp_path / 'out'
    quiet(root, out)
    before = tree(out)
    with pytest.raises(InputError, match='input_from_gt'):
        quiet(root, out, input_from_gt=True)
    assert tree(out) == before
    assert quiet(root, out).reused == 1


def test_more_input_than_gt(root, tmp_path):
    with pytest.raises(InputError, match='--sparse-density'):
        quiet(root, tmp_path / 'out', input_from_gt=True, sparse_density=0.3)
    assert not (tmp_path / 'out').exists()
