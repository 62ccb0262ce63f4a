"""The page of a cloud, in a real browser without a network."""

import json
import re

import numpy as np
import pytest
from browser import launch_browser
from cloud_browser import count_color, open_page, plot_picture, where_color
from cloud_samples import BLUE, BLUE_DEPTH, CLASSES, PALETTE, RED, RED_DEPTH, make_cloud

from pandepth_mm.errors import InputError
from pandepth_mm.structures.panoptic_cloud import PanopticCloud
from pandepth_mm.visualization.cloud.page import write_cloud_page
from pandepth_mm.visualization.frame.colors import color_depth, depth_lut

YELLOW, GREEN = PALETTE
MANY = 500  # pixels that a block covers at least, seen from its side too


@pytest.fixture(scope='module')
def browser():
    with launch_browser() as browser:
        yield browser


@pytest.fixture(scope='module')
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('page') / 'cloud.html'
    write_cloud_page(path, make_cloud(), CLASSES, PALETTE, title='Two blocks')
    return path


def center(picture, color):
    """Mean row and column of a color, which must be there."""
    there = np.argwhere(where_color(picture, color))
    assert len(there) > MANY
    return there.mean(axis=0)


def wait_for_center(page, color, target, atol=2):
    """Wait until the center of a color is where it should be.

    The plot is drawn a moment after the page has done its part.
    """
    for _ in range(20):
        picture = plot_picture(page)[:600]  # above the bar
        there = np.argwhere(where_color(picture, color))
        if len(there) > MANY and np.abs(there.mean(axis=0) - target).max() <= atol:
            return
        page.wait_for_timeout(250)
    np.testing.assert_allclose(center(picture, color), target, atol=atol)


def test_first_view_shows_the_cloud_as_the_camera_saw_it(browser, page_file):
    with open_page(browser, page_file) as page:
        picture = plot_picture(page)
        assert page.title() == 'Two blocks'
        assert page.inner_text('#points') == '4,004 points'
        assert page.locator('#legend button').all_text_contents() == ['Road', 'Car', 'void']
        assert not page.is_visible('#bar')
    height, width = picture.shape[:2]
    for color, side in ((RED, 0), (BLUE, width / 2)):
        row, col = center(picture, color)
        assert side < col < side + width / 2
        assert height / 4 < row < height * 3 / 4
    # z is up: the red block, 4 m wide and high, is seen from the front
    rows, cols = np.nonzero(where_color(picture, RED))
    assert np.ptp(cols) == pytest.approx(np.ptp(rows) * 5 / 4, rel=0.1)


def test_buttons_switch_the_colors(browser, page_file):
    near, far = color_depth(np.array([[RED_DEPTH, BLUE_DEPTH]]), 0, BLUE_DEPTH)[0]
    # blue is dark: 255 * 0.114 of 256 brightnesses
    gray = (49, 49, 49)
    with open_page(browser, page_file) as page:
        first = plot_picture(page)
        for mode, left, right in (
            ('class', GREEN, YELLOW),
            ('instance', GREEN, gray),
            ('depth', near, far),
            ('rgb', RED, BLUE),
        ):
            page.click(f'#modes button[data-mode={mode}]')
            wait_for_center(page, left, center(first, RED))
            wait_for_center(page, right, center(first, BLUE))
            assert page.get_attribute(f'[data-mode={mode}]', 'aria-pressed') == 'true'
            assert page.locator('#modes [aria-pressed=true]').count() == 1
            assert page.is_visible('#bar') == (mode == 'depth')
            if mode == 'depth':
                assert page.locator('#bar span').last.inner_text() == '8 m'


def test_uncertainty_has_its_button_and_its_scale(browser, tmp_path):
    cloud = make_cloud()
    red = cloud.labels == CLASSES.index('Car')
    share = np.where(red, 0.05, 0.2)  # of the depth
    share[:3] = np.nan
    cloud = cloud._replace(depth_uncertainty=(share * cloud.xyz[:, 2]).astype(np.float32))
    write_cloud_page(tmp_path / 'a.html', cloud, CLASSES, PALETTE)
    lut = depth_lut('cividis')
    with open_page(browser, tmp_path / 'a.html') as page:
        first = plot_picture(page)
        page.click('#modes button[data-mode=uncertainty]')
        wait_for_center(page, lut[128], center(first, RED))
        wait_for_center(page, lut[255], center(first, BLUE))
        texts = page.locator('#bar span').all_inner_texts()
        assert texts == ['0', '2', '4', '6', '8', '>10 % of depth']
        page.click('#modes button[data-mode=depth]')
        assert page.locator('#bar span').last.inner_text() == '8 m'
        assert page.locator('#bar b').count() == 1


def test_no_uncertainty_no_button(page_file):
    data = page_data(page_file)
    assert set(data['modes']) == {'rgb', 'class', 'instance', 'depth'}
    assert set(data['ticks']) == {'depth'}
    assert 'data-mode="uncertainty"' not in page_file.read_text()


def test_legend_hides_classes_in_every_mode(browser, page_file):
    with open_page(browser, page_file) as page:
        car = page.locator('#legend button', has_text='Car')
        car.click()
        picture = plot_picture(page)
        assert count_color(picture, RED) == 0
        center(picture, BLUE)
        page.click('[data-mode=class]')
        picture = plot_picture(page)
        assert count_color(picture, GREEN) == 0
        center(picture, YELLOW)
        car.click()
        picture = plot_picture(page)
        center(picture, GREEN)
        car.dblclick()
        picture = plot_picture(page)
        center(picture, GREEN)
        assert count_color(picture, YELLOW) == 0
        car.dblclick()
        center(plot_picture(page), YELLOW)


def test_drag_turns_and_the_view_stays_in_other_colors(browser, page_file):
    with open_page(browser, page_file) as page:
        first = plot_picture(page)
        box = page.locator('#plot').bounding_box()
        x, y = box['x'] + box['width'] / 2, box['y'] + box['height'] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        for step in (20, 40, 60):  # the plot looks once per frame
            page.mouse.move(x + step, y + step / 5)
            page.wait_for_timeout(100)
        page.mouse.up()
        turned = plot_picture(page)
        moved = abs(center(turned, RED) - center(first, RED)).max()
        assert moved > 15
        page.click('[data-mode=class]')
        # kept, but for what a busy machine had not drawn yet
        wait_for_center(page, GREEN, center(turned, RED), atol=moved / 2)
        page.click('[data-mode=rgb]')
        page.click('#reset')
        wait_for_center(page, RED, center(first, RED))
        page.click('[data-zoom="1.25"]')
        smaller = plot_picture(page)
        assert np.ptp(np.nonzero(where_color(smaller, RED))[0]) < 0.9 * np.ptp(
            np.nonzero(where_color(first, RED))[0]
        )


def test_finger_turns_and_the_view_stays(browser, page_file):
    with open_page(browser, page_file, touch=True) as page:
        first = plot_picture(page)
        session = page.context.new_cdp_session(page)
        for kind, x in (
            ('touchStart', 600),
            ('touchMove', 615),
            ('touchMove', 630),
            ('touchEnd', None),
        ):
            session.send(
                'Input.dispatchTouchEvent',
                dict(type=kind, touchPoints=[dict(x=x, y=400)] if x is not None else []),
            )
            page.wait_for_timeout(100)
        turned = plot_picture(page)
        moved = abs(center(turned, RED) - center(first, RED)).max()
        assert moved > 15
        page.click('[data-mode=class]')
        # kept, but for what a busy machine had not drawn yet
        wait_for_center(page, GREEN, center(turned, RED), atol=moved / 2)


def test_hover_tells_class_instance_and_depth(browser, page_file):
    with open_page(browser, page_file) as page:
        picture = plot_picture(page)
        box = page.locator('#plot').bounding_box()
        for color, text in ((RED, 'Car 3depth 5.0 m'), (BLUE, 'Roaddepth 8.0 m')):
            row, col = center(picture, color)
            page.mouse.move(box['x'] + col, box['y'] + row)
            page.locator('.hovertext', has_text=text).wait_for()


def test_page_fits_a_phone(browser, page_file):
    with open_page(browser, page_file, width=360, height=700) as page:
        picture = plot_picture(page)
        assert page.evaluate('document.documentElement.scrollWidth') == 360
        for button in page.locator('button').all():
            button.click(trial=True)
    assert picture.shape[0] > 350
    assert count_color(picture, RED) > 400
    assert count_color(picture, BLUE) > 400


def test_names_are_text_and_an_empty_cloud_is_a_page(browser, tmp_path):
    empty = make_cloud().select(np.s_[:0])
    title, evil = '</title><b>&', '</script><img src=x onerror=alert(1)>'
    write_cloud_page(tmp_path / 'empty.html', empty, CLASSES, PALETTE, title)
    with open_page(browser, tmp_path / 'empty.html') as page:
        assert page.title() == page.inner_text('h1') == title
        assert page.inner_text('#points') == 'no points'
        for mode in ('class', 'instance', 'depth', 'rgb'):
            page.click(f'[data-mode={mode}]')
        assert len(np.unique(plot_picture(page)[:300], axis=None)) == 3

    write_cloud_page(tmp_path / 'evil.html', make_cloud(), (evil, '100%'), PALETTE)
    with open_page(browser, tmp_path / 'evil.html') as page:
        assert page.locator('#legend button').all_text_contents() == [evil, '100%', 'void']


def page_data(path):
    """The data of the script in a page."""
    text = path.read_text(encoding='utf-8')
    return json.loads(re.search(r'^const DATA = (.*);$', text, re.M)[1])


def test_a_large_cloud_is_thinned_evenly_and_says_so(tmp_path):
    cloud = make_cloud()
    paths = tmp_path / 'a.html', tmp_path / 'b.html'
    for path in paths:
        write_cloud_page(path, cloud, CLASSES, PALETTE, max_points=1000)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert '1,000 of 4,004 points shown' in paths[0].read_text()
    codes = page_data(paths[0])['modes']['rgb']['colors']
    counts = [len(code['bdata']) * 3 / 4 for code in codes]
    assert counts[:2] == [pytest.approx(500, abs=10)] * 2


def test_300_instances_have_300_codes(tmp_path):
    count = 300
    cloud = PanopticCloud(
        xyz=np.random.default_rng(0).random((count, 3), dtype=np.float32),
        rgb=np.zeros((count, 3), np.uint8),
        labels=np.ones(count, np.int32),
        instances=np.arange(1, count + 1, dtype=np.int32),
        pixels=np.zeros((count, 2), np.int32),
    )
    write_cloud_page(tmp_path / 'a.html', cloud, CLASSES, PALETTE)
    mode = page_data(tmp_path / 'a.html')['modes']['instance']
    assert mode['colors'][0]['dtype'] == 'u2'
    assert len(mode['scale']) == mode['max'] + 1 == 32 + count


def test_bad_input_is_named(tmp_path):
    cloud = make_cloud()
    with pytest.raises(InputError, match='^classes: found 1 names'):
        write_cloud_page(tmp_path / 'a.html', cloud, CLASSES[:1], PALETTE)
    with pytest.raises(InputError, match='^palette: found 1 colors'):
        write_cloud_page(tmp_path / 'a.html', cloud, CLASSES, PALETTE[:1])
    with pytest.raises(InputError, match='^max_points: found 0'):
        write_cloud_page(tmp_path / 'a.html', cloud, CLASSES, PALETTE, max_points=0)
    with pytest.raises(InputError, match='cannot be written'):
        write_cloud_page(tmp_path, cloud, CLASSES, PALETTE)
    assert list(tmp_path.iterdir()) == []
