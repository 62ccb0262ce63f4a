"""Ground truth of several scans: maps made by hand."""

import numpy as np
import pytest
from raw_drive import CAM2IMG, HEIGHT, WIDTH, photo, true_depth

from pandepth_mm.converters.core.ground_truth import accumulate_scans, filter_depth, stereo_depth


def test_the_nearest_of_all_scans_stays():
    """Two scans, the second 1 m behind: (0, 0, z) projects to the center."""
    cam2img = np.array([[10.0, 0, 2], [0, 10, 1], [0, 0, 1]])
    ahead = np.eye(4)
    ahead[2, 3] = 1
    scans = [
        (np.array([[0, 0, 5.0], [1, 0, 10], [0, 0, 90], [0, 0, -3]]), np.eye(4)),
        (np.array([[0, 0, 3.0], [-1, 0, 9], [2, 0, 9], [0, 1, 79.5]]), ahead),
    ]
    expected = [[0, 0, 0, 0, 0], [0, 10, 4, 10, 10], [0, 0, 0, 0, 0]]
    np.testing.assert_allclose(accumulate_scans(scans, cam2img, (3, 5), 80), expected)
    assert (accumulate_scans([], cam2img, (3, 5), 80) == 0).all()


@pytest.mark.parametrize('camera, baseline', [(2, 0.54), (3, -0.54)])
def test_stereo(camera, baseline):
    """Both cameras find the road and the box; nothing at the edges of the box is left."""
    depth = stereo_depth(photo(0, camera), photo(0, 5 - camera), CAM2IMG[0, 0], baseline)
    truth = true_depth(0, camera)
    assert depth.shape == (HEIGHT, WIDTH)
    road = (truth > 0) & (truth < 20)
    assert (depth[road] > 0).mean() > 0.6
    found = road & (depth > 0)
    assert (np.abs(depth - truth)[found] > 0.05 * truth[found]).mean() < 0.01


def test_filter_by_hand():
    """Every pixel of a wall 10 m away, one behind it, one that left, one that stereo denies."""
    wall = np.full((30, 40), 10, np.float32)
    depth = wall.copy()
    depth[10, 10], depth[20, 20], depth[5, 30] = 25, 6, 10.4
    stereo = wall.copy()
    stereo[5, 31] = 0  # says nothing
    kept, counts = filter_depth(depth, wall, CAM2IMG)
    assert counts == dict(seen_through=1, hidden=1)
    assert kept[10, 10] == kept[20, 20] == 0 and np.count_nonzero(kept) == depth.size - 2
    kept, counts = filter_depth(depth, wall, CAM2IMG, stereo, 0.03)
    assert counts == dict(seen_through=1, hidden=1, unconfirmed=2)
    assert kept[5, 30] == kept[5, 31] == 0 and np.count_nonzero(kept) == depth.size - 4
