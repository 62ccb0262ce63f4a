"""A real browser without a network, for the tests of pages."""

import contextlib
import os
import shutil

import pytest

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
def open_file(browser, path, width=1280, height=800, touch=False):
    """A page of a local file; fails on any error and any other request than those of the page."""
    context = browser.new_context(viewport=dict(width=width, height=height), has_touch=touch)
    context.set_offline(True)
    context.set_default_timeout(120_000)  # of a busy machine
    page = context.new_page()
    requests, errors = [], []
    page.on('request', lambda request: requests.append(request.url))
    page.on('pageerror', lambda error: errors.append(str(error)))
    page.on(
        'console', lambda message: errors.append(message.text) if message.type == 'error' else None
    )
    page.goto(path.as_uri())
    yield page
    context.close()
    assert [url for url in requests if not url.startswith('data:')] == [path.as_uri()]
    assert errors == []
