"""Configs that checkpoints hold: read as data, never run."""

import pytest
import torch
from mmengine.config import Config

from pandepth_mm.apis import init_model
from pandepth_mm.engine.model_zoo import DEFAULT_MODEL, shipped_models
from pandepth_mm.engine.stored_config import read_stored_config
from pandepth_mm.errors import InputError
from pandepth_mm.registry import MODELS


def stored(text):
    return dict(message_hub=dict(runtime_info=dict(cfg=text)))


@pytest.mark.parametrize('name', sorted(shipped_models()))
def test_same_as_mmengine_reads_it(name):
    cfg = Config.fromfile(shipped_models()[name].config)
    for checkpoint in (stored(cfg.pretty_text), dict(meta=dict(cfg=cfg.pretty_text))):
        found = read_stored_config(checkpoint, 'w.pth')
        assert found.model == cfg.model
        dataset = cfg.test_dataloader.dataset
        assert found.test_dataloader.dataset == {
            key: dataset[key] for key in ('img_scale', 'metainfo', 'pipeline') if key in dataset
        }


def test_our_types_with_and_without_their_scope():
    for kind in ('PanDepth', 'pandepth_mm.PanDepth'):
        text = f'model = dict(type={kind!r})'
        assert read_stored_config(stored(text), 'w.pth').model.type == kind
    with pytest.raises(InputError, match="found the type 'mmseg.PanDepth'"):
        read_stored_config(stored("model = dict(type='mmseg.PanDepth')"), 'w.pth')


def test_values_of_all_kinds():
    text = (
        "model = dict(a=-1.5, b=inf, c=-inf, d=(1, [2, {'x y': None}]), e='t', f=True, g={3, 4})\n"
    )
    model = read_stored_config(stored(text), 'w.pth').model
    assert model.to_dict() == dict(
        a=-1.5, b=float('inf'), c=-float('inf'), d=(1, [2, {'x y': None}]), e='t', f=True, g={3, 4}
    )


def test_keys_that_are_no_names():
    """Learning rates by the place of a parameter, for one."""
    lr_mult = {'backbone.layers.0': dict(lr_mult=0.1), 'neck': dict(lr_mult=0.5)}
    cfg = Config(dict(model=dict(a=lr_mult, b=[lr_mult, {3: 4}])))
    assert read_stored_config(stored(cfg.pretty_text), 'w.pth').model == cfg.model


@pytest.mark.parametrize(
    'text, message',
    [
        ('import os\nmodel = dict()', 'no data .line 1 is no assignment'),
        ("model = open('ran', 'w')", 'no data .malformed node'),
        ("model = dict(a=open('ran', 'w'))", 'no data .malformed node'),
        ("model = dict(a=[open('ran', 'w') for _ in range(3)])", 'no data'),
        ('model = dict(**dict(a=1))', 'no data'),
        ("model = dict({'a': open('ran', 'w')})", 'no data'),
        ("model = dict([('a', 1)])", 'no data'),
        ("model = dict({'a': 1}, {'b': 2})", 'no data'),
        ('model = {**dict(a=1)}', 'no data'),
        ('model.a = 1', 'no data .line 1 is no assignment'),
        ('model = (', 'no data'),
        ('model = ' + '[' * 500 + ']' * 500, 'no data'),
        ('model = 3', 'stored config: found no dict "model"'),
        ("model = dict(type='os.system')", "found the type 'os.system'"),
        (
            "model = dict(x=[dict(type='subprocess.Popen', args='ls')])",
            "found the type 'subprocess.Popen'",
        ),
        (
            "model = dict(type='mmseg.CrossEntropyLoss', class_weight='a.pkl')",
            "found the type 'mmseg.CrossEntropyLoss'",
        ),
        ('model = dict(type=dict(a=1))', "found the type {'a': 1}"),
        (
            'model = dict()\ntest_dataloader = dict(dataset=dict(pipeline=[dict('
            "type='builtins.print')]))",
            "found the type 'builtins.print'",
        ),
    ],
)
def test_what_is_more_than_data_is_refused(text, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message) as error:
        read_stored_config(stored(text), 'w.pth')
    assert str(error.value).startswith('w.pth: ')
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    'checkpoint', [dict(), dict(meta=3), dict(meta=dict(cfg=7)), dict(message_hub=dict())]
)
def test_checkpoints_without_a_config(checkpoint):
    with pytest.raises(InputError, match='w.pth: found no config in it'):
        read_stored_config(checkpoint, 'w.pth')


def test_weights_alone_are_enough_for_a_model(tmp_path):
    """Of a training, and the shipped ones, which hold no config."""
    shipped = shipped_models()[DEFAULT_MODEL]
    cfg = Config.fromfile(shipped.config)
    weights = MODELS.build(cfg.model).state_dict()
    torch.save(dict(stored(cfg.pretty_text), state_dict=weights), tmp_path / 'epoch_1.pth')
    model = init_model(weights=tmp_path / 'epoch_1.pth')
    assert model.cfg.test_dataloader.dataset.img_scale == (832, 256)
    assert model.dataset_meta['classes'] == tuple(f'class {i}' for i in range(14))
    assert init_model(weights=shipped.weights).dataset_meta['classes'][1] == 'Car'
    torch.save(weights, tmp_path / 'bare.pth')
    with pytest.raises(InputError, match='bare.pth: found no config in it'):
        init_model(weights=tmp_path / 'bare.pth')
