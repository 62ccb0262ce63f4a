"""What the pages state about configs, messages, weights and set-up is so."""

import ast
import json
import os
import re
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from random_batch import random_batch
from test_docs import CONFIG, LINK, ROOT, code_spans, load, look_up, plain, tables

from pandepth_mm.fileio import read_depth_png
from pandepth_mm.registry import MODELS

DOCS = ROOT / 'docs'
CONFIGS = ROOT / 'configs' / 'pandepth'
NAMES = sorted(p.relative_to(CONFIGS).as_posix() for p in CONFIGS.rglob('*.py'))


def rows_of(page, *header):
    """Rows of the table of a page that begins with these columns."""
    (table,) = [
        table
        for table in tables((DOCS / page).read_text())
        if tuple(table[0][: len(header)]) == header
    ]
    return table[1:]


# ---- configs.md


def test_every_config_is_listed():
    listed = {}
    for cell, *facts in rows_of('configs.md', 'config', 'backbone'):
        (DOCS / LINK.findall(cell)[0]).resolve(strict=True)
        listed[LINK.findall(cell)[0]] = facts
        assert cell.startswith(f'[`{code_spans(cell)[0]}`]')
    assert sorted(listed) == [f'../configs/pandepth/{n}' for n in NAMES]


@pytest.mark.parametrize('name', NAMES)
def test_configs_are_as_listed(name):
    (row,) = [
        row
        for row in rows_of('configs.md', 'config', 'backbone')
        if f'(../configs/pandepth/{name})' in row[0]
    ]
    cfg = Config.fromfile(CONFIGS / name)
    backbone = cfg.model.backbone
    if backbone is not None:
        backbone.init_cfg = None
    model = MODELS.build(cfg.model)
    loop = cfg.train_cfg
    length = f'{loop.max_epochs} epochs' if 'max_epochs' in loop else f'{loop.max_iters} iterations'
    millions = sum(p.numel() for p in model.parameters()) / 1e6
    assert row[1:] == [
        'none' if backbone is None else backbone.arch,
        ', '.join(map(str, cfg.test_dataloader.dataset.img_scale)),
        length,
        f'{millions:.1f}M',
    ]


def test_defaults_are_the_configs():
    rows = rows_of('configs.md', 'key', 'default')
    losses = rows_of('configs.md', 'loss', 'key of its weight')
    assert len(rows) > 15
    for cell, default, *_ in rows + [row[1:] for row in losses]:
        (key,) = code_spans(cell)
        value = ast.literal_eval(code_spans(default)[0])
        assert plain(look_up(load(CONFIG), key)) == plain(value), key


def test_losses_are_those_of_the_model():
    listed = [code_spans(row[0])[0] for row in rows_of('configs.md', 'loss', 'key of its weight')]
    by_step = [
        name for row in rows_of('architecture.md', 'step', 'class') for name in code_spans(row[3])
    ]
    model = MODELS.build(Config.fromfile(CONFIGS / 'pandepth_effb0_minivkitti.py').model)
    losses = model(**model.data_preprocessor(random_batch(), True), mode='loss')
    names = {name for name in losses if 'loss' in name}
    assert names == set(listed) == set(by_step)


def test_example_of_leaving_branches_out_is_a_config(tmp_path):
    """It is the row SemSegDepth of Table 1, without its breakdown."""
    page = (DOCS / 'configs.md').read_text()
    (text,) = re.findall(r"```python\n(_base_ = './.*?)```", page, re.S)
    path = tmp_path / 'example.py'
    path.write_text(text.replace("'./", f"'{CONFIGS}/", 1))
    cfg = Config.fromfile(path)
    wanted = Config.fromfile(CONFIGS / 'table1' / 'semsegdepth.py')
    assert cfg.model == wanted.model
    assert cfg.default_hooks == wanted.default_hooks
    assert [m.type for m in cfg.test_evaluator] == [m.type for m in wanted.test_evaluator]


# ---- faq.md and get_started.md


def messages(page):
    """File of this project, and a message quoted from it, line by line."""
    blocks = re.findall(r'^```text title="(.+?)"\n(.*?)^```', page, re.M | re.S)
    return [(file, line) for file, text in blocks for line in text.splitlines()]


def string_texts(file):
    """The texts in a file's code, with … for what is put in.

    Constants of the file are put in as they are.
    """
    source = (ROOT / file).read_text()
    if not file.endswith('.py'):
        return [re.sub(r'\$\{?\w+\}?', '…', source)]
    tree = ast.parse(source)
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
    }

    def put_in(part):
        if isinstance(part, ast.Constant):
            return part.value
        return str(constants.get(getattr(part.value, 'id', None), '…'))

    return [
        ''.join(map(put_in, node.values)) if isinstance(node, ast.JoinedStr) else node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        or (isinstance(node, ast.Constant) and isinstance(node.value, str))
    ]


def missing_parts(file, message):
    """Parts of a message that stand nowhere in the file.

    The parts are what lies between …, and between the words that InputError
    and the command line tools put around what was found and expected.
    """
    parts = re.split(r'…|^error: |: found |; expected ', message)
    texts = string_texts(file)
    return [
        part
        for part in map(str.strip, parts)
        if re.search(r'\w', part) and not any(part in text for text in texts)
    ]


FAQ_MESSAGES = messages((DOCS / 'faq.md').read_text())


@pytest.mark.parametrize('file, message', FAQ_MESSAGES)
def test_quoted_messages_are_those_of_the_code(file, message):
    assert missing_parts(file, message) == []


def test_made_up_messages_are_found():
    assert len(FAQ_MESSAGES) > 8
    file, message = FAQ_MESSAGES[0]
    assert missing_parts(file, message.replace('torch', 'tensorflow'))
    assert missing_parts('tools/setup_env.sh', 'no C++ … in the house')


def test_setup_variables_exist():
    script = (ROOT / 'tools' / 'setup_env.sh').read_text()
    names = [code_spans(row[0])[0] for row in rows_of('get_started.md', 'variable', 'meaning')]
    assert len(names) == 6
    for name in names:
        assert re.search(rf'^#     {name} ', script, re.M), name


def test_wheel_commands_install_the_tried_versions():
    page = (DOCS / 'get_started.md').read_text()
    script = (ROOT / 'tools' / 'setup_env.sh').read_text()
    for pin in ('torch==2.13.0', 'onedl-mmcv==2.3.6', 'setuptools>=80,<82'):
        assert pin in page and pin in script
    from pandepth_mm import __version__

    assert f'pandepth_mm-{__version__}-py3-none-any.whl' in page


# ---- examples


def python_blocks(page):
    return re.findall(r'^```python\n(.*?)^```', (DOCS / page).read_text(), re.M | re.S)


@pytest.fixture
def frame_files(tmp_path, monkeypatch):
    """image.png, scan.bin and calib.txt in the working folder."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    size = (375, 1242)
    cv2.imwrite('image.png', rng.integers(0, 256, (*size, 3), np.uint8))
    scan = rng.uniform((5, -5, -1, 0), (50, 5, 1, 1), (5000, 4))
    scan.astype(np.float32).tofile('scan.bin')
    lines = dict(
        P2=[700, 0, 620.5, 0, 0, 700, 187, 0, 0, 0, 1, 0],
        R0_rect=np.eye(3).ravel(),
        # LiDAR: x forward, y left, z up
        Tr_velo_to_cam=[0, -1, 0, 0, 0, 0, -1, 0, 1, 0, 0, 0],
    )
    Path('calib.txt').write_text(
        ''.join(f'{name}: {" ".join(map(str, values))}\n' for name, values in lines.items())
    )
    return scan


def test_first_example_runs(frame_files, capsys):
    (code,) = python_blocks('index.md')
    exec(code, {})
    assert 'category' in capsys.readouterr().out
    assert {'panels.png', 'panoptic.png', 'depth.png', 'result.json'} <= set(os.listdir('out'))


def test_example_of_sparse_depth_runs(frame_files):
    (code,) = python_blocks('custom_dataset.md')
    exec(code, {})
    depth = read_depth_png('sparse_depth.png', 256, (375, 1242))
    x, y, z = frame_files[0, :3]  # of the LiDAR
    col, row = round(620.5 - 700 * y / x), round(187 - 700 * z / x)
    assert 0 < depth[row, col] <= x + 1 / 256  # or of one before it
    assert 3000 < (depth > 0).sum() <= 5000


# ---- model_zoo.md


def test_model_zoo_has_every_file_of_weights():
    page = (DOCS / 'model_zoo.md').read_text()
    files = [p.relative_to(ROOT) for p in (ROOT / 'pandepth_mm' / 'weights').iterdir()]
    for file in files:
        size = os.path.getsize(ROOT / file) / 1e6
        assert f'`{Path(file).as_posix()}`, {size:.1f} MB' in page
    assert page.count('.pth`, ') == len(files)


def test_model_zoo_states_the_measured_numbers():
    (row,) = rows_of('model_zoo.md', 'PQ', 'mIoU')
    measured = json.loads((DOCS / 'demo_training_metrics.json').read_text())
    percent = [
        f'{100 * measured[name]:.1f} %'
        for name in ('panoptic/PQ', 'semantic/mIoU', 'instance/bbox_mAP', 'instance/segm_mAP')
    ]
    depth = [f'{measured[f"depth/{name}"]:.0f} mm' for name in ('rmse', 'mae')]
    assert row == percent + depth
