"""Counting what branches cost, on a model whose costs are known."""

import itertools
import threading

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from pandepth_mm.engine.branch_costs import REST, UPDATE, WHOLE, compare, costs, count_macs
from pandepth_mm.engine.branch_probe import (
    MacCounter,
    Meter,
    peak_memory,
    watch_branches,
    watch_methods,
)

MIB = 1 << 20


class Head(nn.Module):
    """A child with methods beside forward."""

    def __init__(self, tick):
        super().__init__()
        self.tick = tick
        self.linear = nn.Linear(4, 5)

    def prepare(self, x):
        self.tick(10)
        return x

    def forward(self, x):
        self.tick(1)
        return self.linear(x)

    def predict(self, x, other):
        self.tick(100)
        out = self(x)
        other(x)
        self._private()
        return out

    def _private(self):
        self.tick(1000)


class Model(nn.Module):
    """Two children; the time stands in ``now``."""

    def __init__(self):
        super().__init__()
        self.now = 0
        self.first = Head(self.tick)
        self.second = Head(self.tick)

    def tick(self, amount):
        self.now += amount

    def forward(self, x):
        self.tick(10000)
        self.first.prepare(x)
        self.first.predict(x, self.second)
        return self.second(x)


def test_calls_of_children_are_divided():
    model = Model()
    x = torch.ones(2, 4)
    before = model(x)
    meter = Meter(lambda: model.now)
    with watch_branches(model, meter.span), meter.span(REST):
        watched = model(x)
    # second is called once inside of first, and once by the model
    assert dict(meter.spent) == {REST: 10000, 'first': 10 + 100 + 1 + 1000, 'second': 2}
    assert torch.equal(watched, before)
    count = dict(meter.spent)
    model(x)
    assert meter.spent == count  # nothing is watched any more
    assert not {'forward', 'prepare', 'predict'} & set(vars(model.first))


def test_an_error_leaves_nothing_behind():
    model = Model()
    meter = Meter(lambda: model.now)
    with pytest.raises(RuntimeError), watch_branches(model, meter.span):
        model(torch.ones(2, 3))
    assert 'forward' not in vars(model.first) and not meter._open


def test_one_method_is_watched():
    model = Model()
    meter = Meter(lambda: model.now)
    with watch_methods(model.first, ['prepare'], 'it', meter.span):
        model.first.prepare(None)
        model.first(torch.ones(1, 4))
    assert dict(meter.spent) == {'it': 10}


@pytest.mark.parametrize('mode', [torch.no_grad, torch.inference_mode])
@pytest.mark.filterwarnings('ignore:Sparse CSR')
def test_macs_by_hand(mode):
    image = torch.ones(2, 8, 10, 12)
    cases = [
        (lambda: F.conv2d(image, torch.ones(6, 8, 3, 3), padding=1), 2 * 6 * 10 * 12 * 8 * 9),
        (lambda: F.conv2d(image, torch.ones(8, 1, 3, 3), padding=1, groups=8), 2 * 8 * 120 * 9),
        (lambda: F.conv2d(image, torch.ones(4, 8, 2, 2), stride=2), 2 * 4 * 30 * 8 * 4),
        (lambda: F.conv_transpose2d(image, torch.ones(8, 3, 2, 2), stride=2), 2 * 8 * 120 * 3 * 4),
        (lambda: F.linear(torch.ones(7, 4), torch.ones(5, 4), torch.ones(5)), 7 * 4 * 5),
        (lambda: torch.ones(3, 2, 4) @ torch.ones(3, 4, 6), 3 * 2 * 4 * 6),
        (lambda: torch.eye(50).to_sparse_csr() @ torch.ones(50, 3), 50 * 3),
        (lambda: image.relu() + 1, 0),
    ]
    for run, expected in cases:
        with MacCounter() as counter, mode():
            run()
        assert counter.macs == expected


class Filler(nn.Module):
    """A child that allocates."""

    def __init__(self, kept, dropped):
        super().__init__()
        self.kept, self.dropped = kept, dropped

    def forward(self):
        torch.ones(self.dropped, dtype=torch.uint8)
        return torch.ones(self.kept, dtype=torch.uint8)


def test_peaks_of_memory():
    model = nn.ModuleDict(dict(a=Filler(4 * MIB, MIB), b=Filler(MIB, 8 * MIB), c=Filler(MIB, MIB)))
    peaks = peak_memory(
        model, lambda: [model['a'](), model['b'](), model['c']()], torch.device('cpu')
    )
    in_mib = {name: round(peak / MIB, 1) for name, peak in peaks.items()}
    assert in_mib == {'a': 4, 'b': 12, 'c': 6, '': 12}


def test_rows_and_ratios():
    model = Model()
    x = torch.ones(2, 4)

    def run(meter):
        model(x)
        if meter is not None:
            with meter.span(UPDATE):
                model.first.linear(x)  # no branch is called here

    assert count_macs(model, run) == {REST: 0, 'first': 40, 'second': 80, WHOLE: 120}
    times = {'first': [1.0, 3.0, 2.0], 'second': [1.0] * 3, REST: [0.5] * 3, WHOLE: [3.0] * 3}
    rows = costs(model, run, times, torch.device('cpu'))
    assert [row['branch'] for row in rows] == ['first', 'second', REST, WHOLE]
    assert [row['parameters'] for row in rows] == [25, 25, None, 50]
    assert rows[0]['seconds'] == dict(median=2.0, lower=1.5, upper=2.5, rounds=[1.0, 3.0, 2.0])
    twice = {name: [2 * t for t in times[name]] for name in ('second', WHOLE)}
    ratios = compare(rows, costs(model, run, twice, torch.device('cpu')))
    assert {r['branch']: r['seconds'] for r in ratios} == {'first': None, 'second': 0.5, WHOLE: 0.5}
    assert [r['macs'] for r in ratios] == [1, 1, 1]


def test_meter_takes_any_counter():
    counter = itertools.count()
    meter = Meter(lambda: next(counter))
    with meter.span('a'), meter.span('b'):
        pass
    assert dict(meter.spent) == {'a': 2, 'b': 1}


def test_what_another_thread_does_beside_takes_no_time():
    counter = itertools.count()
    meter = Meter(lambda: next(counter))

    def beside():
        with meter.span('b'):
            pass

    with meter.span('a'):
        thread = threading.Thread(target=beside)
        thread.start()
        thread.join()
    assert dict(meter.spent) == {'a': 1}
