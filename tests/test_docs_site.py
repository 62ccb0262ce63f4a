"""The documentation site: builds without a warning, works without a network."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip('mkdocs', reason='needs the extra docs')
pytest.importorskip('mkdocstrings', reason='needs the extra docs')

ROOT = Path(__file__).parents[1]


class Page(HTMLParser):
    """Of a page: its ids, links, and what a browser loads for it."""

    def __init__(self, file):
        super().__init__()
        self.ids, self.links, self.assets = set(), [], []
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get('id'))
        if tag == 'a' and attrs.get('href') is not None:
            self.links.append(attrs['href'])
        elif tag == 'link':
            self.assets.append(attrs['href'])
        elif attrs.get('src') is not None:
            self.assets.append(attrs['src'])


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    run = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', out],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
    )
    assert run.returncode == 0 and 'WARNING' not in run.stderr, run.stderr
    return out


@pytest.fixture(scope='module')
def pages(site):
    """Every page, by its path in the site."""
    return {file.relative_to(site).as_posix(): Page(file) for file in site.rglob('*.html')}


def test_reference_has_the_public_names(pages):
    ids = set().union(*(page.ids for page in pages.values()))
    for name in (
        'apis.inferencer.PanDepthInferencer',
        'models.detectors.pandepth.PanDepth',
        'evaluation.metrics.depth_metric.DepthMetric',
        'structures.panoptic_cloud.flying_pixels',
        'errors.InputError',
    ):
        assert f'pandepth_mm.{name}' in ids, name


def test_nothing_is_loaded_from_another_host(site, pages):
    assert len(pages) > 20
    for name, page in pages.items():
        assert page.assets
        assert not [a for a in page.assets if re.match(r'([a-z]+:)?//', a)], name
    for file in site.rglob('*.css'):
        assert not re.search(r'(url\(|@import)\s*[\'"]?(https?:)?//', file.read_text()), file


def test_links_and_pictures_lead_somewhere(site, pages):
    compared = 0
    for name, page in pages.items():
        if name == '404.html':
            continue  # served from any depth
        for target in page.links + page.assets:
            if re.match(r'[a-z]+:', target):
                continue
            path, _, anchor = target.partition('#')
            file = ((site / name).parent / path).resolve() if path else site / name
            assert file.exists(), (name, target)
            if anchor and file.suffix == '.html':
                assert anchor in pages[file.relative_to(site).as_posix()].ids, (name, target)
            compared += 1
    assert compared > 1000
