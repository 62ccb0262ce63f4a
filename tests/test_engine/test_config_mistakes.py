"""Mistakes in configs become one line; bugs in classes keep their traceback."""

import pytest
from mmengine.config import Config
from torch import nn

from pandepth_mm.engine.config_mistakes import check_values, config_mistakes
from pandepth_mm.engine.options import merge_options
from pandepth_mm.errors import InputError
from pandepth_mm.registry import MODELS


class Parent(nn.Module):
    def __init__(self, size=1, **kwargs):
        super().__init__(**kwargs)


@MODELS.register_module(name='MistakeChild')
class Child(Parent):
    def __init__(self, depth=1, bug=None, part=None, **kwargs):
        super().__init__(**kwargs)
        if bug == 'keyword':
            nn.Linear(1, 1, bais=True)
        if bug == 'same keyword':
            nn.Linear(1, 1, depth=1)
        if bug == 'type':
            self.depth = depth + 'a'
        if bug == 'value':
            raise ValueError('a bug')
        if bug == 'key':
            self.depth = {}['a']
        self.part = MODELS.build(part) if part else None


@MODELS.register_module(name='MistakeNeedy')
class Needy(nn.Module):
    def __init__(self, size):
        super().__init__()


def build(**model):
    cfg = Config(dict(model=dict(type='MistakeChild', **model)))
    with config_mistakes(cfg, 'a.py'):
        return MODELS.build(cfg.model)


@pytest.mark.parametrize(
    'model, message',
    [
        (
            dict(dpeth=1),
            'a.py: model.dpeth: found an argument that Child does not take; expected perhaps depth',
        ),
        (dict(siez=1), 'model.siez: .*perhaps size'),
        (dict(part=dict(type='MistakeChild', dpeth=1)), 'model.part.dpeth: '),
        (dict(part=dict(type='MistakeNeedy')), "model.part.type: found no 'size'; expected what"),
        (dict(part=dict(type='MistakeChid')), 'model.part.type: .*perhaps Mistake'),
        (dict(part=dict(size=3)), 'type'),
        (dict(part=dict(type=3)), 'type must be a str'),
    ],
)
def test_mistakes(model, message):
    with pytest.raises(InputError, match=message):
        build(**model)


@pytest.mark.parametrize(
    'bug, error',
    [
        ('keyword', TypeError),
        ('same keyword', TypeError),
        ('type', TypeError),
        ('value', ValueError),
        ('key', KeyError),
    ],
)
def test_bugs(bug, error):
    with pytest.raises(error) as caught:
        build(bug=bug, depth=2)
    assert not isinstance(caught.value, InputError)


def test_input_errors_pass():
    cfg = Config(dict(model=dict()))
    with pytest.raises(InputError, match='^a: found b; expected c$'), config_mistakes(cfg, 'a.py'):
        raise InputError('a', 'b', 'c')


@pytest.mark.parametrize(
    'content, key',
    [
        (dict(train_dataloader=dict(batch_size='2')), 'train_dataloader.batch_size'),
        (dict(test_dataloader=dict(num_workers=None)), 'test_dataloader.num_workers'),
        (dict(val_dataloader=[]), 'val_dataloader'),
        (dict(train_cfg=dict(max_iters=2.5)), 'train_cfg.max_iters'),
        (dict(randomness=dict(seed='a')), 'randomness.seed'),
        (dict(param_scheduler='LinearLR'), 'param_scheduler'),
        (dict(log_level='loud'), 'log_level'),
    ],
)
def test_values(content, key):
    with pytest.raises(InputError, match=f'a.py: {key}: found'):
        check_values(Config(content), 'a.py')


def test_values_that_are_right():
    cfg = Config(
        dict(
            train_dataloader=None,
            val_dataloader=dict(batch_size=1, num_workers=0),
            train_cfg=dict(max_epochs=1, val_interval=None),
            randomness=dict(seed=None),
            test_evaluator=[dict(type='A')],
            param_scheduler=None,
        )
    )
    check_values(cfg, 'a.py')


@pytest.mark.parametrize(
    'options, wrong',
    [
        ({'model.a': 'two'}, True),
        ({'model.a': True}, True),
        ({'model.a': 2.5}, False),
        ({'model.a': None}, False),
        ({'model.flag': 'yes'}, True),
        ({'model.flag': 1}, True),
        ({'model.flag': False}, False),
        ({'model.text': 3}, False),
        ({'model.part': 3}, True),
        ({'model.part': None}, False),
        ({'model.parts.0.a': 'two'}, True),
        ({'model.parts.0.a': 2}, False),
        ({'model.new.deep': 'two'}, False),
    ],
)
def test_kinds_of_options(options, wrong):
    part = dict(a=1)
    cfg = Config(dict(model=dict(a=1, flag=True, text='x', part=part, parts=[part])))
    if wrong:
        with pytest.raises(InputError, match='--cfg-options: model'):
            merge_options(cfg, options)
    else:
        merge_options(cfg, options)
