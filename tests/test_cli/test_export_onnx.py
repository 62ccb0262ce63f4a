"""tools/export_onnx.py; tests/test_export has what the file computes."""

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from mmengine.config import Config
from tool_env import subprocess_env
from tool_toy import RunsCode

from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, find_config
from pandepth_mm.registry import MODELS, set_default_scope
from pandepth_mm.structures.vkitti2_meta import CLASSES

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / 'configs/pandepth'
CONFIG = f"""_base_ = {str(CONFIGS / 'table1/depth-only.py')!r}
model = dict(
    depth_head=dict(
        num_blocks=1, channels=4, sparse_channels=2, image_channels=2, k=2))
test_dataloader = dict(dataset=dict(img_scale=(48, 32)))
"""


@pytest.fixture(scope='module')
def files(tmp_path_factory):
    """A config, its weights, and files that are not."""
    set_default_scope()
    folder = tmp_path_factory.mktemp('onnx')
    (folder / 'small.py').write_text(CONFIG)
    cfg = Config.fromfile(folder / 'small.py')
    weights = MODELS.build(cfg.model).state_dict()
    torch.save(
        dict(
            state_dict={f'module.{k}': v.half() for k, v in weights.items()},
            meta=dict(dataset_meta=dict(classes=CLASSES)),
        ),
        folder / 'small.pth',
    )
    torch.save(dict(weights, another=torch.zeros(3)), folder / 'bare.pth')
    torch.save(dict(state_dict=RunsCode(str(folder / 'ran'))), folder / 'evil.pth')
    weights.pop('depth_head.predict_depth.bias')
    torch.save(dict(state_dict=weights), folder / 'part.pth')
    (folder / 'text.pth').write_text('no checkpoint')
    (folder / 'folder.onnx').mkdir()
    cfg.test_dataloader = None
    cfg.dump(folder / 'sizeless.py')
    return folder


def read(path):
    proto = onnx.load(path)
    shapes = {
        i.name: [d.dim_value for d in i.type.tensor_type.shape.dim] for i in proto.graph.input
    }
    return proto, shapes, {p.key: p.value for p in proto.metadata_props}


def test_sizes_come_from_the_config(run_tool, files, tmp_path):
    out = tmp_path / 'new' / 'model.onnx'
    code, printed, err = run_tool(
        'export_onnx', files / 'small.py', files / 'small.pth', '--out', out
    )
    assert code == 0, err
    proto, shapes, metadata = read(out)
    assert shapes['img'] == [1, 3, 32, 48]
    assert shapes['points'] == [153, 3]  # a tenth of the pixels
    assert proto.opset_import[0].version == 18
    assert json.loads(metadata['classes']) == list(CLASSES)
    size, depth = printed.splitlines()[-2:]
    assert size.endswith('MB, 48x32, 153 points, opset 18')
    name, value, unit = depth.split()[-3:]
    assert (name, unit) == ('depth', 'm') and 0 <= float(value) < 1e-3
    assert list(out.parent.iterdir()) == [out]


def test_the_default_model(tmp_path):
    """In a process of its own, where nothing has run before the export."""
    out = tmp_path / 'lite.onnx'
    files = find_config(DEFAULT_MODEL)
    command = [ROOT / 'tools/export_onnx.py', files.config, files.weights, '--out', out]
    done = subprocess.run(
        [sys.executable, *command, '--size', '192x96'],
        capture_output=True,
        text=True,
        env=subprocess_env(),
    )
    assert done.returncode == 0, done.stderr
    _, shapes, metadata = read(out)
    assert list(shapes) == ['img', 'sparse_depth', 'cam2img', 'nearest']
    assert shapes['img'] == [1, 3, 96, 192]
    assert json.loads(metadata['classes']) == list(CLASSES)
    differences = [line.split()[4] for line in done.stdout.splitlines() if 'difference' in line]
    assert differences == ['logits', 'depth', 'depth_uncertainty']


def test_flags(run_tool, files, tmp_path):
    out = tmp_path / 'model.onnx'
    code, printed, err = run_tool(
        'export_onnx',
        files / 'small.py',
        files / 'bare.pth',
        '--out',
        out,
        '--size',
        '64x40',
        '--points',
        7,
        '--opset',
        20,
        '--cfg-options',
        'model.max_depth=50.',
    )
    assert code == 0, err
    proto, shapes, metadata = read(out)
    assert shapes['sparse_depth'] == [1, 1, 40, 64]
    assert shapes['knn_indices'] == [7, 2]
    assert proto.opset_import[0].version == 20
    assert metadata['max_depth'] == '50.0' and 'classes' not in metadata


@pytest.mark.parametrize(
    'changes, named',
    [
        (dict(config='none.py'), 'none.py: found no such file'),
        (dict(config='small.pth'), 'small.pth: found'),
        (dict(config='sizeless.py'), 'test_dataloader.dataset.img_scale'),
        (dict(weights='none.pth'), 'none.pth: found no such file'),
        (dict(weights='text.pth'), 'text.pth: found a file that is no check'),
        (dict(weights='evil.pth'), 'evil.pth: found a checkpoint that could run'),
        (dict(weights='part.pth'), 'part.pth: found 95 of the 96 weights'),
        (dict(out='folder.onnx'), '--out: found'),
        (dict(out='model.pth'), '--out: found'),
        (dict(flags=('--size', '48')), "--size: found '48'"),
        (dict(flags=('--size', '0x32')), 'size: found 0x32'),
        (dict(flags=('--points', 0)), 'points: found 0'),
        (dict(flags=('--points', 1537)), 'points: found 1537'),
        (dict(flags=('--opset', 17)), 'opset: found 17'),
        (dict(flags=('--tolerance', 0)), 'depth: found a difference of'),
        (dict(flags=('--cfg-options', 'model.depth_head.channels=8')), 'shape'),
    ],
)
def test_bad_input(run_tool, files, changes, named):
    before = sorted(files.iterdir())
    arguments = dict(
        dict(config='small.py', weights='small.pth', out='model.onnx', flags=()), **changes
    )
    code, _, err = run_tool(
        'export_onnx',
        files / arguments['config'],
        files / arguments['weights'],
        '--out',
        files / arguments['out'],
        *arguments['flags'],
    )
    assert code == 2
    last = err.strip().splitlines()[-1]
    assert last.startswith('error: ') and named in last
    assert sorted(files.iterdir()) == before


def test_another_model_is_refused(run_tool, toy_config, files, tmp_path):
    code, _, err = run_tool(
        'export_onnx',
        toy_config,
        files / 'small.pth',
        '--out',
        tmp_path / 'model.onnx',
        '--size',
        '48x32',
    )
    assert code == 2 and 'model.type: found ToyModel; expected PanDepth' in err
    assert not (tmp_path / 'model.onnx').exists()
