"""The contact sheet of a data set, in a real browser without a network."""

import io

import numpy as np
import pytest
from browser import launch_browser, open_file
from PIL import Image

from pandepth_mm.visualization.frame.colors import color_depth
from pandepth_mm.visualization.frame.contact_sheet import (
    SheetFrame,
    sheet_pictures,
    write_contact_sheet,
)

PALETTE = [(232, 0, 56), (62, 39, 63)]
CLASSES = ['Car <b>', 'Road']


def scene():
    """A gray image, a car in its left half, a wall 10 m and 40 m away."""
    image = np.full((60, 120, 3), 120, np.uint8)
    panoptic = np.full((60, 120), 1)
    panoptic[:, :60] = 1000  # the first instance of class 0
    depth = np.full((60, 120), 10, np.float32)
    depth[:, 60:] = 40
    depth[:20] = 0
    return image, panoptic, depth


def test_maps_lie_over_the_image():
    image, panoptic, depth = scene()
    pictures = dict(sheet_pictures(image, panoptic, {'input': depth}, PALETTE))
    assert list(pictures) == ['image', 'panoptic', 'input, 0 (bright) to 40 m']
    np.testing.assert_array_equal(pictures['image'], image)
    mixed = 0.6 * np.array(PALETTE) + 0.4 * 120
    overlay = pictures['panoptic']
    np.testing.assert_array_equal(overlay[30, 30], np.rint(mixed[0]))
    np.testing.assert_array_equal(overlay[30, 90], np.rint(mixed[1]))
    points = pictures['input, 0 (bright) to 40 m']
    np.testing.assert_array_equal(points[5, 5], [42, 42, 42])  # no measurement: the image, dim
    np.testing.assert_array_equal(points[40], color_depth(depth, 0, 40)[40])


def test_large_images_are_shrunk_and_ids_are_not_mixed():
    image, panoptic, depth = (np.repeat(np.repeat(x, 8, 0), 8, 1) for x in scene())
    image[:] = 0
    pictures = sheet_pictures(image, panoptic, {}, PALETTE)
    assert [picture.shape for _, picture in pictures] == [(210, 420, 3)] * 2
    colors = {tuple(color) for color in pictures[1][1].reshape(-1, 3).tolist()}
    white = (153, 153, 153)  # the boundary of the instance
    expected = {tuple(np.rint(0.6 * np.array(c)).astype(int).tolist()) for c in PALETTE}
    assert colors == expected | {white}


@pytest.fixture(scope='module')
def browser():
    with launch_browser() as browser:
        yield browser


def test_page_in_a_browser(browser, tmp_path):
    path = tmp_path / 'sheet.html'
    pictures = sheet_pictures(*scene()[:2], {'input': scene()[2]}, PALETTE)
    frames = [
        SheetFrame('train: a.jpg', [], pictures),
        SheetFrame('train: <i>.jpg', ['missing: <i>.jpg'], []),
    ]
    write_contact_sheet(path, 'My & data', 'frames  2\nbox <3', frames, CLASSES, PALETTE)
    with open_file(browser, path, width=1000, height=700) as page:
        assert page.title() == 'My & data'
        assert page.inner_text('pre') == 'frames  2\nbox <3'
        assert page.locator('.legend span').all_text_contents() == CLASSES
        assert page.locator('h2').all_text_contents() == ['train: a.jpg', 'train: <i>.jpg']
        assert page.locator('.problem').all_text_contents() == ['missing: <i>.jpg']
        captions = page.locator('figcaption').all_text_contents()
        assert captions == [caption for caption, _ in pictures]
        # side by side, decoded, and in the right colors
        boxes = [figure.bounding_box() for figure in page.locator('figure').all()]
        assert len({box['y'] for box in boxes}) == 1 and boxes[0]['x'] < boxes[1]['x']
        for i, (_, picture) in enumerate(pictures):
            shown = np.asarray(
                Image.open(io.BytesIO(page.locator('img').nth(i).screenshot())).convert('RGB')
            )
            height, width = shown.shape[:2]
            assert width / height == pytest.approx(2, abs=0.05)
            for x in (0.25, 0.75):  # JPEG is not exact
                found = shown[int(height * 0.7), int(width * x)].astype(int)
                expected = picture[int(60 * 0.7), int(120 * x)].astype(int)
                assert np.abs(found - expected).max() < 12
        # nothing sticks out of a narrow window
        page.set_viewport_size(dict(width=400, height=700))
        assert page.evaluate('document.documentElement.scrollWidth') <= 400
