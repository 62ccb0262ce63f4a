"""The density sweep on a tiny data set, with a model of random weights."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny_dataset import make_tiny_dataset

from pandepth_mm.datasets.transforms import ResampleSparseDepth
from pandepth_mm.evaluation.functional.depth_fill import FILLS, nearest_fill
from pandepth_mm.fileio import read_depth_png
from pandepth_mm.geometry.sampling import frame_seed, sample_depth
from pandepth_mm.registry import MODELS, set_default_scope

CONFIG = Path(__file__).parents[2] / 'configs/pandepth/pandepth_effb0_minivkitti.py'
FRAMES = 2
LINES = ('--azimuth-step', 2, '--elevation', -24.8, 2)


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    set_default_scope()
    torch.manual_seed(0)
    model = MODELS.build(Config.fromfile(CONFIG).model)
    path = tmp_path_factory.mktemp('weights') / 'random.pth'
    torch.save(dict(state_dict=model.state_dict()), path)
    return path


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return make_tiny_dataset(tmp_path_factory.mktemp('data'), num_frames=FRAMES, splits=('test',))


@pytest.fixture
def sweep(run_tool, checkpoint, data, tmp_path):
    """Run the tool with arguments; returns code, stdout, stderr, the file."""

    def run(*args, config=CONFIG, weights=checkpoint, root=data):
        loader = 'test_dataloader'
        code, out, err = run_tool(
            'analysis_tools/density_sweep',
            config,
            weights,
            *args,
            '--work-dir',
            tmp_path / 'work',
            '--cfg-options',
            f'{loader}.dataset.data_root={root}',
            f'{loader}.dataset.img_scale=(96,48)',
            f'{loader}.num_workers=0',
            f'{loader}.persistent_workers=False',
        )
        path = tmp_path / 'work/density_sweep.json'
        return code, out, err, path

    return run


def results(path):
    return json.loads(path.read_text())['results']


def fill_rmse(data, density):
    """RMSE in mm of the nearest fill of the samples, frame by frame."""
    errors = []
    for frame in range(FRAMES):
        name = f'test_{frame:05d}.png'
        dense = read_depth_png(data / 'source/depth' / name, 100, None, 65535)
        dense[dense > 60] = 0  # info.max_depth of the tiny data
        dense = (np.rint(dense * 256) / 256).astype(np.float32)
        seed = frame_seed(0, 'Scenetest', 'clone', 'Camera_0', frame, 'sparse_depth')
        filled = nearest_fill(sample_depth(dense, density, seed))
        gt_depth = read_depth_png(data / 'gt_depth_map' / name, 256)
        seen = gt_depth > 0
        difference = (filled - gt_depth)[seen].astype(float)
        errors.append(1000 * np.sqrt((difference**2).mean()))
    return np.mean(errors)


def test_sweep(sweep, data, tmp_path):
    figure = tmp_path / 'sweep.png'
    code, out, err, path = sweep(
        '--densities', 0.1, 0.02, '--lines', 12, *LINES, '--figure', figure
    )
    assert code == 0, err
    found = results(path)
    assert set(found) == {'random 0.02', 'random 0.1', '12 lines'}
    for density in (0.02, 0.1):
        metrics = found[f'random {density}']['metrics']
        assert metrics['input/density'] == pytest.approx(density, rel=0.01)
        assert metrics['depth/nearest_fill/rmse'] == pytest.approx(
            fill_rmse(data, density), rel=1e-6
        )
    assert 0.01 < found['12 lines']['metrics']['input/density'] < 0.2
    lines = out.splitlines()
    head = next(i for i, line in enumerate(lines) if 'RMSE mm' in line)
    for title in ('density %', 'MAE mm', 'nearest RMSE', 'classical RMSE', 'mIoU %', 'PQ %'):
        assert title in lines[head]
    rows = [[line[:16].strip(), *line[16:].split()] for line in lines[head + 2 : head + 5]]
    assert [row[0] for row in rows] == ['random 0.02', 'random 0.1', '12 lines']
    for row in rows:
        metrics = found[row[0]]['metrics']
        assert row[1] == f'{100 * metrics["input/density"]:.2f}'
        assert row[2] == f'{metrics["depth/rmse"]:.1f}'
        assert row[-2] == f'{100 * metrics["semantic/mIoU"]:.2f}'
    assert '6/6' in err  # two images in each of three settings
    assert figure.read_bytes().startswith(b'\x89PNG')


def test_stopped_and_started_again(sweep, monkeypatch, tmp_path):
    arguments = ('--densities', 0.02, 0.1)
    transform = ResampleSparseDepth.transform

    def stop_in_the_second(self, record):
        if self.density == 0.1 and record['frame'] == FRAMES - 1:
            raise KeyboardInterrupt
        return transform(self, record)

    with monkeypatch.context() as patch:
        patch.setattr(ResampleSparseDepth, 'transform', stop_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            sweep(*arguments)
    path = tmp_path / 'work/density_sweep.json'
    assert set(results(path)) == {'random 0.02'}
    # what is there is kept, not computed again
    content = json.loads(path.read_text())
    content['results']['random 0.02']['metrics']['depth/mae'] = 12345.0
    path.write_text(json.dumps(content))
    code, out, err, _ = sweep(*arguments)
    assert code == 0, err
    assert f'{FRAMES}/{FRAMES}' in err  # the images of one setting
    again = results(path)
    assert again['random 0.02']['metrics']['depth/mae'] == 12345
    whole = tmp_path / 'whole.json'
    code, _, err, _ = sweep('--densities', 0.1, '--out', whole)
    assert code == 0, err
    for key, value in results(whole)['random 0.1']['metrics'].items():
        if not key.endswith('time'):
            assert again['random 0.1']['metrics'][key] == value, key

    # nothing left to do: the table alone, without a model
    monkeypatch.setattr(ResampleSparseDepth, 'transform', None)
    code, out, err, _ = sweep(*arguments)
    assert code == 0 and '12345.0' in out and 'task/s' not in err
    # another sweep does not mix with it
    before = path.read_bytes()
    other = tmp_path / 'other.pth'
    torch.save(dict(state_dict={}), other)
    for changes, kwargs, named in (
        (('--seed', 1), {}, 'seed 0; expected seed 1'),
        (('--max-depth', 30), {}, 'max_depth 60.0; expected max_depth 30.0'),
        (LINES, {}, 'azimuth_step 0.18; expected azimuth_step 2.0'),
        ((), dict(weights=other), 'checkpoint '),
    ):
        code, _, err, _ = sweep(*arguments, *changes, **kwargs)
        assert code == 2 and named in err and 'another sweep' in err
        assert path.read_bytes() == before
    path.write_text('{"depth/rmse": 1}')
    code, _, err, _ = sweep(*arguments)
    assert code == 2 and 'without stamp' in err


@pytest.fixture
def without_dense(tmp_path):
    root = make_tiny_dataset(tmp_path / 'plain', num_frames=FRAMES, splits=('test',))
    path = root / 'annotations/panoptic_test.json'
    content = json.loads(path.read_text())
    for key in ('depth_file', 'dense_depth_file'):
        content['images'][1].pop(key, None)
    path.write_text(json.dumps(content))
    return root


def test_without_dense_depth(sweep, without_dense):
    code, out, err, path = sweep('--densities', 0.02, root=without_dense)
    assert code == 0, err
    assert 'sampled from the sparse depth' in out
    metrics = results(path)['random 0.02']['metrics']
    assert metrics['input/density_max'] == pytest.approx(92 / 4608)
    for arguments, named in (
        (('--densities', 0.02, 0.06), 'a density of 0.049913'),
        (('--lines', 8), 'no dense_depth_file for 1 of 2 images'),
    ):
        code, _, err, _ = sweep(*arguments, root=without_dense)
        assert code == 2 and named in err and 'Traceback' not in err


@pytest.mark.parametrize(
    'arguments, named',
    [
        ((), '--densities, --lines'),
        (('--densities', 0.1, 1.5), 'density'),
        (('--densities', 0), 'density'),
        (('--densities', 'much'), '--densities'),
        (('--lines', 1), 'lines'),
        (('--lines', 8, '--azimuth-step', 0), 'azimuth_step'),
        (('--lines', 8, '--elevation', 2, -20), 'elevation'),
        (('--densities', 0.1, '--max-depth', 0), 'max_depth'),
        (('--densities', 0.1, '--figure', 'curve.docx'), '--figure'),
        (('--densities', 0.1, '--out', Path(__file__).parent), '--out'),
    ],
)
def test_bad_flags(sweep, tmp_path, arguments, named):
    code, _, err, _ = sweep(*arguments)
    assert code == 2 and named in err and 'Traceback' not in err
    assert not (tmp_path / 'work').exists()  # before long work


def test_bad_files(sweep, tmp_path):
    code, _, err, _ = sweep('--lines', 8, weights='none.pth')
    assert code == 2 and 'none.pth' in err
    config = tmp_path / 'config.py'
    base = f"_base_ = '{CONFIG}'\n"
    for change, named in (
        ("test_evaluator = dict(_delete_=True, type='SemanticMetric')", 'DepthMetric'),
        (
            "test_dataloader = dict(dataset=dict(pipeline=[dict(type='LoadImageFromFile')]))",
            'LoadDepthMap',
        ),
    ):
        config.write_text(base + change)
        code, _, err, _ = sweep('--lines', 8, config=config)
        assert code == 2 and named in err, err
    assert not (tmp_path / 'work').exists()


def test_the_model_is_compared_with_the_best_fill_of_each_measure():
    tool = runpy.run_path(str(CONFIG.parents[2] / 'tools/analysis_tools/density_sweep.py'))
    metrics = {}
    for i, fill in enumerate(FILLS):
        metrics |= {f'depth/{fill}/rmse': 4.0 + i, f'depth/{fill}/mae': 4.0 - i}
        metrics |= {f'depth/{fill}/irmse': 1.0, f'depth/{fill}/imae': None}
    metrics |= {f'depth/{key}': 3.0 for key in ('rmse', 'mae', 'irmse', 'imae')}
    head, _, line = tool['format_ratios']({'8 lines': dict(metrics=metrics)}).splitlines()
    assert head.split() == ['model', '/', 'best', 'fill', 'RMSE', 'MAE', 'iRMSE', 'iMAE']
    assert line.split() == ['8', 'lines', '0.75', '1.50', '3.00', '-']


def test_each_fill_has_a_column():
    """And a setting without a value, such as an empty input, a dash."""
    tool = runpy.run_path(str(CONFIG.parents[2] / 'tools/analysis_tools/density_sweep.py'))
    metrics = {f'depth/{fill}/rmse': 1000.0 * i for i, fill in enumerate(FILLS, 1)}
    table = tool['format_sweep'](
        {
            '8 lines': dict(metrics=metrics),
            '9 lines': dict(metrics={'depth/planar_fill/rmse': None}),
        }
    )
    head, _, first, second = table.splitlines()
    assert head.split() == ['input', 'nearest', 'RMSE', 'classical', 'RMSE', 'planar', 'RMSE']
    assert first.split() == ['8', 'lines', '1000.0', '2000.0', '3000.0']
    assert second.split() == ['9', 'lines', '-', '-', '-']
