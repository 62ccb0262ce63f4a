"""The picture of a frame from plain arrays."""

import numpy as np
import pytest
from visual_samples import CAR, META, ROAD, SKY, make_image, make_sample

from pandepth_mm.errors import InputError
from pandepth_mm.structures.frame_maps import FrameMaps, InstanceArrays
from pandepth_mm.visualization.frame import PanDepthVisualizer
from pandepth_mm.visualization.frame.picture import frame_picture


def draw(image, pred, gt=None, sparse=None, **settings):
    settings = dict(META) | settings
    return frame_picture(image, pred, gt or FrameMaps(), sparse, **settings)


def make_maps(height=128, width=416):
    """The ground truth of ``make_sample``, made of arrays."""
    half = height // 2
    rows = slice(half, half + height // 5)
    masks = np.zeros((2, height, width), dtype=bool)
    masks[0, rows, width // 8 : width // 4] = True
    masks[1, rows, width // 2 : width * 3 // 4] = True
    semantic = np.full((height, width), SKY)
    semantic[half:] = ROAD
    depth = np.where(semantic == ROAD, 12.0, 0)
    semantic[masks.any(0)] = CAR
    semantic[-4:, -4:] = 255
    panoptic = semantic.copy()
    panoptic[masks[0]], panoptic[masks[1]] = CAR + 1000, CAR + 2000
    boxes = np.array(
        [[width // 8, half, width // 4, rows.stop], [width // 2, half, width * 3 // 4, rows.stop]],
        float,
    )
    return FrameMaps(
        semantic, InstanceArrays(boxes, np.array([CAR, CAR]), None, masks), panoptic, depth
    )


def test_arrays_and_data_sample_give_the_same_picture():
    visualizer = PanDepthVisualizer(max_depth=40)
    visualizer.dataset_meta = META
    sample = make_sample()
    picture = draw(
        make_image(), FrameMaps(), make_maps(), sample.sparse_depth.data[0].numpy(), max_depth=40
    )
    assert picture.dtype == np.uint8
    assert np.array_equal(picture, visualizer.render(make_image(), sample, draw_pred=False))


def test_nothing_but_an_image():
    picture = draw(make_image(), FrameMaps())
    # twice as large, below its title
    assert (picture.shape[1] // 832, picture.shape[0] // 256) == (1, 1)


def test_the_threshold_hides_an_instance():
    maps = make_maps()
    scored = maps.instances._replace(scores=np.array([0.9, 0.5]))
    one = maps.instances._replace(
        bboxes=maps.instances.bboxes[:1],
        labels=maps.instances.labels[:1],
        scores=np.array([0.9]),
        masks=maps.instances.masks[:1],
    )
    shown = draw(make_image(), FrameMaps(instances=scored))
    hidden = draw(make_image(), FrameMaps(instances=scored), score_thr=0.6)
    assert not np.array_equal(shown, hidden)
    assert np.array_equal(hidden, draw(make_image(), FrameMaps(instances=one)))


@pytest.mark.parametrize('field', FrameMaps._fields)
def test_maps_of_another_size(field):
    maps = make_maps(64, 208)
    maps = maps._replace(depth_uncertainty=maps.depth)
    maps = FrameMaps(**{field: getattr(maps, field)})
    for pred, gt in ((maps, None), (FrameMaps(), maps)):
        with pytest.raises(InputError, match=f'{field}: .*128, 416'):
            draw(make_image(), pred, gt)


def test_other_bad_input():
    with pytest.raises(InputError, match='image: found shape'):
        draw(np.zeros((8, 9)), FrameMaps())
    with pytest.raises(InputError, match='each of the 2 classes'):
        draw(make_image(), FrameMaps(), classes=('a', 'b'))
    with pytest.raises(InputError, match='depth_cmap'):
        draw(make_image(), make_maps(), depth_cmap='nothing')
    with pytest.raises(InputError, match='max_depth'):
        draw(make_image(), make_maps(), max_depth=0)
