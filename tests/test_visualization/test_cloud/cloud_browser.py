"""A real browser without a network, for the tests of pages."""

import contextlib
import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image

# software WebGL, as a machine without a GPU has
FLAGS = (
    '--no-sandbox',
    '--disable-background-networking',
    '--use-gl=angle',
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
)


def find_browser():
    """Path of Chromium or Chrome, or None."""
    names = (os.environ.get('CHROMIUM'), 'chromium', 'chromium-browser', 'google-chrome')
    return next((p for p in map(shutil.which, filter(None, names)) if p), None)


@contextlib.contextmanager
def launch_browser():
    """A browser, or a skip where none is installed."""
    executable = find_browser()
    if executable is None:
        pytest.skip('no Chromium: apt install chromium')
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@contextlib.contextmanager
def open_page(browser, path, width=1280, height=800, touch=False):
    """A page of a local file; fails on any error and any other request."""
    context = browser.new_context(viewport=dict(width=width, height=height), has_touch=touch)
    context.set_offline(True)
    page = context.new_page()
    requests, errors = [], []
    page.on('request', lambda request: requests.append(request.url))
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on(
        'console', lambda message: errors.append(message.text) if message.type == 'error' else None
    )
    page.goto(path.as_uri())
    wait_until_idle(page)
    yield page
    context.close()
    assert requests == [path.as_uri()]
    assert errors == []


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
