"""README and docs: links and named files exist, config keys exist, code runs, commands parse."""

import ast
import inspect
import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from test_export.export_models import SMALL, calibrated_model

from pandepth_mm.registry import DATASETS, METRICS, MODELS, VISUALIZERS

ROOT = Path(__file__).parents[1]
CONFIG = 'configs/pandepth/pandepth_effb5_vkitti2.py'
PAGES = ['README.md', *sorted(p.relative_to(ROOT).as_posix() for p in ROOT.glob('docs/*.md'))]
TOPS = {p.name for p in ROOT.iterdir() if p.is_dir()}
LINK = re.compile(r'\[[^\]]*\]\(([^)\s]+)\)')


def text_of(page):
    return (ROOT / page).read_text()


def code_spans(text):
    """What stands between backticks, blocks left out."""
    return re.findall(r'`([^`\n]+)`', re.sub(r'^```.*?^```', '', text, flags=re.M | re.S))


def python_blocks(page):
    return re.findall(r'^```python.*?\n(.*?)^```', text_of(page), re.M | re.S)


def shell_lines(page):
    """Commands in blocks of four spaces, their continued lines joined."""
    text = re.sub(r'\\\n\s*', '', text_of(page))
    return re.findall(r'^ {4,}((?:python|pandepth|tools/|bash|make)\S* .*)$', text, re.M)


# ---- links and files


def anchors(page):
    """Anchors that the headings of a page get, as code hosts make them."""
    headings = re.findall(r'^#+ (.+)$', page.read_text(), flags=re.M)
    return {re.sub(r'[^\w -]', '', heading.lower()).replace(' ', '-') for heading in headings}


def broken(page):
    """Relative links and named files that do not exist."""
    for target in LINK.findall(page.read_text()):
        if re.match(r'[a-z]+:', target):
            continue
        name, _, anchor = target.partition('#')
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield target
    for span in code_spans(page.read_text()):
        name = re.split(r'::| ', span)[0]
        if name.split('/')[0] in TOPS and '/' in name and not set(name) & set('*{…'):
            if name.split('/')[0] not in ('data', 'work_dirs') and not (ROOT / name).exists():
                yield span


@pytest.mark.parametrize('page', PAGES)
def test_links_and_files_exist(page):
    assert list(broken(ROOT / page)) == []


def test_broken_ones_are_found(tmp_path):
    (tmp_path / 'other.md').write_text('# A heading, in words\n')
    page = tmp_path / 'page.md'
    page.write_text(
        '## Here\n[a](other.md) [b](gone.md) [c](https://example.org/x) [d](#here) [e](#there) '
        '[f](other.md#a-heading-in-words) `tools/gone.py` `tools/train.py`'
    )
    assert list(broken(page)) == ['gone.md', '#there', 'tools/gone.py']


# ---- config keys


def look_up(node, key):
    """Value of a dotted key; at the end, a default of the class named there."""
    parts = key.split('.')
    for i, part in enumerate(parts):
        if isinstance(node, (list, tuple)):
            node = node[int(part)]
        elif part in node:
            node = node[part]
        elif 'type' in node and i == len(parts) - 1:
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
    return {k: plain(v) for k, v in value.items()} if isinstance(value, dict) else value


def stated_keys(page):
    """(config, key, value as text or None) of a page's code spans."""
    top = set(Config.fromfile(ROOT / CONFIG))
    for span in code_spans(text_of(page)):
        match = re.fullmatch(r'(?:(configs/\S+\.py)::)?(\w+(?:\.\w+)+|sync_bn)(?: ?= ?(.+))?', span)
        if match and match[2].split('.')[0] in top - {'data'}:
            yield match[1] or CONFIG, match[2], match[3]


@pytest.mark.parametrize('page', PAGES)
def test_config_keys_exist(page):
    for config, key, value in stated_keys(page):
        found = look_up(Config.fromfile(ROOT / config), key)
        if value is not None and page == 'docs/paper.md':  # elsewhere the value is the reader's
            assert plain(found) == plain(ast.literal_eval(value)), key


def test_defaults_in_the_tables_are_the_configs():
    rows = re.findall(r'\| `(\w+\.[\w.]+)` \| `([^`]+)` \|', text_of('docs/configs.md'))
    assert len(rows) > 15
    for key, default in rows:
        found = look_up(Config.fromfile(ROOT / CONFIG), key)
        assert plain(found) == plain(ast.literal_eval(default)), key


# ---- code


@pytest.fixture
def frame_files(tmp_path, monkeypatch):
    """The files that the examples read, in the working folder."""
    monkeypatch.chdir(tmp_path)
    frame = ROOT / 'demo' / 'frame'
    for name, target in (('points.bin', 'scan.bin'), ('calib.txt', 'calib.txt')):
        Path(target).write_bytes((frame / name).read_bytes())
    cv2.imwrite('image.png', cv2.imread(str(frame / 'image.jpg')))
    np.save('scan.npy', np.fromfile('scan.bin', '<f4').reshape(-1, 4))


@pytest.mark.parametrize('page', [p for p in PAGES if python_blocks(p) and 'extend' not in p])
def test_code_runs(page, frame_files, request):
    """The blocks of a page, one after the other; a config is read instead."""
    from pandepth_mm.geometry.calibration_files import read_calibration

    calibration = read_calibration('calib.txt')
    names = dict(K=calibration.cam2img, T=calibration.lidar2cam)
    if page == 'docs/onnx.md':
        pytest.importorskip('onnxruntime', reason='needs the extra onnx')
        request.getfixturevalue('onnx_example')
    for code in python_blocks(page):
        if 'lite.onnx' in code:
            continue  # tests/test_export has the file
        if code.startswith('_base_'):
            path = ROOT / 'configs' / 'pandepth' / 'x.py'
            base = re.match(r"_base_ = '(.+)'", code)[1].replace('/path/to/', f'{ROOT}/')
            base = (path.parent / base).resolve()
            Path('example.py').write_text(re.sub(r"^_base_ = '.+'", f"_base_ = '{base}'", code))
            assert 'model' in Config.fromfile('example.py')
        else:
            exec(code, names)


@pytest.fixture
def onnx_example(frame_files):
    """model.onnx of a model that takes points, and sparse_depth.png."""
    from pandepth_mm.fileio import write_depth_png
    from pandepth_mm.geometry.calibration_files import read_calibration
    from pandepth_mm.geometry.camera import points_to_depth, transform_points
    from pandepth_mm.geometry.point_files import read_points

    calibration = read_calibration('calib.txt')
    points = transform_points(read_points('scan.bin'), calibration.lidar2cam)
    size = cv2.imread('image.png').shape[:2]
    write_depth_png('sparse_depth.png', points_to_depth(points, calibration.cam2img, size))
    torch.save(calibrated_model().state_dict(), 'model.pth')
    done = subprocess.run(
        [sys.executable, ROOT / 'tools/export_onnx.py', SMALL, 'model.pth', '--out', 'model.onnx'],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


# ---- commands


@pytest.fixture
def help_of(monkeypatch, capsys):
    """Help of a script or a command of the package; in this process, since imports take seconds."""
    monkeypatch.chdir(ROOT)

    def run(program, *words):
        code = None
        with monkeypatch.context() as patch:
            patch.setattr(sys, 'argv', [program, *words, '--help'])
            patch.setenv('THP_MEM_ALLOC_ENABLE', '1')  # what a training sets does not stay
            try:
                if program == 'pandepth':
                    runpy.run_module('pandepth_mm', run_name='__main__')
                else:
                    patch.syspath_prepend((ROOT / program).parent)
                    runpy.run_path(program, run_name='__main__')
            except SystemExit as e:
                code = e.code
        assert not code, (program, words)
        return capsys.readouterr().out

    return run


def test_commands_parse(help_of):
    """Every command of a page exists and knows the flags that it is given."""
    helps, checked = {}, 0
    for page in PAGES:
        for line in shell_lines(page):
            words = shlex.split(line, comments=True)
            if words[0] == 'python' and words[1].endswith('.py'):
                command = (words[1],)
            elif words[0].startswith('tools/'):
                assert (ROOT / words[0]).is_file(), (page, line)
                command = (re.sub(r'(dist|slurm)_(\w+)\.sh', r'\2.py', words[0]),)
            elif re.fullmatch('pandepth(-[a-z]+)?', words[0]):
                command = tuple(w for w in [*words[0].split('-'), *words[1:]] if w[0] != '-')
                command = command[: 3 if command[1:2] == ('convert',) else 2]
            else:
                continue
            if 'toy_converter' in command:  # an example of docs/extend.md
                continue
            if command not in helps:
                helps[command] = help_of(*command)
            for flag in (w.split('=')[0] for w in words if w.startswith('--')):
                assert re.search(rf'{flag}\b', helps[command]), (page, line)
            checked += 1
    assert checked > 20
