"""The cloud's points, and the rule that finds flying pixels."""

import cv2
import numpy as np
import pytest
from cloud_samples import CAM2IMG, CLASSES, make_frame
from scipy.spatial import cKDTree

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.camera import back_project, project
from pandepth_mm.structures.panoptic_cloud import MAX_UNCERTAINTY, flying_pixels, panoptic_cloud

CAR, VOID = CLASSES.index('Car'), len(CLASSES)


def carries(line, i, step, jump, bend):
    """The docstring's second condition for one neighbor, in plain words."""
    z, near = line[i], line[i + step]
    if max(z, near) / min(z, near) <= 1 + jump:
        return True
    k = i + 2 * step
    if not 0 <= k < len(line) or not line[k] > 0:
        return False
    return abs(2 / near - 1 / line[k] - 1 / z) <= bend / z


def flying_in_line(line, jump, bend, reach):
    """Brute force over one row or column."""
    found = [False] * len(line)
    for i in range(len(line)):
        for step in range(1, reach + 1):
            if i < step or i + step >= len(line):
                continue
            a, z, b = line[i - step], line[i], line[i + step]
            if min(a, z, b) <= 0 or not (a < z < b or a > z > b):
                continue
            found[i] |= not carries(line, i, -step, jump, bend) and not carries(
                line, i, step, jump, bend
            )
    return found


@pytest.mark.parametrize('reach', [1, 2, 3])
def test_rule_is_that_of_brute_force(reach):
    rng = np.random.default_rng(reach)
    steps = np.exp(rng.choice([0, 0, 0.04, -0.04, 0.3, -0.3], (40, 50)))
    depth = 10 * np.cumprod(steps, axis=1).clip(0.2, 5)
    depth = cv2.blur(depth, (2, 1))
    depth[rng.random(depth.shape) < 0.05] = 0
    rows = [flying_in_line(line, 0.05, 0.03, reach) for line in depth]
    cols = [flying_in_line(line, 0.05, 0.03, reach) for line in depth.T]
    expected = np.array(rows) | np.array(cols).T
    assert 50 < expected.sum() < 0.8 * expected.size
    found = flying_pixels(depth.astype(np.float64), reach=reach)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('axis', [0, 1])
def test_plane_at_a_grazing_angle_keeps_all(dtype, axis):
    # a road 1.6 m below, up to one pixel under the horizon: 1160 m, and the next row is at half of
    # that
    rows = np.arange(1, 121, dtype=np.float64)
    depth = np.repeat(725 * 1.6 / rows[:, None], 30, axis=1).astype(dtype)
    assert (depth[0] > 1.9 * depth[1]).all()
    assert not flying_pixels(depth if axis == 0 else depth.T).any()


@pytest.mark.parametrize('smear', [1, 2, 3])
@pytest.mark.parametrize('far', [13.0, 20.0, 80.0])
def test_smeared_step_loses_its_smear_and_nothing_else(smear, far):
    line = np.r_[[10.0] * 8, np.linspace(10, far, smear + 2)[1:-1], [far] * 8]
    depth = np.repeat(line[None].astype(np.float32), 6, axis=0)
    expected = (depth > 10.01) & (depth < far - 0.01)
    assert expected.sum() == 6 * smear
    np.testing.assert_array_equal(flying_pixels(depth), expected)
    np.testing.assert_array_equal(flying_pixels(depth.T), expected.T)
    np.testing.assert_array_equal(flying_pixels(depth[:, ::-1]), expected[:, ::-1])


def test_sharp_edges_thin_poles_and_holes_stay():
    depth = np.full((20, 30), 40.0, dtype=np.float32)
    depth[:, 10:] = 10
    depth[:, 20] = 3
    depth[5, 5:15] = 0
    depth[10, 3] = np.nan
    assert not flying_pixels(depth).any()


def test_share_of_flying_pixels_found_on_a_rendered_frame(tmp_path):
    """The measurement of the docstring, on one frame."""
    pytest.importorskip('embreex', reason='the ray caster is not installed')
    from scenes import writer
    from scenes.camera import intrinsics
    from scenes.jobs import synthesize

    width, height = 1248, 384
    synthesize(tmp_path, 1, (width, height), 0, 1, ('Scene18',), ('clone',), progress=False)
    folder = tmp_path / 'Scene18' / 'clone'
    raw = cv2.imread(str(writer.image_path(folder, 'depth', 0)), cv2.IMREAD_UNCHANGED)
    exact, sky = raw / np.float32(100), raw == 65535
    cam = intrinsics(width, height)
    cam2img = np.array([[cam.focal, 0, cam.cx], [0, cam.focal, cam.cy], [0, 0, 1]])
    surface = cKDTree(back_project(np.where(sky, 0, exact), cam2img))
    smeared = cv2.resize(exact[1::3, 1::3], (width, height))
    distance = surface.query(back_project(smeared, cam2img))[0]
    off = distance.reshape(smeared.shape) / smeared
    judged = ~sky & (smeared < 80)
    found = flying_pixels(smeared)
    assert (off[judged] > 0.1).sum() > 1000
    assert found[judged & (off > 0.10)].mean() > 0.95
    assert found[judged & (off > 0.03)].mean() > 0.75
    assert found[judged & (off < 0.03)].mean() < 0.03
    assert flying_pixels(exact)[~sky].mean() < 0.01


def test_points_have_the_pixels_colors_and_labels():
    depth, image, panoptic = make_frame()
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, image.shape, dtype=np.uint8)
    cloud = panoptic_cloud(depth, CAM2IMG, image, panoptic, len(CLASSES))
    assert cloud.depth_uncertainty is None
    assert [c.dtype for c in cloud[:5]] == [np.float32, np.uint8, np.int32, np.int32, np.int32]
    assert len(cloud.xyz) == (depth > 0).sum() == 4004
    row, col = cloud.pixels.T
    assert (np.diff(row * 160 + col) > 0).all()
    np.testing.assert_array_equal(cloud.rgb, image[row, col])
    uv, z = project(cloud.xyz, CAM2IMG)
    np.testing.assert_allclose(uv, cloud.pixels[:, ::-1], atol=1e-3)
    np.testing.assert_allclose(z, depth[row, col])
    left = col < 70
    assert (cloud.labels[left] == CAR).all()
    assert (cloud.instances[left] == 3).all()
    assert (cloud.instances[~left] == 0).all()
    assert (cloud.labels == VOID).sum() == 4


def test_what_is_left_out():
    depth, image, panoptic = make_frame()

    def labels(depth=depth, panoptic=panoptic, **kwargs):
        cloud = panoptic_cloud(depth, CAM2IMG, image, panoptic, len(CLASSES), **kwargs)
        return np.unique(cloud.labels).tolist()

    assert labels() == [0, 1, 2]
    assert labels(max_depth=5.0) == [1]
    assert labels(skip_labels=(1, VOID)) == [0]
    assert labels(panoptic=np.full_like(panoptic, -1)) == [VOID]
    assert labels(panoptic=np.full_like(panoptic, 5999)) == [VOID]
    assert labels(depth=np.full_like(depth, np.nan)) == []

    flown = np.array([[10.0] * 4 + [15] + [20] * 4], dtype=np.float32)
    rgb, one = np.zeros((1, 9, 3), np.uint8), np.zeros((1, 9), np.uint8)
    kept = panoptic_cloud(flown, CAM2IMG, rgb, one, 2)
    assert kept.pixels[:, 1].tolist() == [0, 1, 2, 3, 5, 6, 7, 8]
    everything = panoptic_cloud(flown, CAM2IMG, rgb, one, 2, remove_flying=False)
    assert len(everything.xyz) == 9


def test_uncertain_points_are_left_out_and_the_others_keep_their_uncertainty():
    depth, image, panoptic = make_frame()
    rng = np.random.default_rng(0)
    share = rng.choice([0.02, 0.099, 0.101, 3], depth.shape)  # of the depth; 0.1 is the limit
    share[20, 20:24] = np.nan, np.inf, 1e-6, 0.02
    uncertainty = (share * depth).astype(np.float32)
    arguments = (depth, CAM2IMG, image, panoptic, len(CLASSES))

    def pixels(**kwargs):
        cloud = panoptic_cloud(*arguments, depth_uncertainty=uncertainty, **kwargs)
        assert cloud.depth_uncertainty.dtype == np.float32
        row, col = cloud.pixels.T
        np.testing.assert_array_equal(cloud.depth_uncertainty, uncertainty[row, col])
        np.testing.assert_allclose(cloud.xyz[:, 2], depth[row, col])
        return [tuple(p) for p in cloud.pixels.tolist()]

    def brute_force(limit):
        return [
            (row, col)
            for row, col in zip(*np.nonzero(depth), strict=True)
            if not np.isnan(share[row, col]) and share[row, col] <= limit
        ]

    assert MAX_UNCERTAINTY == 0.1
    assert 1000 < len(pixels()) < 3000
    assert pixels() == brute_force(0.1)
    assert pixels(max_uncertainty=0.05) == brute_force(0.05)
    assert len(pixels(max_uncertainty=None)) == (depth > 0).sum()


def test_flying_pixels_fly_however_certain_they_are():
    depth = np.array([[10.0] * 4 + [15] + [20] * 4], dtype=np.float32)
    uncertainty = np.full_like(depth, 0.1)
    uncertainty[0, 0] = 1.5
    arguments = (depth, CAM2IMG, np.zeros((1, 9, 3), np.uint8), np.zeros((1, 9), np.uint8), 2)
    for kwargs, expected in (
        (dict(), [1, 2, 3, 5, 6, 7, 8]),
        (dict(max_uncertainty=None), [0, 1, 2, 3, 5, 6, 7, 8]),
        (dict(remove_flying=False), [1, 2, 3, 4, 5, 6, 7, 8]),
    ):
        cloud = panoptic_cloud(*arguments, depth_uncertainty=uncertainty, **kwargs)
        assert cloud.pixels[:, 1].tolist() == expected
        assert len(cloud.depth_uncertainty) == len(expected)


def test_select_takes_the_same_points_of_every_column():
    depth, image, panoptic = make_frame()
    arguments = (depth, CAM2IMG, image, panoptic, len(CLASSES))
    for uncertainty in (None, np.linspace(0.01, 0.02, depth.size).reshape(depth.shape)):
        cloud = panoptic_cloud(*arguments, depth_uncertainty=uncertainty)
        some = cloud.select(np.array([7, 3000, 5]))
        for name, column in some._asdict().items():
            whole = getattr(cloud, name)
            if whole is None:
                assert name == 'depth_uncertainty' and column is None
            else:
                np.testing.assert_array_equal(column, [whole[7], whole[3000], whole[5]])


@pytest.mark.parametrize(
    'change, field',
    [
        (dict(depth=np.ones((60, 159), np.float32)), 'image'),
        (dict(depth=np.ones((60, 160), np.uint16)), 'depth'),
        (dict(depth=np.ones((1, 60, 160), np.float32)), 'depth'),
        (dict(image=np.zeros((60, 160, 3))), 'image'),
        (dict(panoptic=np.zeros((30, 80), int)), 'panoptic'),
        (dict(panoptic=np.zeros((60, 160))), 'panoptic'),
        (dict(cam2img=np.eye(3, 4)), 'cam2img'),
        (dict(max_depth=0.0), 'max_depth'),
        (dict(max_uncertainty=0.0), 'max_uncertainty'),
        (dict(depth_uncertainty=np.ones((60, 159), np.float32)), 'depth_uncertainty'),
        (dict(depth_uncertainty=np.ones((60, 160), int)), 'depth_uncertainty'),
        (dict(skip_labels=(3,)), 'skip_labels'),
    ],
)
def test_bad_input_is_named(change, field):
    depth, image, panoptic = make_frame()
    arguments = (
        dict(depth=depth, cam2img=CAM2IMG, image=image, panoptic=panoptic, num_classes=2) | change
    )
    with pytest.raises(InputError, match=f'^(panoptic_cloud: )?{field}: '):
        panoptic_cloud(**arguments)
