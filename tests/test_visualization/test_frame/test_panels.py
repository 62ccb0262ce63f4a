"""Layout, title lines, color bars, legends and the instance panel."""

import numpy as np
import pytest

from pandepth_mm.errors import InputError
from pandepth_mm.structures.panoptic_cloud import MAX_UNCERTAINTY
from pandepth_mm.visualization.frame import instances, panels
from pandepth_mm.visualization.frame.colors import depth_lut
from pandepth_mm.visualization.frame.panels import ColorBar, Panel

GREEN = (10, 200, 30)


def make_panels(count, height, width):
    return [
        Panel(f'P{i}', np.full((height, width, 3), GREEN, dtype=np.uint8)) for i in range(count)
    ]


def has_color(picture, color):
    return (picture == np.array(color)).all(-1)


@pytest.mark.parametrize(
    'height, width, shape', [(200, 1000, (6, 1)), (375, 1242, (3, 2)), (480, 640, (2, 3))]
)
def test_grid_follows_the_aspect_of_the_image(height, width, shape):
    grid = panels.arrange(make_panels(6, height, width))
    assert (len(grid), len(grid[0])) == shape
    assert [p.title for row in grid for p in row] == [f'P{i}' for i in range(6)]


def test_last_row_is_filled_up():
    grid = panels.arrange(make_panels(5, 375, 1242))
    assert [len(row) for row in grid] == [2, 2, 2]
    assert grid[-1][-1] is None


def test_pairs_stand_side_by_side_or_one_above_the_other():
    wide = make_panels(10, 375, 1242)
    grid = panels.arrange_pairs(list(zip(wide[::2], wide[1::2], strict=True)))
    assert [[p.title for p in row] for row in grid[:2]] == [['P0', 'P1'], ['P2', 'P3']]
    square = make_panels(10, 480, 640)
    pairs = list(zip(square[::2], square[1::2], strict=True))
    grid = panels.arrange_pairs(pairs)
    assert len(grid) == 2 and grid[1][0].title == 'P1'


@pytest.mark.parametrize('height, width', [(128, 416), (375, 1242)])
def test_compose_shows_every_pixel_of_every_panel(height, width):
    grid = panels.arrange(make_panels(6, height, width))
    picture = panels.compose_panels(grid)
    assert has_color(picture, GREEN).sum() == 6 * height * width
    rows, cols = len(grid), len(grid[0])
    assert rows * height < picture.shape[0] < 1.3 * rows * height + 60
    assert cols * width < picture.shape[1] < 1.05 * cols * width + 60


def test_compose_leaves_empty_cells_white_and_repeats_itself():
    grid = [[make_panels(1, 60, 200)[0], None]]
    picture = panels.compose_panels(grid)
    right = picture[:, picture.shape[1] // 2 + 5 :]
    assert (right == 255).all()
    assert np.array_equal(picture, panels.compose_panels(grid))


def test_compose_refuses_no_panel_and_different_sizes():
    with pytest.raises(InputError, match='at least one panel'):
        panels.compose_panels([[None]])
    two = make_panels(1, 60, 200) + make_panels(1, 60, 201)
    with pytest.raises(InputError, match='one size'):
        panels.compose_panels([two])


def test_legend_shows_the_swatches_and_wraps():
    grid = [make_panels(1, 60, 300)]
    few = panels.compose_panels(grid, [('Car', (255, 127, 80))])
    assert has_color(few, (255, 127, 80)).sum() > 50
    legend = [(f'Class {i}', (i, 0, 7)) for i in range(14)]
    many = panels.compose_panels(grid, legend + [('void', None)])
    assert all(has_color(many, color).any() for _, color in legend)
    assert many.shape[1] == few.shape[1]
    assert many.shape[0] > few.shape[0]


def test_tick_labels():
    labels = panels.tick_labels(ColorBar(0, 60, 'viridis'))
    assert labels == [(0, '0'), (20, '20'), (40, '40'), (60, '60 m')]
    labels = panels.tick_labels(ColorBar(0, 60, 'viridis', clipped=True))
    assert labels[-1] == (60, '>60 m')
    # 75 m is no tick, so 60 is not the end
    labels = panels.tick_labels(ColorBar(0, 75, 'viridis', clipped=True))
    assert labels[-1] == (60, '60 m')


def test_ticks_of_the_uncertainty():
    bar = panels.uncertainty_bar(np.array([0, 3, 10]))
    # it ends where the cloud leaves points out
    assert bar.vmax == 100 * MAX_UNCERTAINTY == 10
    expected = [(0, '0'), (2, '2'), (4, '4'), (6, '6'), (8, '8'), (10, '10 % of depth')]
    assert panels.tick_labels(bar) == expected
    clipped = panels.uncertainty_bar(np.array([0, 3, 10.5]))
    assert panels.tick_labels(clipped) == [*expected[:-1], (10, '>10 % of depth')]


@pytest.mark.parametrize('title', ['Depth', 'Depth, ground truth'])
@pytest.mark.parametrize('width', [624, 1242])
def test_title_line_holds_the_whole_color_bar(width, title):
    panel = make_panels(1, 150, width)[0]._replace(title=title)
    plain = panels.compose_panels([[panel]])
    picture = panels.compose_panels([[panel._replace(colorbar=ColorBar(0, 80, 'viridis'))]])
    assert picture.shape == plain.shape
    assert has_color(picture, GREEN).sum() == 150 * width
    lut = depth_lut('viridis')
    rows, cols = np.nonzero(has_color(picture, lut[0]))
    end_rows, end_cols = np.nonzero(has_color(picture, lut[-1]))
    # from left to right, in one line, as wide as needed to read it
    assert set(rows) == set(end_rows)
    assert end_cols.max() - cols.min() > 100
    assert end_cols.max() < width
    # the numbers end inside the picture
    assert (picture[:, -2:] == 255).all()


def draw(bboxes, labels, scores, masks, thr=0.5, size=(100, 200)):
    image = np.full((*size, 3), 100, dtype=np.uint8)
    return instances.draw_instances(
        image,
        np.array(bboxes, float),
        np.array(labels),
        scores,
        masks,
        ['Truck', 'Car'],
        [(160, 60, 60), (255, 127, 80)],
        thr,
    )


def test_no_instances_gives_the_dimmed_image():
    picture = draw(np.zeros((0, 4)), [], np.zeros(0), np.zeros((0, 100, 200)))
    assert (picture == round(100 * instances.DIM)).all()
    none = draw(np.zeros((0, 4)), [], None, None)
    assert np.array_equal(picture, none)


def test_instance_mask_box_and_threshold():
    masks = np.zeros((2, 100, 200), dtype=bool)
    masks[0, 40:80, 50:90] = True
    masks[1, 40:80, 120:160] = True
    picture = draw([[50, 40, 90, 80], [120, 40, 160, 80]], [1, 1], np.array([0.9, 0.4]), masks)
    dim, alpha = round(100 * instances.DIM), instances.MASK_ALPHA
    expected = [round((1 - alpha) * dim + alpha * c) for c in (255, 127, 80)]
    assert picture[60, 70].tolist() == expected
    assert tuple(picture[60, 50]) == (255, 127, 80)  # the box
    assert (picture[:, 100:] == dim).all()  # below the threshold
    both = draw([[50, 40, 90, 80], [120, 40, 160, 80]], [1, 1], None, masks)
    assert not (both[:, 120:161] == dim).all()


def test_better_scored_instance_lies_on_top():
    masks = np.zeros((2, 100, 200), dtype=bool)
    masks[:, 40:80, 50:90] = True
    box = [50, 40, 90, 80]
    picture = draw([box, box], [0, 1], np.array([0.6, 0.9]), masks)
    assert tuple(picture[60, 50]) == (255, 127, 80)


def test_masks_are_brought_to_the_size_of_the_panel():
    masks = np.zeros((1, 50, 100), dtype=bool)
    masks[0, 20:40, 25:45] = True
    small = draw([[50, 40, 90, 80]], [0], None, masks)
    large = draw([[50, 40, 90, 80]], [0], None, masks.repeat(2, 1).repeat(2, 2))
    assert np.array_equal(small, large)


def test_texts_do_not_cover_each_other():
    taken = []
    for _ in range(6):
        place = instances._free_place((50, 40, 90, 60), (60, 12), (200, 100), taken)
        if place is None:
            break
        for other in taken:
            assert (
                place[2] <= other[0]
                or other[2] <= place[0]
                or place[3] <= other[1]
                or other[3] <= place[1]
            )
        assert 0 <= place[0] < place[2] <= 200
        assert 0 <= place[1] < place[3] <= 100
        taken.append(place)
    assert 2 <= len(taken) <= 4


def test_box_beyond_the_image_and_text_wider_than_it():
    picture = draw([[-30, -20, 500, 400]], [0], np.array([0.99]), None, size=(8, 12))
    assert picture.shape == (8, 12, 3)
    assert tuple(picture[0, 0]) == (160, 60, 60)
