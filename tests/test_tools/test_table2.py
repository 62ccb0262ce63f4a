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
SMALL = CONFIGS / 'pandepth_effb0_minivkitti.py'
# the table's choice, where it differs from the text's
POOLER = {
    'model.roi_head.bbox_roi_extractor.roi_layer.output_size': 14,
    'model.roi_head.bbox_head.roi_feat_size': 14,
}

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
def model(table2):
    return build(table2, DEFAULT)


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


def test_parameters_of_the_default(table2, model):
    assert table2.parameters_by_branch(model) == {
        'backbone': 23148912,
        '2-way FPN': 1471488,
        'semantic': 1203982,
        'instance': 14531648,
        'depth': 792737,
        'joint': 1248014,
        'total': 42396781,
    }


def test_residuals_of_the_default(table2, model):
    """Each against a count by hand."""
    found = {
        branch: [r.count for r in residuals]
        for branch, residuals in table2.residuals_by_branch(model).items()
    }
    semantic_biases = 2 * (10 * 256 + 128) + 2 * (256 + 3 * 128) + 2 * 4 * 128
    # stems; first block, three separable and one full; others; refinement
    depth_biases = 16 + 16 + 32 + 32 + (6 * 48 + 64) + 11 * (6 * 64 + 64) + 32
    channels = [48, 48] + [64, 64] * 11  # of the continuous convolutions
    joint_mlps = sum((9 + 1) * 3 * c // 2 + (3 * c // 2 + 1) * 3 * c for c in channels)
    own_mlps = sum((3 + 1) * c // 2 + (c // 2 + 1) * c for c in channels)
    assert found == {
        'backbone': [2048 * 1000 + 1000],
        '2-way FPN': [16 * 256],
        'semantic': [semantic_biases, 512 + 1],
        'instance': [
            2 * 256,
            -(9 - 3) * (1 + 4) * (256 + 1),
            (14 * 14 - 7 * 7) * 256 * 1024,
            2 * 2 * 1024,
            8 * 256,
            256 + 1,
        ],
        'depth': [
            depth_biases,
            len(channels) * 2 * 2 * 8000,
            -2 * sum(channels),
            joint_mlps - own_mlps,
            -sum((c + 1) * c for c in channels),
            3 * 3 * 32,
            3 * 3 * 32,
        ],
        'joint': [3 * 256, (1 - 3 * 3) * 256 * 14, 3 * 3 * 256 + 256 + 1, 2 * 15],
    }


@pytest.mark.parametrize('changes', [{}, POOLER])
def test_parameters_and_residuals_are_the_authors(table2, changes):
    cfg = Config.fromfile(DEFAULT)
    cfg.merge_from_dict(changes)
    model = build_pandepth(cfg, '')
    counts = table2.parameters_by_branch(model)
    residuals = table2.residuals_by_branch(model)
    for branch, own in counts.items():
        of_branch = sum(residuals.values(), []) if branch == 'total' else residuals[branch]
        assert own + sum(r.count for r in of_branch) == AUTHORS[branch][0]
    for branch, cells in rows(table2.report(model)).items():
        assert number(cells[0]) == counts[branch]
        assert number(cells[3]) == 0  # unexplained
        assert (number(cells[4]), cells[5]) == AUTHORS[branch]
    if changes:  # what the page says of it
        assert f'{counts["instance"]:,}' in PAGE.read_text(encoding='utf-8')
        assert f'{counts["instance"] / 1e6:.1f}M' == AUTHORS['instance'][1]


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


def test_page_shows_what_the_tool_prints(table2, model):
    page = PAGE.read_text(encoding='utf-8')
    report = table2.report(model)
    block = '\n'.join('    ' + line if line else '' for line in report.splitlines())
    assert f'\n{block}\n' in page
    side_by_side = '\n'.join(
        f'| {branch} | {rows(report)[branch][1]} | {printed} |'
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
