"""SimulateLidar in a training pipeline."""

import numpy as np
import pytest
from mmengine.runner import Runner
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.errors import InputError
from pandepth_mm.geometry.camera import back_project
from pandepth_mm.registry import DATASETS, TRANSFORMS

TRAIN = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadPanopticMap'),
    dict(
        type='LoadDepthMap', key='gt_depth_map', source='dense_depth', invalid=65535, max_depth=80
    ),
    dict(type='FlipPanopticDepth'),
    dict(type='RandomResizePanopticDepth', ratio_range=(0.7, 1.5)),
    dict(type='RandomCropPanopticDepth', crop_size=(48, 80)),
    dict(type='SimulateLidar'),
    dict(type='PhotoNoise'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackPanopticDepthInputs'),
]


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('out'), size=(60, 120), empty_frames=(2,))


def simulate(results, seed=0, **kwargs):
    np.random.seed(seed)
    return TRANSFORMS.build(dict(type='SimulateLidar', **kwargs))(dict(results))


def only(kind, **kwargs):
    """Arguments for measurements of one kind, without loss or noise, by a sensor in the camera."""
    place = dict.fromkeys(('tilt', 'right', 'above', 'ahead'), (0, 0))
    return (
        place
        | dict(
            random_prob=float(kind == 'random'),
            lines_prob=float(kind == 'lines'),
            drop_prob_random=0,
            drop_prob_lines=0,
            noise=(0, 0),
            relative_noise=(0, 0),
            uneven=0,
        )
        | kwargs
    )


@pytest.fixture
def frame():
    """A wall that slants from 5 to 10 m, and sky above it."""
    depth = np.repeat(np.linspace(5, 10, 100, dtype=np.float32)[None], 60, axis=0)
    depth[:10] = 0
    return dict(gt_depth_map=depth, cam2img=np.array([[60.0, 0, 49.5], [0, 60, 29.5], [0, 0, 1]]))


def test_training_pipeline(root):
    dataset = DATASETS.build(tiny_config(root, pipeline=TRAIN))
    np.random.seed(0)
    measured = 0
    for i in range(12):
        item = dataset[i % 4]
        sparse, truth = (item['data_samples'].get(k).data for k in ('sparse_depth', 'gt_depth_map'))
        assert item['inputs']['img'].shape == (3, 48, 80)
        assert sparse.shape == truth.shape == (1, 48, 80)
        measured += int((sparse > 0).sum())
    assert measured > 1000


def test_density_is_in_its_range(frame):
    shares = []
    for seed in range(40):
        results = simulate(frame, seed, **only('random', density=(0.01, 0.2)))
        sparse, truth = results['sparse_depth'], frame['gt_depth_map']
        assert sparse.dtype == np.float32
        np.testing.assert_array_equal(sparse[sparse > 0], truth[sparse > 0])
        shares.append((sparse > 0).mean())
    assert 0.0099 < min(shares) < 0.02 and 0.1 < max(shares) < 0.2001
    # even in the logarithm: half below the geometric mean
    assert 0.3 < (np.array(shares) < np.sqrt(0.01 * 0.2)).mean() < 0.7


def test_no_measurement(frame):
    frame['points'] = np.ones((3, 3), np.float32)
    results = simulate(frame, **only('none'))
    assert results['sparse_depth'].shape == (60, 100) and not results['sparse_depth'].any()
    assert results['points'].shape == (0, 3)


def test_points_are_those_of_the_map(frame):
    frame['points'] = np.ones((3, 3), np.float32)
    results = simulate(frame, **only('lines'))
    points = back_project(results['sparse_depth'], frame['cam2img'])
    np.testing.assert_array_equal(results['points'], points)
    assert len(points) > 100


def flat_wall(distance=10.0):
    """A wall that fills the image, 60 degrees wide and 30 degrees high."""
    cam2img = np.array([[200.0, 0, 115.5], [0, 200, 53.5], [0, 0, 1]])
    return dict(gt_depth_map=np.full((108, 232), distance, np.float32), cam2img=cam2img)


@pytest.mark.parametrize('lines', [2, 8, 31])
def test_number_of_lines_and_their_elevation(lines):
    """In the middle column each beam measures once, where its elevation says."""
    ends = dict(lowest=(-14, -14), highest=(13, 13), lines=(lines, lines), azimuth_step=(0.1, 0.1))
    sparse = simulate(flat_wall(), **only('lines', **ends))['sparse_depth']
    rows = np.flatnonzero(sparse[:, 115])[::-1]
    assert len(rows) == lines
    found = np.degrees(np.arctan((53.5 - rows) / 200))
    np.testing.assert_allclose(found, np.linspace(-14, 13, lines), atol=0.15)
    # a beam that does not look level is a hyperbola in the image: it bends away from the middle
    left = np.flatnonzero(sparse[:, 0])[::-1]
    steep = np.degrees(np.arctan((53.5 - left) / np.hypot(200, 115.5)))
    inside = np.linspace(-14, 13, lines)[np.abs(np.linspace(-14, 13, lines)) < 12]
    assert len(left) >= len(inside)
    assert all(np.abs(steep - elevation).min() < 0.15 for elevation in inside)


def test_lines_are_in_their_range():
    numbers = []
    for seed in range(60):
        args = only(
            'lines', lowest=(-14, -14), highest=(13, 13), lines=(3, 24), azimuth_step=(0.1, 0.1)
        )
        sparse = simulate(flat_wall(), seed, **args)['sparse_depth']
        numbers.append(np.count_nonzero(sparse[:, 115]))
    assert min(numbers) == 3 and 21 <= max(numbers) <= 24
    assert 0.3 < np.mean(np.array(numbers) < np.sqrt(3 * 25)) < 0.7  # even in the logarithm


def test_azimuth_step_and_tilt():
    args = only('lines', lowest=(-8, -8), highest=(8, 8), lines=(2, 2), azimuth_step=(1, 1))
    sparse = simulate(flat_wall(), **args)['sparse_depth']
    azimuth = np.degrees(np.arctan((np.nonzero(sparse)[1] - 115.5) / 200))
    steps = np.diff(np.sort(azimuth)[::2])
    np.testing.assert_allclose(steps, 1, atol=0.3)
    # roll turns the line; pitch moves it: (4, 4) is 4 degrees of both
    level = dict(lowest=(0, 0), highest=(30, 30), lines=(2, 2), tilt=(4, 4))
    rows, cols = np.nonzero(simulate(flat_wall(), **only('lines', **level))['sparse_depth'])
    slope, middle = np.polyfit(cols - 115.5, rows - 53.5, 1)
    assert abs(slope) == pytest.approx(np.tan(np.radians(4)), rel=0.1)
    assert abs(middle) == pytest.approx(200 * np.tan(np.radians(4)), rel=0.1)


@pytest.mark.parametrize(
    'place, past',
    [
        (dict(right=(0.3, 0.3)), np.s_[:, 22:]),
        (dict(right=(-0.3, -0.3)), np.s_[:, :18]),
        (dict(above=(0.3, 0.3)), np.s_[:18]),
        (dict(), None),
    ],
)
def test_the_place_of_the_sensor(place, past):
    """It sees the wall past the edge of the panel that it is nearer to."""
    frame = flat_wall(40.0)
    panel = np.s_[34:74, 96:136]
    frame['gt_depth_map'][panel] = 5
    # rows and columns far enough apart that the panel's own returns leave some pixels free
    args = only('lines', lowest=(-14, -14), highest=(13, 13), lines=(24, 24)) | place
    past_edge = np.zeros((40, 40), bool)
    for seed in range(5):
        results = simulate(frame, seed, **args, azimuth_step=(0.9, 0.9))
        measured = results['sparse_depth'][panel]
        assert set(np.unique(measured)) <= {0, 5, 40}
        past_edge |= measured == 40
    assert past_edge.any() == (past is not None)
    if past is not None:
        past_edge[past] = False
        assert not past_edge.any()


def test_range_drop_out_and_noise():
    cols = np.linspace(10, 90, 232, dtype=np.float32)
    frame = flat_wall()
    frame['gt_depth_map'][:] = cols
    dense = only('random', density=(1, 1), max_range=(70, 70))
    whole = simulate(frame, **dense)['sparse_depth']
    rows, at = np.indices(whole.shape)
    distance = cols * np.sqrt(1 + ((at - 115.5) / 200) ** 2 + ((rows - 53.5) / 200) ** 2)
    np.testing.assert_array_equal(whole > 0, distance <= 70)

    drops = dict(drop_prob_random=1, drop=(0.2, 0.2), drop_far=(0.5, 0.5), drop_regions=(0, 0))
    kept = simulate(frame, **dense | drops)['sparse_depth'] > 0
    for low, high in ((10, 20), (40, 50), (60, 70)):
        among = (distance > low) & (distance <= high)
        expected = 0.8 * (1 - 0.5 * np.mean((distance[among] / 70) ** 2))
        assert kept[among].mean() == pytest.approx(expected, abs=0.03)

    noisy = simulate(frame, **dense | dict(noise=(0.03, 0.03), relative_noise=(0.001, 0.001)))
    error = (noisy['sparse_depth'] - whole) * distance / cols  # along the ray
    for low, high in ((10, 20), (60, 70)):
        among = (distance > low) & (distance <= high)
        assert error[among].std() == pytest.approx(0.03 + 0.0005 * (low + high), rel=0.1)
        assert abs(error[among].mean()) < 0.01
    assert (noisy['sparse_depth'] > 0).sum() == (whole > 0).sum()


def test_regions():
    """Of three rectangles two are as high as the image."""
    sizes = dict(drop_regions=(3, 3), region_size=(0.1, 0.1), drop=(0, 0), drop_far=(0, 0))
    args = only('random', density=(1, 1), drop_prob_random=1, **sizes)
    strips = blocks = 0
    for seed in range(10):
        lost = simulate(flat_wall(), seed, **args)['sparse_depth'] == 0
        strip = lost.all(axis=0)
        strips += strip.sum()
        blocks += (lost & ~strip).sum()
    assert 10 * 24 < strips <= 10 * 2 * 24  # half of one lies outside at most
    assert 0.2 * 11 * 24 < blocks / 10 <= 11 * 24


def test_drop_out_by_its_probability():
    args = only('random', density=(1, 1), drop_prob_random=0.3, drop=(0.2, 0.2))
    dropped = sum(
        not simulate(flat_wall(), seed, **args)['sparse_depth'].all() for seed in range(100)
    )
    assert 18 < dropped < 42


def test_kinds_by_their_probability(frame):
    counts = []
    args = only('none') | dict(random_prob=0.3, lines_prob=0.5, density=(0.5, 0.5))
    for seed in range(150):
        counts.append((simulate(frame, seed, **args)['sparse_depth'] > 0).mean())
    counts = np.array(counts)
    assert 0.1 < (counts == 0).mean() < 0.3
    assert 0.2 < (counts == 0.5).mean() < 0.4


def test_the_seed_decides(frame):
    frame['gt_depth_map'].setflags(write=False)
    first, again, other = (simulate(frame, seed)['sparse_depth'] for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def load_epochs(root, seed, epochs=2):
    """Sparse depth of one frame, by worker and epoch: 2 epochs of 4 copies in 2 workers."""
    pipeline = [*TRAIN[:3], dict(type='SimulateLidar', random_prob=1, lines_prob=0), TRAIN[-1]]
    dataset = tiny_config(root, pipeline=pipeline, indices=[0])
    loader = Runner.build_dataloader(
        dict(
            dataset=dict(type='RepeatDataset', dataset=dataset, times=4),
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_size=1,
            num_workers=2,
            persistent_workers=True,
        ),
        seed=seed,
    )
    return [batch['inputs']['sparse_depth'][0].numpy() for _ in range(epochs) for batch in loader]


def test_workers_and_epochs_differ_and_runs_repeat(root):
    """As mmengine seeds them, with the loader of our configs."""
    first, again, other = (load_epochs(root, seed) for seed in (7, 7, 9))
    np.testing.assert_array_equal(first, again)
    assert len({sparse.tobytes() for sparse in (*first, *other)}) == 16


@pytest.mark.parametrize(
    'wrong',
    [
        dict(source='depth'),
        dict(random_prob=0.7, lines_prob=0.4),
        dict(density=(0, 0.1)),
        dict(density=0.1),
        dict(lines=(1, 8)),
        dict(lines=(8, 12.5)),
        dict(lowest=(-10, 2), highest=(1, 6)),
        dict(noise=(0.1, 0)),
        dict(drop=(0, 1.5)),
        dict(uneven=0.6),
        dict(azimuth_step=(0, 1)),
    ],
)
def test_wrong_values(wrong):
    with pytest.raises(InputError, match=f'SimulateLidar: .*{list(wrong)[0]}'):
        TRANSFORMS.build(dict(type='SimulateLidar', **wrong))
