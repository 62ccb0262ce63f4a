"""What the shipped weights predict on the demo's frame, in a few numbers.

The weights were trained with one channel order, one mean and std, one geometry of the
interpolations. Nothing but a prediction shows that these are still the ones in use. The tolerances
are some ten times what noise of 1e-4 on every weight does, more than what one gray level on every
pixel does, and less than what a wrong channel order, a mean 3 off, a std 10 % off or another last
interpolation do.
"""

from pathlib import Path

import mmcv
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from pandepth_mm.engine.checkpoint import fill_model, read_checkpoint
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.camera import points_to_depth, transform_points
from pandepth_mm.geometry.point_files import read_points
from pandepth_mm.registry import MODELS, TRANSFORMS, set_default_scope
from pandepth_mm.structures.vkitti2_meta import CLASSES

ROOT = Path(__file__).parents[3]
NAME = 'pandepth_effb0_minivkitti_long'
FRAME = ROOT / 'demo' / 'frame'

SHARES = dict(Car=0.1024, Van=0.1085, Terrain=0.1692, Sky=0.1242, Tree=0.0791, Road=0.1706)
# boxes of the instances with a score over 0.5, and pixels in the panoptic map
CARS = [
    ((6.7, 173.1, 221.6, 299.9), 20317),
    ((207.3, 171.4, 389.9, 253.3), 11614),
    ((776.7, 146.0, 1132.1, 355.1), 53738),
]
# median depth of windows (top, bottom, left, right), meters
DEPTHS = {
    (300, 360, 500, 700): 7.514,
    (150, 250, 0, 150): 8.828,
    (100, 200, 1050, 1240): 9.230,
    (0, 375, 0, 1242): 14.350,
}


@pytest.fixture(scope='module')
def sample():
    """The prediction, through the test pipeline but for what loads files."""
    set_default_scope()  # the fixture of the module comes before conftest's
    cfg = Config.fromfile(ROOT / 'configs' / 'pandepth' / f'{NAME}.py')
    weights = str(ROOT / 'pandepth_mm' / 'weights' / f'{NAME}.pth')
    model = MODELS.build(cfg.model).eval()
    fill_model(model, read_checkpoint(weights), weights)

    image = mmcv.imread(str(FRAME / 'image.jpg'))
    size = image.shape[:2]
    calibration = read_calibration(FRAME / 'calib.txt')
    points = transform_points(read_points(FRAME / 'points.bin'), calibration.lidar2cam)
    dataset = cfg.test_dataloader.dataset
    steps = [TRANSFORMS.build(s) for s in dataset.pipeline if 'Load' not in s.type]
    item = Compose(steps)(
        dict(
            img=image,
            img_id=0,
            img_path='image.jpg',
            img_shape=size,
            ori_shape=size,
            img_scale=dataset.img_scale,
            sparse_depth=points_to_depth(points, calibration.cam2img, size),
            cam2img=calibration.cam2img,
        )
    )
    with torch.no_grad():
        return model.test_step(pseudo_collate([item]))[0]


def test_semantic_shares(sample):
    labels = sample.pred_sem_seg.sem_seg
    found = {name: (labels == CLASSES.index(name)).float().mean().item() for name in SHARES}
    assert found == pytest.approx(SHARES, abs=0.0015)


def test_instances(sample):
    instances = sample.pred_instances[sample.pred_instances.scores > 0.5]
    instances = instances[instances.bboxes[:, 0].argsort()]
    boxes = torch.tensor([box for box, _ in CARS])
    assert instances.labels.tolist() == [CLASSES.index('Car')] * len(CARS)
    torch.testing.assert_close(instances.bboxes, boxes, rtol=0, atol=4)
    panoptic = sample.pred_panoptic_seg.sem_seg[0]
    ids, areas = panoptic[panoptic >= 1000].unique(return_counts=True)
    assert (ids % 1000 == CLASSES.index('Car')).all()
    assert sorted(areas.tolist()) == pytest.approx(sorted(a for _, a in CARS), rel=0.02)


def test_depth(sample):
    depth = sample.pred_depth_map.data[0]
    found = {(t, b, x, y): depth[t:b, x:y].median().item() for t, b, x, y in DEPTHS}
    assert found == pytest.approx(DEPTHS, rel=0.006)
