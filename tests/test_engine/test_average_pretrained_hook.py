from types import SimpleNamespace

import pytest
import torch
from torch import nn

from pandepth_mm.errors import InputError
from pandepth_mm.registry import HOOKS


def make_runner(pretrained=True, resume=False, is_init=True):
    model = nn.Module()
    model.is_init = is_init
    model.backbone = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2))
    model.backbone.pretrained = dict(checkpoint='a') if pretrained else None
    model.neck = nn.Conv2d(2, 2, 1)
    for parameter in model.parameters():
        nn.init.constant_(parameter, 1.0)
    return SimpleNamespace(model=model, _resume=resume)


def trained(runner):
    return {key: torch.full_like(value, 4) for key, value in runner.model.state_dict().items()}


def load(runner, state):
    checkpoint = dict(state_dict=dict(state))
    HOOKS.build(dict(type='AveragePretrainedHook')).after_load_checkpoint(runner, checkpoint)
    return checkpoint['state_dict']


def test_the_backbone_becomes_the_mean_and_the_rest_stays():
    runner = make_runner()
    state = trained(runner)
    loaded = load(runner, state)
    assert loaded.keys() == state.keys()
    assert (loaded['backbone.0.weight'] == 2.5).all()
    assert (loaded['backbone.1.running_mean'] == 2).all()  # 0 before
    assert loaded['backbone.1.num_batches_tracked'] == 4
    assert (loaded['neck.weight'] == 4).all()


def test_16_bits_become_those_of_the_model():
    runner = make_runner()
    state = {key: value.half() for key, value in trained(runner).items()}
    assert load(runner, state)['backbone.0.weight'].dtype == torch.float32


def test_a_resumed_training_keeps_its_weights():
    runner = make_runner(resume=True)
    assert (load(runner, trained(runner))['backbone.0.weight'] == 4).all()


def test_a_test_takes_the_weights_as_they_are():
    """Nothing initializes a model that is tested."""
    runner = make_runner(is_init=False)
    assert (load(runner, trained(runner))['backbone.0.weight'] == 4).all()


def test_a_backbone_from_scratch_is_refused():
    runner = make_runner(pretrained=False)
    with pytest.raises(InputError, match='model.backbone.init_cfg.*without pretrained'):
        load(runner, trained(runner))
