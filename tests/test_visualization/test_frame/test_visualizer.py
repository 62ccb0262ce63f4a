"""The visualizer on whole, single-task, empty and wrong samples."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmengine.visualization import Visualizer
from visual_samples import CAR, META, PREDICTIONS, ROAD, SKY, VOID, make_image, make_sample

from pandepth_mm.errors import InputError
from pandepth_mm.registry import VISUALIZERS
from pandepth_mm.visualization.frame import PanDepthVisualizer
from pandepth_mm.visualization.frame import picture as module
from pandepth_mm.visualization.frame.colors import color_depth, depth_lut, instance_shade


@pytest.fixture
def visualizer():
    vis = PanDepthVisualizer()
    vis.dataset_meta = META
    return vis


@pytest.fixture
def composed(monkeypatch):
    """Titles, pictures and legend handed to compose_panels."""
    seen = {}

    def spy(grid, legend):
        seen['rows'] = [[p and p.title for p in row] for row in grid]
        seen['panels'] = {p.title: p for row in grid for p in row if p}
        seen['legend'] = [name for name, _ in legend]
        return original(grid, legend)

    original = module.compose_panels
    monkeypatch.setattr(module, 'compose_panels', spy)
    return seen


def pixel(panel, row, col, scale=2):
    """The pixel of the enlarged panel at a pixel of the frame."""
    return tuple(int(c) for c in panel.image[row * scale + 1, col * scale + 1])


def test_predictions_beside_ground_truth(visualizer, composed):
    visualizer.render(make_image(), make_sample())
    assert composed['rows'] == [
        ['Image', composed['rows'][0][1]],
        ['Semantic', 'Semantic, ground truth'],
        ['Instances', 'Instances, ground truth'],
        ['Panoptic', 'Panoptic, ground truth'],
        ['Depth', 'Depth, ground truth'],
    ]
    assert composed['rows'][0][1].startswith('Sparse depth, ')
    assert composed['legend'] == ['Car', 'Sky', 'Road', 'void', 'no depth']


def test_class_colors_are_the_same_in_each_panel(visualizer, composed):
    visualizer.render(make_image(), make_sample())
    panels, palette = composed['panels'], META['palette']
    for title in ('Semantic', 'Semantic, ground truth', 'Panoptic', 'Panoptic, ground truth'):
        assert pixel(panels[title], 30, 300) == palette[SKY], title
        assert pixel(panels[title], 120, 300) == palette[ROAD], title
        assert pixel(panels[title], 70, 80) == palette[CAR], title
    # the second car: missed in the prediction, a shade in the ground truth
    assert pixel(panels['Panoptic'], 70, 250) == palette[ROAD]
    assert pixel(panels['Panoptic, ground truth'], 70, 250) == instance_shade(palette[CAR], 1)
    # void differs: predicted top left, true bottom right
    assert pixel(panels['Panoptic'], 1, 1) not in palette
    assert pixel(panels['Panoptic, ground truth'], 126, 414) not in palette


def test_one_depth_scale_for_all_panels(visualizer, composed):
    visualizer.render(make_image(), make_sample())
    panels = composed['panels']
    depth_panels = [p for t, p in panels.items() if 'epth' in t]
    assert len(depth_panels) == 3
    (bar,) = {p.colorbar for p in depth_panels}
    # measured depths are 12 m; the prediction's 30 m do not widen the scale
    assert (bar.vmin, bar.vmax, bar.clipped) == (0, 15, True)
    expected = color_depth(np.array([[12.0, 30.0]]), 0, 15)
    gt, pred = panels['Depth, ground truth'], panels['Depth']
    assert pixel(gt, 120, 300) == tuple(expected[0, 0].tolist())
    assert pixel(pred, 120, 300) == tuple(expected[0, 1].tolist())
    visualizer.max_depth = 80
    visualizer.render(make_image(), make_sample())
    assert composed['panels']['Depth'].colorbar.vmax == 80


def test_uncertainty_in_percent_of_the_depth(visualizer, composed):
    sample = make_sample()
    uncertainty = torch.full((1, 128, 416), 1.5)  # of 30 m
    uncertainty[0, :20] = 3.1
    uncertainty[0, -20:] = 1e-4
    sample.pred_depth_uncertainty = PixelData(data=uncertainty)
    visualizer.render(make_image(), sample)
    assert composed['rows'][-2:] == [['Depth', 'Depth, ground truth'], ['Depth uncertainty', None]]
    panel = composed['panels']['Depth uncertainty']
    assert panel.colorbar[:2] == (0, 10) and panel.colorbar.clipped
    lut = depth_lut('cividis')
    for row, color in ((60, 128), (5, 255), (120, 0)):
        assert pixel(panel, row, 300) == tuple(lut[color].tolist())
    # without depth it means nothing
    sample.pred_depth_map.data[0, 60] = 0
    visualizer.render(make_image(), sample)
    assert pixel(composed['panels']['Depth uncertainty'], 60, 300) == (0, 0, 0)
    visualizer.render(make_image(), sample, draw_pred=False)
    assert 'Depth uncertainty' not in composed['panels']
    sample.pred_depth_uncertainty = PixelData(data=torch.ones(1, 64, 208))
    with pytest.raises(InputError, match='b.png: pred_depth_uncertainty: .*128, 416'):
        visualizer.render(make_image(), sample)


@pytest.mark.parametrize(
    'field, title',
    [
        ('pred_sem_seg', 'Semantic'),
        ('pred_instances', 'Instances'),
        ('pred_panoptic_seg', 'Panoptic'),
        ('pred_depth_map', 'Depth'),
    ],
)
@pytest.mark.parametrize('gt', [True, False])
def test_single_task_samples(visualizer, composed, field, title, gt):
    sample = make_sample(keep=[field], gt=gt)
    visualizer.render(make_image(), sample)
    titles = {t for t in composed['panels'] if not t.startswith('Sparse')}
    expected = {'Image', title}
    if gt:
        expected.add(f'{title}, ground truth')
    assert titles == expected
    # a ground truth that is not drawn is not in the legend
    assert ('void' in composed['legend']) == (
        field == 'pred_panoptic_seg' or (gt and field == 'pred_sem_seg')
    )


def test_switches(visualizer, composed):
    sample = make_sample()
    visualizer.render(make_image(), sample, draw_gt=False)
    assert len(composed['panels']) == 6
    visualizer.render(make_image(), sample, draw_pred=False)
    assert len(composed['panels']) == 6
    assert pixel(composed['panels']['Panoptic, ground truth'], 70, 250) == instance_shade(
        META['palette'][CAR], 1
    )
    visualizer.render(make_image(), None)
    assert list(composed['panels']) == ['Image']


def test_all_void_and_no_instances(visualizer, composed):
    sample = make_sample()
    sample.pred_panoptic_seg.sem_seg[:] = VOID
    sample.pred_sem_seg.sem_seg[:] = 255
    sample.pred_instances = sample.pred_instances[:0]
    sample.gt_instances = sample.gt_instances[:0]
    sample.gt_sem_seg.sem_seg[:] = 255
    sample.gt_panoptic_seg.sem_seg[:] = VOID
    sample.gt_depth_map.data[:] = 0
    sample.sparse_depth.data[:] = 0
    sample.pred_depth_map.data[:] = float('nan')
    visualizer.render(make_image(), sample)
    assert composed['legend'] == ['void', 'no depth']
    assert not composed['panels']['Depth'].image.any()
    hatch = composed['panels']['Panoptic'].image
    assert np.array_equal(hatch, composed['panels']['Semantic'].image)
    assert len(np.unique(hatch.reshape(-1, 3), axis=0)) == 2


def test_instances_below_the_threshold_are_left_out(visualizer, composed):
    sample = make_sample(keep=['pred_instances'], gt=False)
    visualizer.render(make_image(), sample, pred_score_thr=0.95)
    assert 'Car' not in composed['legend']
    visualizer.render(make_image(), sample, pred_score_thr=0.85)
    assert 'Car' in composed['legend']


@pytest.mark.parametrize(
    'height, width', [(64, 320), (128, 416), (375, 1242), (240, 320), (20, 30), (400, 3000)]
)
def test_sizes(visualizer, composed, height, width):
    picture = visualizer.render(make_image(height, width), make_sample(height, width))
    assert picture.dtype == np.uint8 and picture.ndim == 3
    assert 600 <= picture.shape[1] < 7500
    assert 150 <= picture.shape[0] < 4000
    shape = composed['panels']['Image'].image.shape
    assert 600 <= shape[1] <= 1400
    assert shape[1] / shape[0] == pytest.approx(width / height, rel=0.01)


def test_rendering_is_deterministic_and_leaves_the_sample_alone(visualizer):
    sample, image = make_sample(), make_image()
    before = [sample.pred_panoptic_seg.sem_seg.clone(), image.copy()]
    first = visualizer.render(image, sample)
    assert np.array_equal(first, visualizer.render(image, sample))
    other = PanDepthVisualizer()
    other.dataset_meta = META
    assert np.array_equal(first, other.render(image, make_sample()))
    assert torch.equal(before[0], sample.pred_panoptic_seg.sem_seg)
    assert np.array_equal(before[1], image)


@pytest.mark.parametrize(
    'field', PREDICTIONS + ('gt_sem_seg', 'gt_instances', 'gt_panoptic_seg', 'gt_depth_map')
)
def test_maps_of_another_size_are_an_input_error(visualizer, tmp_path, field):
    sample = make_sample()
    smaller = make_sample(64, 208)
    sample.set_field(smaller.get(field), field)
    out_file = tmp_path / 'a.png'
    with pytest.raises(InputError, match=f'a/b.png: {field}: .*128, 416'):
        visualizer.add_datasample('a', make_image(), sample, out_file=str(out_file))
    assert list(tmp_path.iterdir()) == []


def test_other_bad_input(visualizer):
    with pytest.raises(InputError, match='image'):
        visualizer.render(np.zeros((8, 9)), None)
    sample = make_sample()
    sample.pred_sem_seg = PixelData(sem_seg=torch.zeros(2, 128, 416))
    with pytest.raises(InputError, match='pred_sem_seg: found shape'):
        visualizer.render(make_image(), sample)
    visualizer.dataset_meta = dict(classes=('A', 'B'), palette=[(0, 0, 0)])
    with pytest.raises(InputError, match='each of the 2 classes'):
        visualizer.render(make_image(), make_sample())
    with pytest.raises(InputError, match='depth_cmap'):
        PanDepthVisualizer(depth_cmap='nothing')
    with pytest.raises(InputError, match='max_depth'):
        PanDepthVisualizer(max_depth=0)


def test_classes_of_other_data_sets(composed):
    vis = PanDepthVisualizer()
    vis.dataset_meta = dict(classes=('Person', 'Sky', 'Wall'))
    sample = make_sample(keep=['pred_sem_seg'], gt=False)
    sample.pred_sem_seg.sem_seg %= 5  # labels 1, 3, 4; two of them void
    vis.render(make_image(), sample)
    assert composed['legend'] == ['Sky', 'void', 'no depth']


def test_out_file_is_the_rendered_picture(visualizer, tmp_path):
    out_file = tmp_path / 'sub' / 'a.png'
    visualizer.add_datasample('a', make_image(), make_sample(), out_file=str(out_file))
    written = cv2.imread(str(out_file))[..., ::-1]
    expected = visualizer.render(make_image(), make_sample())
    assert np.array_equal(written, expected)
    assert [p.name for p in out_file.parent.iterdir()] == ['a.png']


def test_backends_get_the_picture(tmp_path):
    vis = VISUALIZERS.build(
        dict(
            type='PanDepthVisualizer',
            name='test_backends',
            vis_backends=[dict(type='LocalVisBackend')],
            save_dir=str(tmp_path),
        )
    )
    assert isinstance(vis, PanDepthVisualizer)
    assert Visualizer.get_current_instance() is vis
    vis.add_datasample('val_x', make_image(), make_sample(), step=30)
    (image,) = tmp_path.rglob('*.png')
    assert image.name == 'val_x_30.png'
    assert np.array_equal(
        cv2.imread(str(image))[..., ::-1], vis.render(make_image(), make_sample())
    )
    # with a file of its own the backends get nothing
    vis.add_datasample('y', make_image(), make_sample(), out_file=str(tmp_path / 'y.png'))
    assert len(list(tmp_path.rglob('*.png'))) == 2


def test_show_opens_a_window_and_stores_nothing(visualizer, monkeypatch):
    shown = []
    monkeypatch.setattr(
        visualizer, 'show', lambda image, **kwargs: shown.append((image.shape, kwargs))
    )
    monkeypatch.setattr(visualizer, 'add_image', lambda *args: 1 / 0)
    visualizer.add_datasample('a', make_image(), make_sample(), show=True, wait_time=2)
    assert shown[0][1] == dict(win_name='a', wait_time=2)
