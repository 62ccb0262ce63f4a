"""What each branch of a model costs: time, multiply-adds, memory.

A branch is a child of the model, whatever its name. Its cost is that of all its public methods, so
that ``prepare``, ``predict`` and ``loss_by_feat`` count like ``forward``. Where a branch calls
another, the time and the multiply-adds in it are the other's.
"""

import functools
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

Around = Callable[[str], AbstractContextManager]

_MARK = 'branch '  # of a branch's span in a profile


@contextmanager
def watch_methods(owner: object, methods: list[str], name: str, around: Around) -> Iterator[None]:
    """Run every call of some methods inside of ``around(name)``.

    Args:
        owner: Object whose methods are watched.
        methods: Their names.
        name: Handed to ``around``.
        around: Makes a context manager.
    """

    def watched(method: Callable) -> Callable:
        @functools.wraps(method)
        def call(*args, **kwargs):
            with around(name):
                return method(*args, **kwargs)

        return call

    for method in methods:
        setattr(owner, method, watched(getattr(owner, method)))
    try:
        yield
    finally:
        for method in methods:
            delattr(owner, method)


@contextmanager
def watch_branches(model: nn.Module, around: Around) -> Iterator[None]:
    """Run every public method of each child of a model inside of ``around(name of the child)``."""
    with _all_of(
        watch_methods(child, _public_methods(child), name, around)
        for name, child in model.named_children()
    ):
        yield


@contextmanager
def _all_of(managers: Iterator[AbstractContextManager]) -> Iterator[None]:
    """Enter one context manager inside of the other."""
    first = next(managers, None)
    if first is None:
        yield
        return
    with first, _all_of(managers):
        yield


def _public_methods(module: nn.Module) -> list[str]:
    """``forward``, and what the class adds to mmengine's modules."""
    own = [
        name
        for name in dir(type(module))
        if not name.startswith('_')
        and name not in dir(BaseModule)
        and callable(getattr(type(module), name))
    ]
    return [*own, 'forward']


class Meter:
    """Divides what a counter counts among nested spans: each unit is the innermost one's.

    Only the spans of the thread that made it count: what another thread does beside takes no time
    of its own, and waiting for it is the span's that waits.

    Args:
        read: State of the counter, which only rises.

    Attributes:
        spent: Units by name of span.
    """

    def __init__(self, read: Callable[[], float]) -> None:
        self.read = read
        self.spent: dict[str, float] = defaultdict(float)
        self._open: list[str] = []
        self._last = 0.0
        self._thread = threading.get_ident()

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """Count what follows for ``name``."""
        if threading.get_ident() != self._thread:
            yield
            return
        self._settle()
        self._open.append(name)
        try:
            yield
        finally:
            self._settle()
            self._open.pop()

    def _settle(self) -> None:
        """Book what was counted since the last time."""
        now = self.read()
        if self._open:
            self.spent[self._open[-1]] += now - self._last
        self._last = now


def clock(device: torch.device) -> Callable[[], float]:
    """A clock in seconds that waits for the device's work."""

    def read() -> float:
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        return time.perf_counter()

    return read


class MacCounter(TorchDispatchMode):
    """Counts the multiply-adds of convolutions, matrix products and attention while it is entered.

    They are counted where they are computed, whatever module asks for them; formulas are those of
    ``torch.utils.flop_counter``. A product with a sparse matrix (RoIAlign without compiled ops)
    counts its entries. Norms, activations, interpolation and the like are left out.

    Attributes:
        macs: Multiply-adds so far.
    """

    def __init__(self) -> None:
        super().__init__()
        self.macs = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operation, and count it."""
        kwargs = kwargs or {}
        formula = flop_registry.get(func._overloadpacket)
        if formula is None:  # in inference mode a convolution comes as one that is made of others
            with self:
                out = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if out is NotImplemented else out
        out = func(*args, **kwargs)
        sparse = [a for a in args if isinstance(a, Tensor) and a.layout != torch.strided]
        if sparse:
            self.macs += sparse[0]._nnz() * out.shape[-1]
        else:
            self.macs += formula(*args, **kwargs, out_val=out) // 2
        return out


def peak_memory(model: nn.Module, run: Callable[[], object], device: torch.device) -> dict:
    """Peaks of torch's allocations while a model runs.

    Args:
        model: The model.
        run: Runs it.
        device: Whose memory.

    Returns:
        Bytes by branch and, by '', of the whole, on top of what was allocated before: weights and
        inputs do not count.
    """
    # the profiler tells on stderr when it starts, with a level of its own
    os.environ.setdefault('KINETO_LOG_LEVEL', '99')
    spans: dict[str, list[tuple[int, int]]] = defaultdict(list)
    changes = []
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        with watch_branches(model, lambda name: record_function(_MARK + name)):
            run()
    for event in profiler.profiler.kineto_results.events():
        if event.name() == '[memory]' and event.device_type().name.lower() == device.type:
            changes.append((event.start_ns(), event.nbytes()))
        elif event.name().startswith(_MARK):
            start = event.start_ns()
            spans[event.name()[len(_MARK) :]].append((start, start + event.duration_ns()))
    peaks: dict[str, int] = defaultdict(int)
    in_use = 0
    for when, change in sorted(changes):
        in_use += change
        peaks[''] = max(peaks[''], in_use)
        for name, times in spans.items():
            if in_use > peaks[name] and any(start <= when <= end for start, end in times):
                peaks[name] = in_use
    return dict(peaks)
