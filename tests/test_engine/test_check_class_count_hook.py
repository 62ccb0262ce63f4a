"""The class counts of the model and the data."""

from types import SimpleNamespace

import pytest
from tiny_dataset import make_tiny_dataset, tiny_config
from torch import nn

from pandepth_mm.engine.hooks import CheckClassCountHook
from pandepth_mm.errors import InputError
from pandepth_mm.registry import DATASETS
from pandepth_mm.structures.vkitti2_meta import THING_CLASSES


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


@pytest.mark.parametrize('same', [True, False], ids=['alike', 'of two data sets'])
def test_parts_of_a_concatenation(tmp_path, same):
    """Of parts that differ somewhere, mmdet's ConcatDataset has a list of metainfo."""
    kwargs = {} if same else dict(stuff_classes=('Sky', 'Road'))
    parts = [
        tiny_config(make_tiny_dataset(tmp_path / name, num_frames=1, splits=('train',), **changes))
        for name, changes in (('first', {}), ('second', kwargs))
    ]
    if not same:
        parts[1]['metainfo'] = dict(thing_classes=THING_CLASSES, stuff_classes=('Sky', 'Road'))
    dataset = DATASETS.build(dict(type='ConcatDataset', datasets=parts))
    assert isinstance(dataset.metainfo, list)  # at least the roots differ
    joined = runner(3, 11)
    joined.train_dataloader = SimpleNamespace(dataset=dataset)
    if same:
        CheckClassCountHook().before_train(joined)
        return
    with pytest.raises(InputError, match=r'num_stuff: found 11; expected 2, .*\(Sky, Road\)'):
        CheckClassCountHook().before_train(joined)
