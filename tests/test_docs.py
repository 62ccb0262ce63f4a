"""The pages of documentation: what they name exists, links lead somewhere.

docs/paper.md states at its top how it writes names. ``problems_of`` reads
a page by these rules; it is itself tested on small texts below.
"""

import ast
import functools
import inspect
import re
from pathlib import Path

import pytest
from mmengine.config import Config

from pandepth_mm.registry import DATASETS, METRICS, MODELS, VISUALIZERS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / 'docs' / 'paper.md'
CONFIG = 'configs/pandepth/pandepth_effb5_vkitti2.py'
# one section of the page each
SECTIONS = (
    '3.1',
    '3.2',
    '3.3',
    '3.4',
    '3.5',
    '3.6',
    '3.7',
    'Panoptic fusion',
    '4.1',
    '4.2',
    'Pre-processing',
    'Panoptic segmentation annotations',
    '4.3',
    'Table 1',
    'Table 2',
    'Figure 5',
    'Deviations',
    'ImageNet weights',
    'Not verified',
)
MAPPING = ['The paper says', 'Here', 'Config key', 'Test']
PATH = re.compile(r'([\w.-]+(?:/[\w.-]+)+)(?:::(.+))?')
KEY = re.compile(r'([a-z]\w*(?:\.\w+)*)(?: = (.+))?')
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


# ---- reading a page


def code_spans(text):
    """What stands between backticks, fenced blocks left out."""
    text = re.sub(r'^```.*?^```', '', text, flags=re.M | re.S)
    return re.findall(r'`([^`]+)`', text)


def tables(text):
    """Each table as a list of rows, the header first, a row a list of cells."""
    found, last = [], None
    for number, line in enumerate(text.splitlines()):
        if not line.startswith('|'):
            continue
        cells = [cell.strip() for cell in line.strip().strip('|').split('|')]
        if number - 1 != last:
            found.append([])
        last = number
        if not all(re.fullmatch(r':?-+:?', cell) for cell in cells):
            found[-1].append(cells)
    return found


# ---- what a name may be


def problem_of(span):
    """Why a code span names nothing that exists, or None."""
    path = PATH.fullmatch(span)
    if path:
        name, inside = path.groups()
        if not (ROOT / name).exists():
            return f'{span}: no such file'
        if inside is None:
            return None
        if name.startswith('configs/'):
            return problem_of_key(inside, name, span)
        if not name.endswith('.py'):
            return f'{span}: nothing to look for in {name}'
        if not defines(name, inside):
            return f'{span}: {name} has no {inside}'
        if name.startswith('tests/') and not inside.startswith('test_'):
            return f'{span}: no test'
        return None
    return problem_of_key(span, CONFIG, span)


def problem_of_key(text, config, span):
    """Why a config has no such key, or another value, or None."""
    match = KEY.fullmatch(text)
    if not match:
        return f'{span}: neither a path nor a config key'
    key, value = match.groups()
    try:
        found = look_up(load(config), key)
    except (KeyError, IndexError, ValueError) as error:
        return f'{span}: no such key in {config} ({error})'
    if value is None:
        return None
    try:
        wanted = ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return f'{span}: {value} is no value'
    if plain(found) != plain(wanted):
        return f'{span}: {config} has {found!r}'
    return None


@functools.cache
def load(config):
    return Config.fromfile(ROOT / config)


def look_up(node, key):
    """Value of a dotted key; at the end, a default of the class named there."""
    parts = key.split('.')
    for i, part in enumerate(parts):
        if isinstance(node, (list, tuple)):
            node = node[int(part)]
        elif hasattr(node, 'keys') and part in node:
            node = node[part]
        elif hasattr(node, 'keys') and 'type' in node and i == len(parts) - 1:
            return default_of(node['type'], part)
        else:
            raise KeyError(part)
    return node


def default_of(type_name, argument):
    """Default of an argument of a registered class or of its parents."""
    for registry in (MODELS, DATASETS, METRICS, VISUALIZERS):
        cls = registry.get(type_name)
        for parent in cls.__mro__ if cls else ():
            found = inspect.signature(parent.__init__).parameters
            if argument in found:
                return found[argument].default
    raise KeyError(f'{type_name} takes no {argument}')


def plain(value):
    """Lists for tuples and dicts for config dicts, all the way down."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


@functools.cache
def syntax_tree(name):
    return ast.parse((ROOT / name).read_text())


def defines(name, inside):
    """Whether a file defines a class, function, constant or a class's own."""
    node = syntax_tree(name)
    for part in inside.split('.'):
        node = next((item for item in getattr(node, 'body', []) if part in names_of(item)), None)
        if node is None:
            return False
    return True


def names_of(statement):
    """Names that a statement of a module or class body binds."""
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [statement.name]
    targets = getattr(statement, 'targets', [getattr(statement, 'target', None)])
    return [t.id for t in targets if isinstance(t, ast.Name)]


# ---- what a page must hold


def problems_of(text):
    """All that is wrong with a page that follows the rules of paper.md."""
    problems = [problem_of(span) for span in code_spans(text)]
    for table in tables(text):
        header = table[0]
        for row in table:
            line = ' | '.join(row)
            if len(row) != len(header):
                problems.append(f'{line}: not {len(header)} cells')
            elif any(re.search(r'\w', cell) is None for cell in row):
                problems.append(f'{line}: an empty cell')
            elif header == MAPPING and row is not header:
                problems.extend(problems_of_mapping(row, line))
    return [problem for problem in problems if problem]


def problems_of_mapping(row, line):
    """A row needs a place, a key or the word fixed, and a test."""
    _, here, key, test = row
    if not code_spans(here):
        yield f'{line}: no place in the code'
    if not code_spans(key) and 'fixed' not in key:
        yield f'{line}: no config key'
    if not any(span.startswith('tests/') for span in code_spans(test)):
        yield f'{line}: no test'


def broken_links(page):
    """Targets of a page's relative links that do not exist."""
    broken = []
    for target in LINK.findall(page.read_text()):
        if re.match(r'[a-z]+:', target):
            continue
        name, _, anchor = target.partition('#')
        file = page.parent / name if name else page
        if not file.exists() or (
            anchor and anchor not in anchors(file) and not documents(file, anchor)
        ):
            broken.append(target)
    return broken


def documents(page, name):
    """Whether a page of the reference names the module of a name.

    Whether that has the name is seen when the site is built.
    """
    modules = re.findall(r'^::: ([\w.]+)$', page.read_text(), flags=re.M)
    return any(f'{name}.'.startswith(f'{module}.') for module in modules)


def anchors(page):
    """Anchors that the headings of a page get, as GitHub makes them."""
    headings = re.findall(r'^#+ (.+)$', page.read_text(), flags=re.M)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}


# ---- the pages


def test_paper_page_names_only_what_exists():
    assert problems_of(PAGE.read_text()) == []


def test_paper_page_has_every_section():
    text = PAGE.read_text()
    headings = re.findall(r'^#+ (.+)$', text, flags=re.M)
    for section in SECTIONS:
        assert any(h.startswith(section) for h in headings), section
    for equation in range(1, 6):
        assert f'Eq. {equation}:' in text
    assert sum(len(t) - 1 for t in tables(text) if t[0] == MAPPING) > 50


@pytest.mark.parametrize(
    'name',
    ['README.md'] + sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / 'docs').rglob('*.md')),
)
def test_links_lead_somewhere(name):
    assert broken_links(ROOT / name) == []


# ---- the checker itself


@pytest.mark.parametrize(
    'span',
    [
        'docs/paper.md',
        'pandepth_mm/geometry/camera.py::build_point_graph',
        'pandepth_mm/geometry/camera.py::PointGraph.points',
        'pandepth_mm/structures/vkitti2_meta.py::VARIATIONS',
        'pandepth_mm/models/detectors/pandepth.py::PanDepth.loss',
        'tests/test_docs.py::test_good_names',
        'sync_bn',
        'model.depth_head.k = 3',
        'model.depth_head.semantics = "logits"',
        'model.rpn_head.num_convs = 1',
        'train_dataloader.dataset.img_scale = (1000, 200)',
        'train_dataloader.dataset.pipeline.0.type = "LoadImageFromFile"',
        'configs/pandepth/table1/depth-only.py::model.backbone = None',
    ],
)
def test_good_names(span):
    assert problem_of(span) is None


@pytest.mark.parametrize(
    'span',
    [
        'docs/made_up.md',
        'pandepth_mm/geometry/camera.py::made_up',
        'pandepth_mm/geometry/camera.py::PointGraph.made_up',
        'pandepth_mm/geometry/camera.py::build_point_graph.made_up',
        'pandepth_mm/made_up.py::PanDepth',
        'docs/paper.md::PanDepth',
        'tests/test_docs.py::test_made_up',
        'tests/test_docs.py::problem_of',
        'made_up',
        'model.made_up',
        'model.depth_head.made_up = 3',
        'model.depth_head.made_up.k',
        'model.depth_head.k = 4',
        'model.depth_head.semantics = "made up"',
        'model.depth_head.k = three',
        'train_dataloader.dataset.pipeline.99',
        'train_dataloader.dataset.pipeline.first',
        'configs/pandepth/table1/depth-only.py::model.backbone.arch',
        'configs/pandepth/table1/depth-only.py::model.made_up',
        'PanDepth()',
    ],
)
def test_made_up_names_are_found(span):
    assert span in problem_of(span)


ROW = (
    '| words | `pandepth_mm/geometry/camera.py::knn` | `model.depth_head.k` | '
    '`tests/test_geometry.py::test_few_points` |'
)
HEADER = '| The paper says | Here | Config key | Test |\n|---|---|---|---|\n'


def test_good_page():
    assert problems_of(f'# Page\n\n{HEADER}{ROW}\n\n```\n`made_up`\n```\n') == []


@pytest.mark.parametrize(
    'old, new, problem',
    [
        ('words', '', 'an empty cell'),
        ('words', '–', 'an empty cell'),
        ('words |', '', 'not 4 cells'),
        ('mm/geometry.py', 'mm/made_up.py', 'no such file'),
        ('`pandepth_mm/geometry/camera.py::knn`', 'somewhere', 'no place'),
        ('`model.depth_head.k`', 'some', 'no config key'),
        ('`tests/test_geometry.py::test_few_points`', 'yes', 'no test'),
        ('test_few_points', 'test_made_up', 'has no test_made_up'),
    ],
)
def test_bad_rows_are_found(old, new, problem):
    (problem_found,) = problems_of(HEADER + ROW.replace(old, new))
    assert problem in problem_found


def test_broken_links_are_found(tmp_path):
    (tmp_path / 'other.md').write_text('# A heading, in words\n')
    (tmp_path / 'reference.md').write_text('::: package.module\n')
    page = tmp_path / 'page.md'
    page.write_text(
        '## Here\n[a](other.md) [b](missing.md) '
        '![c](missing.png) [d](https://example.org/x) [e](#here)'
        ' [f](#there) [g](other.md#a-heading-in-words)'
        ' [h](other.md#another)'
        ' [i](reference.md#package.module.Class)'
        ' [j](reference.md#package.module2.Class)'
    )
    assert broken_links(page) == [
        'missing.md',
        'missing.png',
        '#there',
        'other.md#another',
        'reference.md#package.module2.Class',
    ]
