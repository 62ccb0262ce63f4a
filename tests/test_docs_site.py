"""The documentation site: builds without a warning, works without a network."""

import ast
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
DOCS = ROOT / 'docs'
PACKAGE = ROOT / 'pandepth_mm'
DIRECTIVE = re.compile(r'^::: ([\w.]+)$', re.M)
ROLE = re.compile(r':(?:attr|class|data|func|meth|mod):(?=`)')
REFERENCE = sorted((DOCS / 'reference').glob('*.md'))


class Page(HTMLParser):
    """Of a page: its text, ids, links, and what a browser loads for it."""

    def __init__(self, file):
        super().__init__()
        self.text, self.ids = [], set()
        self.links, self.assets, self.classes = [], [], set()
        self.feed(file.read_text())

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.ids.add(attrs.get('id'))
        self.classes.update((attrs.get('class') or '').split())
        if tag == 'a' and attrs.get('href') is not None:
            self.links.append(attrs['href'])
        elif tag == 'link':
            self.assets.append(attrs['href'])
        elif attrs.get('src') is not None:
            self.assets.append(attrs['src'])

    def handle_data(self, data):
        self.text.append(data)


def build(config, out):
    return subprocess.run(
        [
            sys.executable,
            '-m',
            'mkdocs',
            'build',
            '--strict',
            '--config-file',
            config,
            '--site-dir',
            out,
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'NO_MKDOCS_2_WARNING': '1'},
    )


@pytest.fixture(scope='module')
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp('site')
    run = build(ROOT / 'mkdocs.yml', out)
    assert run.returncode == 0, run.stderr
    assert 'WARNING' not in run.stderr
    return out


@pytest.fixture(scope='module')
def pages(site):
    """Every page, by its path in the site."""
    return {file.relative_to(site).as_posix(): Page(file) for file in site.rglob('*.html')}


def nav_pages(nav):
    for item in nav:
        value = next(iter(item.values())) if isinstance(item, dict) else item
        yield from [value] if isinstance(value, str) else nav_pages(value)


def words(text):
    """Text without the marks that markdown or HTML leave out or add."""
    return ' '.join(re.findall(r'\w+', ROLE.sub('', text)))


def public_docstrings(module):
    """Name and first paragraph of what a module shows."""
    tree = ast.parse((ROOT / (module.replace('.', '/') + '.py')).read_text())
    shown = (ast.ClassDef, ast.FunctionDef)
    nodes = [(module, tree)]
    for node in tree.body:
        if isinstance(node, shown) and node.name[0] != '_':
            nodes.append((f'{module}.{node.name}', node))
            nodes += [
                (f'{module}.{node.name}.{inner.name}', inner)
                for inner in node.body
                if isinstance(node, ast.ClassDef)
                and isinstance(inner, shown)
                and (inner.name[0] != '_' or inner.name == '__call__')
            ]
    for name, node in nodes:
        docstring = ast.get_docstring(node)
        if docstring:
            yield name, docstring.split('\n\n')[0]


# ---- the pages


def test_every_page_is_in_the_nav():
    from mkdocs.config import load_config

    nav = list(nav_pages(load_config(str(ROOT / 'mkdocs.yml'))['nav']))
    assert len(nav) == len(set(nav))
    assert set(nav) == {page.relative_to(DOCS).as_posix() for page in DOCS.rglob('*.md')}


def test_every_public_module_is_in_the_reference():
    named = [module for page in REFERENCE for module in DIRECTIVE.findall(page.read_text())]
    assert len(named) == len(set(named))
    modules = {
        '.'.join(file.relative_to(ROOT).with_suffix('').parts)
        for file in PACKAGE.rglob('*.py')
        if file.name[0] != '_' and '.mim' not in file.parts
    }
    missing, gone = modules - set(named), set(named) - modules
    assert not missing, f'no line "::: MODULE" in docs/reference: {missing}'
    assert not gone, f'no such module: {gone}'


def test_reference_shows_the_docstrings(pages):
    compared = 0
    for page in REFERENCE:
        built = pages[f'reference/{page.stem}.html']
        text = words(' '.join(built.text))
        for module in DIRECTIVE.findall(page.read_text()):
            assert module in built.ids
            for name, docstring in public_docstrings(module):
                assert name in built.ids
                assert words(docstring) in text, name
                compared += 1
    assert compared > 200


def test_nothing_is_loaded_from_another_host(site, pages):
    assert len(pages) > 20
    for name, page in pages.items():
        assert page.assets
        for asset in page.assets:
            assert not re.match(r'([a-z]+:)?//', asset), (name, asset)
        # what would make the theme's script fetch a library
        assert not page.classes & {'mermaid', 'giscus'}, name
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
                ids = pages[file.relative_to(site).as_posix()].ids
                assert anchor in ids, (name, target)
            compared += 1
    assert compared > 1000


# ---- links to files of the repository


def test_linked_files_become_pages(site, pages):
    name = 'configs/pandepth/custom_dataset_example.py'
    assert f'source/{name}.html' in pages
    assert f'source/{name}.html' in pages['custom_dataset.html'].links
    text = words(' '.join(pages[f'source/{name}.html'].text))
    assert words((ROOT / name).read_text()) in text


@pytest.mark.parametrize(
    'text',
    [
        '[config](../configs/pandepth/made_up.py)',
        '[page](made_up.md)',
        '[anchor](#made-up)',
        '![picture](images/made_up.png)',
        '[outside](../../made_up.py)',
    ],
)
def test_broken_links_fail_the_build(tmp_path, text):
    (tmp_path / 'docs').mkdir()
    config = tmp_path / 'mkdocs.yml'
    config.write_text(
        f'site_name: test\nhooks: [{DOCS}/hooks.py]\n'
        'not_in_nav: /source/\nplugins: []\n'
        'validation: {links: {anchors: warn}}\n'
    )
    (tmp_path / 'docs' / 'index.md').write_text(
        '[good](../configs/pandepth/custom_dataset_example.py)\n' + text
    )
    run = build(config, tmp_path / 'site')
    assert run.returncode == 1
    assert run.stderr.count('WARNING') == 1 and 'made' in run.stderr
