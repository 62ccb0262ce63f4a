"""tools/publish_model.py, and the weights that come with the package."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from tool_toy import RunsCode

from pandepth_mm.registry import MODELS
from pandepth_mm.structures.vkitti2_meta import CLASSES

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / 'pandepth_mm/weights/pandepth_effb0_minivkitti_long.pth'


def test_keeps_the_weights_and_no_path(run_tool, tmp_path):
    weights = {
        'conv.weight': torch.randn(4, 3, 3, 3),
        'bn.running_var': torch.tensor([1e-9, 1e9]),
        'bn.num_batches_tracked': torch.tensor(70000),
    }
    torch.save(
        dict(
            state_dict=weights,
            optimizer=dict(a=1),
            meta=dict(
                seed=3,
                iter=7,
                cfg='secret',
                dataset_meta=dict(classes=('a',), panoptic_ann_file='/x'),
            ),
        ),
        tmp_path / 'in.pth',
    )
    for half, tolerance in ((False, 0), (True, 1e-3)):
        out = tmp_path / f'{half}.pth'
        code, _, _ = run_tool('publish_model', tmp_path / 'in.pth', out, *['--half'] * half)
        assert code == 0
        found = torch.load(out, weights_only=True)
        assert set(found) == {'state_dict', 'meta'}
        assert found['meta']['dataset_meta'] == dict(classes=('a',))
        assert found['meta']['seed'] == 3 and 'cfg' not in found['meta']
        assert found['state_dict']['conv.weight'].dtype == (
            torch.float16 if half else torch.float32
        )
        for name, value in weights.items():
            torch.testing.assert_close(
                found['state_dict'][name].to(value),
                value,
                rtol=tolerance if name == 'conv.weight' else 0,
                atol=1e-6 if half and name == 'conv.weight' else 0,
            )


def test_bad_input(run_tool, tmp_path):
    out = tmp_path / 'out.pth'
    torch.save(dict(state_dict=RunsCode(str(tmp_path / 'ran'))), tmp_path / 'evil.pth')
    torch.save([1], tmp_path / 'list.pth')
    for name in ('evil.pth', 'list.pth', 'none.pth'):
        code, _, err = run_tool('publish_model', tmp_path / name, out)
        assert code == 2
        assert err.strip().splitlines()[-1].startswith('error: ')
        assert name in err
    assert not out.exists() and not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('config', ['pandepth_effb0_minivkitti_long.py'])
def test_shipped_weights_fit_their_config(config, tmp_path):
    assert SHIPPED.stat().st_size < 20e6
    content = torch.load(SHIPPED, weights_only=True)
    assert content['meta']['dataset_meta']['classes'] == CLASSES
    cfg = Config.fromfile(ROOT / 'configs' / 'pandepth' / config)
    model = MODELS.build(cfg.model)
    load_checkpoint(model, str(SHIPPED), map_location='cpu', strict=True)
    name = 'neck.output_convs.0.pointwise_conv.conv.weight'
    assert model.state_dict()[name].dtype == torch.float32
    assert torch.equal(model.state_dict()[name], content['state_dict'][name].float())
