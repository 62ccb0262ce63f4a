"""The listings of docs/extend.md: a package outside of this one, made of them, works.

tests/conftest.py writes them into a folder on the path; depth head, converter and metric have tests
of their own beside those of the package.
"""

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from extend_page import LISTINGS
from mmengine.config import Config
from mmengine.runner import Runner

ROOT = Path(__file__).parents[1]


def test_files_that_each_needs():
    """As the table of the page counts them."""
    assert sorted(LISTINGS) == [
        'toy_converter.py',
        'toy_dataset.py',
        'toy_dataset_config.py',
        'toy_depth_head.py',
        'toy_depth_head_config.py',
        'toy_metric.py',
    ]
    page = (ROOT / 'docs' / 'extend.md').read_text()
    assert '| a depth head | 1, and a config of 4 lines |' in page
    assert len(LISTINGS['toy_depth_head_config.py'].splitlines()) == 4
    # nothing of the package is imported that a listing does not need
    for name, text in LISTINGS.items():
        for line in re.findall(r'^from pandepth_mm\S* import (.+)$', text, re.M):
            for word in line.split(', '):
                assert len(re.findall(rf'\b{word}\b', text)) > 1, (name, word)


@pytest.fixture
def my_frames(tmp_path, monkeypatch):
    """Three frames in folders, the LiDAR in millimeters."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    root = Path('my_frames')
    for kind in ('image', 'lidar', 'depth', 'label'):
        (root / kind).mkdir(parents=True)
    for i in range(3):
        depth = rng.integers(2000, 60000, (48, 72)).astype(np.uint16)
        lidar = np.where(rng.random(depth.shape) < 0.1, depth, 0).astype(np.uint16)
        label = np.repeat([[2], [1], [0], [255]], 12, axis=0) * np.ones((1, 72))
        cv2.imwrite(f'my_frames/image/{i}.png', rng.integers(0, 256, (48, 72, 3), np.uint8))
        cv2.imwrite(f'my_frames/lidar/{i}.png', lidar)
        cv2.imwrite(f'my_frames/depth/{i}.png', depth)
        cv2.imwrite(f'my_frames/label/{i}.png', label.astype(np.uint8))
    np.savetxt(root / 'cam2img.txt', [[60, 0, 35.5], [0, 60, 23.5], [0, 0, 1]])
    return root


def test_data_set_trains_and_tests(my_frames, extension):
    cfg = Config.fromfile(extension / 'toy_dataset_config.py')
    small = ROOT / 'configs' / 'pandepth' / 'pandepth_effb0_minivkitti.py'
    model = Config.fromfile(small).model
    for name in ('rpn_head', 'roi_head', 'panoptic_fusion'):
        model.pop(name)
    cfg.model = {**model, **dict(num_things=1, num_stuff=2)}
    cfg.model.backbone.init_cfg = None
    cfg.work_dir = 'work'
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=1, val_interval=10)
    cfg.default_hooks = dict(checkpoint=dict(type='CheckpointHook', interval=1))
    cfg.param_scheduler = None
    for loader in (cfg.train_dataloader, cfg.test_dataloader):
        loader.update(num_workers=0, persistent_workers=False)
    cfg.val_dataloader = cfg.val_cfg = cfg.val_evaluator = None
    runner = Runner.from_cfg(cfg)
    runner.train()
    metrics = runner.test()
    assert 0 <= metrics['semantic/mIoU'] <= 1 and metrics['depth/rmse'] > 0
    # the ground truth was read as it is: a third of the class pixels each, millimeters
    sample = runner.test_dataloader.dataset[0]['data_samples']
    assert np.bincount(sample.gt_sem_seg.sem_seg.ravel())[[0, 1, 2, 255]].tolist() == [864] * 4
    depth = cv2.imread('my_frames/depth/0.png', cv2.IMREAD_UNCHANGED) / 1000
    np.testing.assert_allclose(sample.gt_depth_map.data[0], depth, rtol=1e-6)
