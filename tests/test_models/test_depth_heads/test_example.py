"""The example of a depth head outside of the package: docs/extend.md."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from random_batch import random_batch

from pandepth_mm.errors import InputError
from pandepth_mm.export.dense_path import DensePath
from pandepth_mm.models.build import build_pandepth


@pytest.fixture
def config(extension):
    return extension / 'toy_depth_head_config.py'


@pytest.fixture
def model(config):
    torch.manual_seed(0)
    return build_pandepth(Config.fromfile(config), str(config))


def test_trains_a_step_and_predicts(model):
    head = model.depth_head
    assert (head.max_depth, head.num_classes) == (80, 14)
    data = model.data_preprocessor(random_batch(), training=True)
    loss, _ = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert torch.isfinite(loss)
    assert all(p.grad is not None for p in model.parameters())
    # the maps of the neck reach the head
    assert head.conv.weight.grad[:, 4:].abs().max() > 0
    with torch.no_grad():
        (sample,) = model.eval().test_step(random_batch((0,)))
    depth = sample.pred_depth_map.data
    assert depth.shape == (1, 64, 96) and 0 < depth.min() and depth.max() <= 80


def test_prepared_depth_is_in_range(model):
    sparse = torch.tensor([[[[5.0, 0.0, -1.0, 80.0, 80.5, float('nan')]]]], requires_grad=True)
    prepared = model.depth_head.prepare(sparse.double(), torch.eye(3)[None])
    assert prepared.tolist() == [[[[5, 0, 0, 80, 0, 0]]]]
    assert prepared.dtype == torch.float32 and not prepared.requires_grad


def test_a_head_that_reads_no_logits_does_not_train_them(config):
    """The depth loss is then none for the semantic head, nor the joint one."""
    cfg = Config.fromfile(config)
    cfg.model.update(joint_head=None, panoptic_fusion=None)
    cfg.model.semantic_head.loss.loss_weight = 0.0
    with pytest.raises(InputError, match='model.semantic_head.loss.loss_weight'):
        build_pandepth(cfg, str(config))


def test_export_knows_its_own_head_alone(model):
    with pytest.raises(InputError, match='model.depth_head: found ToyDepthHead'):
        DensePath(model)


def test_command_line_finds_it(config, extension):
    """As with any config: the module need only be on the path."""
    root = Path(__file__).parents[3]
    tool = root / 'tools' / 'analysis_tools' / 'table2.py'
    code = f'import sys; sys.path.insert(0, {str(extension)!r}); sys.argv[1:] = [{str(config)!r}]\n'
    code += f"import runpy; runpy.run_path({str(tool)!r}, run_name='__main__')"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    parameters = 9 * (1 + 3 + 64) + 1
    assert f'depth     {parameters:>10} ' in out.stdout
