"""tools/infer.py: one frame, folders, restarts, videos and bad arguments."""

import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.structures import PixelData
from PIL import Image

from pandepth_mm.apis.writers import WRITERS
from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, find_config
from pandepth_mm.models.detectors import PanDepth

FRAME = Path(__file__).parents[2] / 'demo' / 'frame'
LIDAR = ('--points', FRAME / 'points.bin', '--calib', FRAME / 'calib.txt')


@pytest.fixture
def drive(tmp_path):
    """Folders of three frames; the second one is mirrored."""
    for folder in ('image', 'points', 'calib'):
        (tmp_path / folder).mkdir()
    image = cv2.imread(str(FRAME / 'image.jpg'))
    for i in range(3):
        cv2.imwrite(str(tmp_path / f'image/{i:03d}.png'), image[:, ::-1] if i == 1 else image)
        shutil.copy(FRAME / 'points.bin', tmp_path / f'points/{i:03d}.bin')
        shutil.copy(FRAME / 'calib.txt', tmp_path / f'calib/{i:03d}.txt')
    return tmp_path


def times(out):
    return {path: path.stat().st_mtime_ns for path in out.glob('*/*')}


def test_one_frame(run_tool, tmp_path):
    out = tmp_path / 'out'
    code, text, err = run_tool('infer', FRAME / 'image.jpg', *LIDAR, '--out', out)
    assert code == 0, err
    line, last = text.splitlines()
    assert line.startswith('image: 1242x375, 14551 measured pixels (3.1 %), ')
    assert ' Car' in line and line.endswith(' s')
    assert last == f'results: {out}'
    # every kind of file
    names = {name for name, _ in WRITERS.values()}
    assert {p.name for p in (out / 'image').iterdir()} == {*names, 'result.json'}
    # the very same command finds all done
    before = times(out)
    code, text, _ = run_tool('infer', FRAME / 'image.jpg', *LIDAR, '--out', out)
    assert code == 0 and '1 of 1 frames are there already' in text
    assert times(out) == before


def test_a_model_with_an_uncertainty(run_tool, faithful, tmp_path, monkeypatch):
    """Every kind of file by default, and only for such a model."""
    args = ('infer', FRAME / 'image.jpg', *LIDAR, '--out')
    config, weights = faithful
    without = ('--config', config, '--weights', weights, '--save', 'depth_uncertainty')
    code, _, err = run_tool(*args, tmp_path / 'none', *without)
    assert code == 2 and 'what depth_uncertainty is made of' in err
    original = PanDepth.test_step

    def test_step(model, data):
        samples = original(model, data)
        for sample in samples:
            sample.pred_depth_uncertainty = PixelData(data=sample.pred_depth_map.data / 4)
        return samples

    monkeypatch.setattr(PanDepth, 'test_step', test_step)
    code, _, err = run_tool(*args, tmp_path / 'all')
    assert code == 0, err
    out = tmp_path / 'all' / 'image'
    names = {name for name, _ in WRITERS.values()}
    assert {p.name for p in out.iterdir()} == {*names, 'result.json'}
    depth, uncertainty = (
        cv2.imread(str(out / f'{name}.png'), cv2.IMREAD_UNCHANGED)
        for name in ('depth', 'depth_uncertainty')
    )
    assert uncertainty.dtype == np.uint16
    assert np.abs(uncertainty - depth / 4).max() <= 1
    # a quarter of the depth is too much for the cloud
    assert b'element vertex 0\n' in (out / 'cloud.ply').read_bytes()[:2000]


def test_folders_restart_and_video(run_tool, drive):
    out = drive / 'out'
    args = (
        'infer',
        drive / 'image',
        '--points',
        drive / 'points',
        '--calib',
        drive / 'calib',
        '--out',
        out,
        '--save',
        'depth',
        'panels',
        '--batch-size',
        '2',
        '--video',
        drive / 'v.gif',
        '--fps',
        '5',
    )
    code, text, err = run_tool(*args)
    assert code == 0, err
    lines = text.splitlines()
    assert [line[:4] for line in lines[:3]] == ['000:', '001:', '002:']
    assert lines[3] == f'video: {drive / "v.gif"}, 3 frames'
    assert 'frames: 100%' in err  # the progress bar
    with Image.open(drive / 'v.gif') as video:
        assert video.n_frames == 3
    first = cv2.imread(str(out / '000/depth.png'), cv2.IMREAD_UNCHANGED)
    second = cv2.imread(str(out / '001/depth.png'), cv2.IMREAD_UNCHANGED)
    assert (first != second).any()
    # a run that was stopped goes on with what is missing, and only that
    before = times(out)
    (out / '001/result.json').unlink()
    (out / '001/depth.png').write_text('half')
    code, text, _ = run_tool(*args)
    assert code == 0 and '2 of 3 frames are there already' in text
    again = cv2.imread(str(out / '001/depth.png'), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(again, second)
    after = times(out)
    assert {p for p in before if before[p] != after[p]} == {
        p for p in before if p.parent.name == '001'
    }
    # other settings would mix two runs
    code, _, err = run_tool(*args, '--depth-resize', 'nearest')
    assert code == 2
    assert 'depth_resize: found results of another run: rasterize' in err
    assert times(out) == after
    code, text, _ = run_tool(*args, '--depth-resize', 'nearest', '--overwrite')
    assert code == 0 and 'already' not in text
    other = cv2.imread(str(out / '000/depth.png'), cv2.IMREAD_UNCHANGED)
    assert (other != first).any()


def test_sparse_depth_and_no_depth(run_tool, tmp_path):
    depth = np.zeros((375, 1242), np.uint16)
    depth[200::5, ::5] = 1000  # 10 m in centimeters
    cv2.imwrite(str(tmp_path / 'd.png'), depth)
    code, text, err = run_tool(
        'infer',
        FRAME / 'image.jpg',
        '--sparse-depth',
        tmp_path / 'd.png',
        '--depth-scale',
        100,
        '--out',
        tmp_path / 'a',
        '--weights',
        find_config(DEFAULT_MODEL).weights,
    )
    assert code == 0, err
    assert not (tmp_path / 'a/image/cloud.ply').exists()  # no calibration
    summary = json.loads((tmp_path / 'a/image/result.json').read_text())
    assert summary['measured_pixels'] == (depth > 0).sum()
    code, text, _ = run_tool(
        'infer',
        FRAME / 'image.jpg',
        '--out',
        tmp_path / 'b',
        '--save',
        'semantic',
        '--config',
        DEFAULT_MODEL,
    )
    assert code == 0 and ', a guess, ' in text


@pytest.mark.parametrize(
    'args, message',
    [
        (('no.png',), 'no.png: found no such file'),
        (
            (FRAME / 'image.jpg', '--points', FRAME / 'points.bin'),
            'calib: found None; expected the calibration of camera and LiDAR',
        ),
        (
            (FRAME / 'image.jpg', *LIDAR, '--sparse-depth', FRAME / 'image.jpg'),
            'sparse_depth, points: found both',
        ),
        ((FRAME / 'points.bin',), 'points.bin: found a file that cannot be dec'),
        (
            (FRAME / 'image.jpg', *LIDAR, '--device', 'cuda:99'),
            "device: found 'cuda:99', and torch sees",
        ),
        (
            (FRAME / 'image.jpg', '--weights', 'w.pth'),
            'w.pth: found no such file; expected a checkpoint',
        ),
        (
            (FRAME / 'image.jpg', '--config', 'pandepth_effb5_vkitti2'),
            'weights: found none; expected a checkpoint: none is shipped',
        ),
        ((FRAME / 'image.jpg', '--config', 'nope'), 'nope: found no such file'),
        ((FRAME / 'image.jpg', '--save', 'cloud'), '--save: found cloud without --calib'),
        (
            (FRAME / 'image.jpg', '--save', 'depth', '--video', 'v.mp4'),
            '--video: found no panels in --save',
        ),
        (
            (FRAME / 'image.jpg', '--video', 'v.avi'),
            "v.avi: suffix: found '.avi'; expected one of ['.mp4', '.gif']",
        ),
        ((FRAME / 'image.jpg', '--depth-scale', '0'), '--depth-scale: found 0.0'),
        ((FRAME / 'image.jpg', '--batch-size', '0'), '--batch-size: found 0'),
        ((FRAME / 'image.jpg', '--fps', '0', '--video', 'v.gif'), '--fps: found 0.0'),
    ],
)
def test_bad_arguments(run_tool, tmp_path, args, message):
    code, out, err = run_tool('infer', *args, '--out', tmp_path / 'out')
    assert code == 2
    (error,) = [x for x in err.splitlines() if x.startswith('error: ')]
    assert message in error and 'Traceback' not in err
    assert not (tmp_path / 'out').exists()


def test_a_bad_frame_among_many_is_found_first(run_tool, drive):
    """Nothing is computed, and nothing written, before all was looked at."""
    for bad, message in (
        ('image/002.png', 'cannot be decoded'),
        ('points/002.bin', 'found 7 bytes'),
        ('calib/002.txt', 'found 1 words without a name; expected a calibration: P2'),
    ):
        good = (drive / bad).read_bytes()
        (drive / bad).write_bytes(b'nothing')
        code, out, err = run_tool(
            'infer',
            drive / 'image',
            '--points',
            drive / 'points',
            '--calib',
            drive / 'calib',
            '--out',
            drive / 'out',
        )
        assert code == 2 and message in err and bad in err
        assert not (drive / 'out').exists()
        (drive / bad).write_bytes(good)


def test_folders_that_hold_something_else(run_tool, tmp_path):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'thesis.txt').write_text('mine')
    for name, message in (('file', 'found .*file, a file'), ('full', 'which holds something else')):
        code, _, err = run_tool('infer', FRAME / 'image.jpg', '--out', tmp_path / name)
        assert code == 2 and message.split('.*')[-1] in err
    assert os.listdir(tmp_path / 'full') == ['thesis.txt']
