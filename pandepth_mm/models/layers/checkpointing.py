"""Activation checkpointing that counts a batch once."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpointed(modules: Sequence[nn.Module], x: Tensor, *inputs: Any) -> Tensor:
    """Call modules, one on the other's result, without keeping the maps between.

    The backward pass computes them again.

    Less memory, more time, the same gradients. The second computation does not update the running
    statistics of batch norms, which a plain checkpoint does twice.

    Args:
        modules: Layers, or stacks of layers.
        x: What the first is called with.
        inputs: What each is called with besides.

    Returns:
        What the last returns.
    """
    run = partial(_run, modules)
    if not torch.is_grad_enabled():
        return run(x, *inputs)
    return checkpoint(run, x, *inputs, use_reentrant=False, context_fn=partial(_contexts, modules))


def _run(modules: Sequence[nn.Module], x: Tensor, *inputs: Any) -> Tensor:
    for module in modules:
        x = module(x, *inputs)
    return x


def _contexts(
    modules: Sequence[nn.Module],
) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of the first and the second computation."""
    return nullcontext(), _keep_statistics(modules)


@contextmanager
def _keep_statistics(modules: Sequence[nn.Module]) -> Iterator[None]:
    """Let the batch norms of modules normalize as they do, but remember nothing."""
    norms = [
        m
        for module in modules
        for m in module.modules()
        if isinstance(m, _BatchNorm) and m.track_running_stats
    ]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
