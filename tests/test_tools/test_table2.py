"""Table 2 of the paper: parameters by branch."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from pandepth_mm.errors import InputError
from pandepth_mm.models.build import build_pandepth

ROOT = Path(__file__).parents[2]
TOOL = ROOT / 'tools' / 'analysis_tools' / 'table2.py'
CONFIGS = ROOT / 'configs' / 'pandepth'
PAGE = ROOT / 'docs' / 'table2.md'
DEFAULT = CONFIGS / 'pandepth_effb5_vkitti2.py'
PAPER_PARAMS = CONFIGS / 'pandepth_effb5_vkitti2_paper-params.py'
SMALL = CONFIGS / 'pandepth_effb0_minivkitti.py'

# the audit of the authors' code, and the table as printed
AUTHORS = {
    'backbone': (25197912, '25.2M'),
    '2-way FPN': (1475584, '1.5M'),
    'semantic': (1212175, '1.2M'),
    'instance': (53066019, '53.1M'),
    'depth': (1868929, '1.9M'),
    'joint': (1222701, '1.2M'),
    'total': (84043320, '84M'),
}


@pytest.fixture(scope='module')
def table2():
    sys.path.insert(0, str(TOOL.parent))
    try:
        import table2
    finally:
        sys.path.pop(0)
    return table2


def build(table2, path, **changes):
    cfg = Config.fromfile(path)
    cfg.model.update(changes)
    return build_pandepth(cfg, str(path))


@pytest.fixture(scope='module')
def default_model(table2):
    return build(table2, DEFAULT)


@pytest.fixture(scope='module')
def paper_model(table2):
    return build(table2, PAPER_PARAMS)


def rows(report):
    """The cells of the table's lines, by branch."""
    pattern = re.compile('(2-way FPN|[a-z]+)' + r' +(\S+)' * 6)
    found = {}
    for line in report.splitlines()[1:8]:
        branch, *cells = pattern.fullmatch(line).groups()
        found[branch] = cells
    return found


def number(cell):
    return int(cell.replace(',', ''))


def test_parameters_of_the_papers_config(table2, paper_model):
    assert table2.parameters_by_branch(paper_model) == {
        'backbone': 23148912,
        '2-way FPN': 1475584,
        'semantic': 1211662,
        'instance': 53061666,
        'depth': 1097953,
        'joint': 1220110,
        'total': 81215887,
    }


def test_residuals_of_the_papers_config(table2, paper_model):
    """Each against a count by hand."""
    found = {
        branch: [r.count for r in residuals]
        for branch, residuals in table2.residuals_by_branch(paper_model).items()
    }
    biases = (
        16
        + 16
        + 32
        + 32  # stems
        + 6 * 48
        + 64  # first block: three separable, one full
        + 11 * (6 * 64 + 64)
        + 32
    )  # others, refinement
    assert found == {
        'backbone': [2048 * 1000 + 1000],
        '2-way FPN': [],
        'semantic': [512 + 1],
        'instance': [2 * 2 * 1024, 256 + 1],
        'depth': [biases, 12 * 2 * 2 * 2 * 8000, -2 * 2 * (48 + 11 * 64), 3 * 3 * 32, 3 * 3 * 32],
        'joint': [3 * 3 * 256 + 256 + 1, 2 * 15],
    }


@pytest.mark.parametrize('config', ['default_model', 'paper_model'])
def test_parameters_and_residuals_are_the_authors(table2, config, request):
    model = request.getfixturevalue(config)
    counts = table2.parameters_by_branch(model)
    residuals = table2.residuals_by_branch(model)
    for branch, own in counts.items():
        of_branch = sum(residuals.values(), []) if branch == 'total' else residuals[branch]
        assert own + sum(r.count for r in of_branch) == AUTHORS[branch][0]
    for branch, cells in rows(table2.report(model)).items():
        assert number(cells[0]) == counts[branch]
        assert number(cells[3]) == 0  # unexplained
        assert (number(cells[4]), cells[5]) == AUTHORS[branch]


def test_rows_round_to_the_papers(table2, paper_model):
    millions = {b: c[1] for b, c in rows(table2.report(paper_model)).items()}
    for branch in ('2-way FPN', 'semantic', 'instance', 'joint'):
        assert millions[branch] == AUTHORS[branch][1]
    assert millions['backbone'] == '23.1M'
    assert millions['depth'] == '1.1M'


def test_joint_mlp_of_the_default(table2, default_model, paper_model):
    """The residual of the shared MLP is what the option changes."""
    extra = sum(
        r.count
        for r in table2.residuals_by_branch(default_model)['depth']
        if 'MLP' in r.name or 'linear' in r.name
    )
    depth = [table2.parameters_by_branch(m)['depth'] for m in (paper_model, default_model)]
    assert extra == depth[0] - depth[1] > 0


def test_missing_branches(table2):
    absent = dict.fromkeys(('rpn_head', 'roi_head', 'joint_head', 'panoptic_fusion'))
    table = rows(table2.report(build(table2, SMALL, **absent)))
    for branch in ('instance', 'joint'):
        assert table[branch][:4] == ['-', '-', '-', '-']
    assert table['total'][2:4] == ['-', '-']
    assert number(table['total'][0]) == sum(
        number(cells[0]) for branch, cells in table.items() if branch != 'total' and cells[0] != '-'
    )


def test_another_architecture_is_unexplained(table2):
    table = rows(table2.report(build(table2, SMALL)))
    for own, _, residuals, rest, authors, _ in table.values():
        assert number(own) + number(residuals) + number(rest) == number(authors)
    assert number(table['backbone'][3]) > 20e6


def test_page_shows_what_the_tool_prints(table2, default_model, paper_model):
    page = PAGE.read_text(encoding='utf-8')
    reports = [table2.report(m) for m in (default_model, paper_model)]
    for report in reports:
        block = '\n'.join('    ' + line if line else '' for line in report.splitlines())
        assert f'\n{block}\n' in page
    default, paper = map(rows, reports)
    side_by_side = '\n'.join(
        f'| {branch} | {default[branch][1]} | {paper[branch][1]} | {printed} |'
        for branch, (_, printed) in AUTHORS.items()
    )
    assert side_by_side in page


def run(*args):
    return subprocess.run([sys.executable, TOOL, *map(str, args)], capture_output=True, text=True)


def test_command_line(table2):
    result = run(SMALL, '--cfg-options', 'model.depth_head.num_blocks=1')
    assert result.returncode == 0, result.stderr
    cfg = Config.fromfile(SMALL)
    cfg.model.depth_head.num_blocks = 1
    assert table2.report(build_pandepth(cfg, '')) in result.stdout


def test_bad_configs(table2, tmp_path):
    result = run(tmp_path / 'missing.py')
    assert result.returncode == 2
    assert 'missing.py: found no such file' in result.stderr
    assert 'Traceback' not in result.stderr
    cfg = Config(dict(model=dict(type='mmdet.RPNHead', in_channels=8)))
    with pytest.raises(InputError, match='RPNHead.*PanDepth'):
        build_pandepth(cfg, 'other.py')
