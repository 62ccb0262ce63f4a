"""Other sparse inputs, in the test pipeline of the configs."""

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from test_converters.vkitti2_frames import make_root, quiet
from tiny_dataset import make_tiny_dataset, tiny_config

from pandepth_mm.errors import InputError
from pandepth_mm.evaluation.metrics import InputDensityMetric
from pandepth_mm.fileio import read_depth_png
from pandepth_mm.geometry.lidar import beam_elevations, scan_line_mask
from pandepth_mm.registry import DATASETS, TRANSFORMS

ROOT = Path(__file__).parents[2]
BASE = ROOT / 'configs/_base_/datasets/vkitti2_panoptic_depth.py'


def build(root, split='train', img_scale=(96, 48), at=2, **arguments):
    """The data set with the configs' test pipeline and our transform."""
    pipeline = Config.fromfile(BASE).test_pipeline
    if arguments:
        pipeline.insert(at, dict(type='ResampleSparseDepth', **arguments))
    return DATASETS.build(tiny_config(root, split, pipeline, img_scale=img_scale))


def sparse(dataset, index=0):
    return dataset[index]['inputs']['sparse_depth'][0].numpy()


@pytest.fixture(scope='module')
def root(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('resample'))


@pytest.fixture(scope='module')
def without_dense(tmp_path_factory):
    root = make_tiny_dataset(tmp_path_factory.mktemp('plain'))
    path = root / 'annotations/panoptic_train.json'
    data = json.loads(path.read_text())
    for image in data['images']:
        del image['dense_depth_file']
    path.write_text(json.dumps(data))
    return root


def dense(root, index=0):
    depth = read_depth_png(root / f'source/depth/train_{index:05d}.png', 100, None, 65535)
    return np.rint(depth * 256) / 256  # as the sparse files hold it


def test_random_samples(root):
    """Exact counts and depths; thinner samples are part of denser ones."""
    dense_depth = dense(root)
    maps = [sparse(build(root, density=d)) for d in (0.005, 0.05, 0.2, 1)]
    for depth, count in zip(maps, (23, 230, 922), strict=False):
        assert depth.dtype == np.float32
        assert np.count_nonzero(depth) == count  # of 4608 pixels
        np.testing.assert_array_equal(depth[depth > 0], dense_depth[depth > 0])
    for thin, thick in zip(maps, maps[1:], strict=False):
        assert (thick[thin > 0] > 0).all()
    np.testing.assert_array_equal(maps[-1], dense_depth)  # all that there is
    near = sparse(build(root, density=1, max_depth=10))
    np.testing.assert_array_equal(near, np.where(dense_depth > 10, 0, dense_depth))


def test_draws_depend_on_seed_and_frame_only(root):
    samples = build(root, density=0.05)
    first = sparse(samples, 0)
    sparse(samples, 1)
    np.testing.assert_array_equal(sparse(samples, 0), first)
    np.testing.assert_array_equal(sparse(build(root, density=0.05, seed=0), 0), first)
    assert (sparse(build(root, density=0.05, seed=1), 0) != first).any()
    # two frames of one content: the name alone makes the difference
    record = dict(
        sparse_depth=np.ones((20, 30), np.float32),
        img_id=1,
        scene='a',
        variation='b',
        camera='c',
        frame=0,
    )
    thin = TRANSFORMS.build(dict(type='ResampleSparseDepth', density=0.1, source='sparse_depth'))
    maps = [
        thin({**record, **change})['sparse_depth'].tobytes()
        for change in (
            dict(),
            dict(img_id=2),
            dict(frame=1),
            dict(scene=None),
            dict(scene=None, img_id=2),
        )
    ]
    assert maps[0] == maps[1] and len(set(maps)) == 4


def test_the_converters_own_input(tmp_path):
    """Its seed, density and range give the file that it wrote."""
    make_root(tmp_path / 'in', scale=12, frames=1)
    quiet(tmp_path / 'in', tmp_path / 'out', workers=1)
    arguments = dict(split='test', img_scale=(96, 72))
    given = build(tmp_path / 'out', **arguments)
    sampled = build(tmp_path / 'out', density=0.05, seed=0, max_depth=80.0, **arguments)
    for index in range(len(given)):
        expected = sparse(given, index)
        assert np.count_nonzero(expected) == round(0.05 * 72 * 96)
        np.testing.assert_array_equal(sparse(sampled, index), expected)


def test_scan_lines(root):
    arguments = dict(lines=12, azimuth_step=3.0, elevation=(-20.0, 1.0))
    depth = sparse(build(root, **arguments))
    dense_depth = dense(root)
    cam2img = build(root).get_data_info(0)['cam2img']
    mask = scan_line_mask(dense_depth, cam2img, beam_elevations(12, (-20, 1)), 3)
    np.testing.assert_array_equal(depth, np.where(mask, dense_depth, 0))
    assert 50 < np.count_nonzero(depth) < 400


def test_drawn_before_the_resize(root):
    """Points are lost in the resize, the density is kept."""
    small = build(root, img_scale=(48, 24), density=0.2)
    sample = small[0]['data_samples']
    assert sample.sparse_depth.data.shape == (1, 24, 48)
    count = np.count_nonzero(sparse(small))
    assert abs(count - 0.2 * 24 * 48) < 4 * np.sqrt(0.2 * 0.8 * 24 * 48)
    with pytest.raises(InputError, match='after ResizePanopticDepth'):
        build(root, density=0.2, at=3)[0]


def test_density_metric(root):
    metric = InputDensityMetric()
    for index, density in enumerate((0.05, 0.2)):
        sample = build(root, density=density)[index]['data_samples']
        padded = sample.to_dict()
        data = np.ones((1, 64, 128), np.float32)
        data[:, :48, :96] = sample.sparse_depth.data.numpy()
        padded['sparse_depth'] = dict(data=data)
        metric.process({}, [padded])
    values = metric.evaluate(2)
    assert values == pytest.approx(
        {
            'input/density': (230 + 922) / 2 / 4608,
            'input/density_min': 230 / 4608,
            'input/density_max': 922 / 4608,
        },
        abs=1e-12,
    )


def test_thinning_the_given_input(without_dense):
    given = sparse(build(without_dense))
    thin = sparse(build(without_dense, density=0.02, source='sparse_depth'))
    assert np.count_nonzero(given) == 230 and np.count_nonzero(thin) == 92
    np.testing.assert_array_equal(thin[thin > 0], given[thin > 0])
    same = build(without_dense, density=0.05, source='sparse_depth')
    np.testing.assert_array_equal(sparse(same), given)
    with pytest.raises(
        InputError,
        match='train_00000.png: found a density of 0.049913.*at least the density asked for, 0.06',
    ):
        build(without_dense, density=0.06, source='sparse_depth')[0]
    with pytest.raises(InputError, match="depth_file.*source='sparse_depth'"):
        build(without_dense, density=0.02)[0]


@pytest.mark.parametrize(
    'arguments, named',
    [
        (dict(), 'density, lines'),
        (dict(density=0.1, lines=8), 'density, lines'),
        (dict(density=0), 'density'),
        (dict(density=1.1), 'density'),
        (dict(density=float('nan')), 'density'),
        (dict(lines=1), 'lines'),
        (dict(lines=1000), 'lines'),
        (dict(lines=8.0), 'lines'),
        (dict(lines=8, azimuth_step=0), 'azimuth_step'),
        (dict(lines=8, elevation=(2, -24)), 'elevation'),
        (dict(lines=8, elevation=(-90, 2)), 'elevation'),
        (dict(density=0.1, max_depth=-1), 'max_depth'),
        (dict(density=0.1, source='lidar'), 'source'),
        (dict(lines=8, source='sparse_depth'), 'source'),
    ],
)
def test_refusals(arguments, named):
    with pytest.raises(InputError, match=f'ResampleSparseDepth: {named}: '):
        TRANSFORMS.build(dict(type='ResampleSparseDepth', **arguments))
