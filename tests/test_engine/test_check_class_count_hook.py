"""The class counts of the model and the data."""

from types import SimpleNamespace

import pytest
from torch import nn

from pandepth_mm.engine.hooks import CheckClassCountHook
from pandepth_mm.errors import InputError


def runner(num_things, num_stuff):
    model = nn.Module()
    model.num_things = num_things
    model.num_stuff = num_stuff
    metainfo = dict(thing_classes=('Car', 'Van'), stuff_classes=('Sky', 'Road', 'Tree'))
    loader = SimpleNamespace(dataset=SimpleNamespace(metainfo=metainfo))
    return SimpleNamespace(
        model=model, train_dataloader=loader, val_dataloader=loader, test_dataloader=loader
    )


STAGES = ('before_train', 'before_val', 'before_test')


@pytest.mark.parametrize('stage', STAGES)
def test_equal_counts(stage):
    getattr(CheckClassCountHook(), stage)(runner(2, 3))


@pytest.mark.parametrize('stage', STAGES)
@pytest.mark.parametrize(
    'counts, key, found, expected',
    [
        ((3, 3), 'model.num_things', 'found 3', 'expected 2'),
        ((2, 11), 'model.num_stuff', 'found 11', 'expected 3'),
    ],
)
def test_other_counts(stage, counts, key, found, expected):
    with pytest.raises(InputError) as error:
        getattr(CheckClassCountHook(), stage)(runner(*counts))
    message = str(error.value)
    assert message.startswith(key)
    assert found in message and expected in message
    assert f'{stage.removeprefix("before_")}_dataloader' in message


def test_wrapped_model():
    from mmengine.registry import MODEL_WRAPPERS

    @MODEL_WRAPPERS.register_module(force=True)
    class ToyWrapper(nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    wrapped = runner(3, 3)
    wrapped.model = ToyWrapper(wrapped.model)
    with pytest.raises(InputError, match='num_things'):
        CheckClassCountHook().before_train(wrapped)
