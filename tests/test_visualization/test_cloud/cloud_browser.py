"""What the tests do with the page of a cloud in a browser."""

import contextlib
import io

import numpy as np
from browser import open_file
from PIL import Image


@contextlib.contextmanager
def open_page(browser, path, **view):
    """The page of a cloud; fails on any error and any other request."""
    with open_file(browser, path, **view) as page:
        wait_until_idle(page)
        yield page


def wait_until_idle(page):
    """Wait until the page has done all changes that were asked for."""
    page.wait_for_selector('#legend', state='attached')
    page.wait_for_function('!("busy" in document.body.dataset)', timeout=120_000)


def plot_picture(page):
    """The plot as it is seen, uint8 (H, W, 3), once it stands still."""
    wait_until_idle(page)
    page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))')
    before, same = None, 0
    for _ in range(100):
        shot = page.screenshot(clip=page.locator('#plot').bounding_box())
        same = same + 1 if shot == before else 0
        if same == 2:  # one may fall between two frames of a busy machine
            return np.asarray(Image.open(io.BytesIO(shot)).convert('RGB'))
        before = shot
        page.wait_for_timeout(100)
    raise AssertionError('the picture does not come to rest')


def count_color(picture, color, tolerance=4):
    """Number of pixels that have a color."""
    return int(where_color(picture, color, tolerance).sum())


def where_color(picture, color, tolerance=4):
    """Pixels that have a color, bool (H, W)."""
    return (abs(picture.astype(int) - np.array(color)) <= tolerance).all(-1)
