import logging
from types import SimpleNamespace

import pytest
from mmcv.cnn import ConvModule
from torch import nn

from pandepth_mm.models.layers.inplace_abn import InPlaceABN
from pandepth_mm.registry import HOOKS


@pytest.mark.parametrize('wrap', [lambda model: model, nn.DataParallel], ids=['plain', 'wrapped'])
def test_norms_are_changed_when_the_training_starts_and_counted(wrap, caplog):
    norm, act = dict(type='BN'), dict(type='LeakyReLU')
    model = nn.Sequential(
        ConvModule(3, 4, 1, norm_cfg=norm, act_cfg=act), ConvModule(4, 4, 1, norm_cfg=norm)
    )
    model.eval()  # as it is before the loop starts
    runner = SimpleNamespace(model=wrap(model), logger=logging.getLogger('test'))
    hook = HOOKS.build(dict(type='InPlaceABNHook'))
    with caplog.at_level(logging.INFO):
        hook.before_train(runner)
    assert isinstance(model[0].bn, InPlaceABN)
    assert type(model[1].bn) is nn.BatchNorm2d  # its activation is a ReLU
    assert 'InPlaceABNHook: 1 norms' in caplog.text
