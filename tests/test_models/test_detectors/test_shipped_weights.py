"""What the shipped weights predict on the demo's frame, in a few numbers.

The weights were trained with one channel order, one mean and std, one geometry of the
interpolations. Nothing but a prediction shows that these are still the ones in use. The tolerances
are some ten times what noise of 1e-4 on every weight does, more than what one gray level on every
pixel does, and less than what a wrong channel order, a mean 3 off, a std 10 % off or another last
interpolation do.
"""

from pathlib import Path
from typing import NamedTuple

import mmcv
import pytest
import torch
from mmcv.transforms import Compose
from mmengine.config import Config
from mmengine.dataset import pseudo_collate

from pandepth_mm.engine.checkpoint import fill_model, read_checkpoint
from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, find_config
from pandepth_mm.geometry.calibration_files import read_calibration
from pandepth_mm.geometry.camera import points_to_depth, transform_points
from pandepth_mm.geometry.point_files import read_points
from pandepth_mm.registry import MODELS, TRANSFORMS, set_default_scope
from pandepth_mm.structures.vkitti2_meta import CLASSES

ROOT = Path(__file__).parents[3]
FRAME = ROOT / 'demo' / 'frame'


class Expected(NamedTuple):
    """What a model predicts.

    Attributes:
        shares: Of the semantic map, by class.
        boxes: Classes and boxes of the instances with a score over 0.6, from left to right.
        segments: Classes and pixels of the things in the panoptic map, by size.
        depths: Median depth of windows (top, bottom, left, right), meters.
    """

    shares: dict[str, float]
    boxes: list[tuple[str, tuple[float, float, float, float]]]
    segments: list[tuple[str, int]]
    depths: dict[tuple[int, int, int, int], float]


EXPECTED = Expected(
    dict(Car=0.1719, Terrain=0.1591, Sky=0.1224, Tree=0.0890, Building=0.1254, Road=0.2075),
    [
        ('Car', (0.0, 173.1, 198.2, 305.0)),
        ('Car', (217.6, 176.3, 376.0, 250.9)),
        ('Truck', (572.4, 116.7, 663.9, 184.0)),
        ('Car', (669.2, 147.9, 718.9, 184.9)),
        ('Car', (753.1, 170.8, 837.0, 256.1)),
        ('Van', (866.3, 142.7, 1138.2, 351.2)),
    ],
    [('Car', 1339), ('Truck', 5220), ('Car', 6171), ('Car', 10002), ('Car', 20702), ('Van', 41417)],
    {
        (300, 360, 500, 700): 7.560,
        (150, 250, 0, 150): 8.526,
        (100, 200, 1050, 1240): 12.985,
        (0, 375, 0, 1242): 13.083,
    },
)


@pytest.fixture(scope='module')
def sample():
    """The prediction, through the test pipeline but for what loads files."""
    set_default_scope()  # the fixture of the module comes before conftest's
    files = find_config(DEFAULT_MODEL)
    cfg = Config.fromfile(files.config)
    model = MODELS.build(cfg.model).eval()
    fill_model(model, read_checkpoint(files.weights), files.weights)

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
    found = {
        name: (labels == CLASSES.index(name)).float().mean().item() for name in EXPECTED.shares
    }
    assert found == pytest.approx(EXPECTED.shares, abs=0.0015)


def test_instances(sample):
    instances = sample.pred_instances[sample.pred_instances.scores > 0.6]
    instances = instances[instances.bboxes[:, 0].argsort()]
    names, boxes = zip(*EXPECTED.boxes, strict=True)
    assert [CLASSES[label] for label in instances.labels.tolist()] == list(names)
    torch.testing.assert_close(instances.bboxes, torch.tensor(boxes), rtol=0, atol=4)
    panoptic = sample.pred_panoptic_seg.sem_seg[0]
    ids, areas = panoptic[panoptic >= 1000].unique(return_counts=True)
    found = sorted(zip(areas.tolist(), (ids % 1000).tolist(), strict=True))
    assert [CLASSES[label] for _, label in found] == [name for name, _ in EXPECTED.segments]
    areas = [area for _, area in EXPECTED.segments]
    assert [area for area, _ in found] == pytest.approx(areas, rel=0.02)


def test_depth(sample):
    depth = sample.pred_depth_map.data[0]
    found = {(t, b, x, y): depth[t:b, x:y].median().item() for t, b, x, y in EXPECTED.depths}
    assert found == pytest.approx(EXPECTED.depths, rel=0.006)
