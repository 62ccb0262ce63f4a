"""Activation checkpointing that counts a batch once."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


def checkpointed(module: nn.Module, *inputs: Any) -> Tensor:
    """Call a module without keeping its maps: the backward pass computes them again.

    Less memory, more time, the same gradients. The second computation does not update the running
    statistics of batch norms, which a plain checkpoint does twice.

    Args:
        module: A layer, or a stack of layers.
        inputs: What it is called with.
    """
    if not torch.is_grad_enabled():
        return module(*inputs)
    return checkpoint(module, *inputs, use_reentrant=False, context_fn=partial(_contexts, module))


def _contexts(module: nn.Module) -> tuple[AbstractContextManager, AbstractContextManager]:
    """Contexts of the first and the second computation."""
    return nullcontext(), _keep_statistics(module)


@contextmanager
def _keep_statistics(module: nn.Module) -> Iterator[None]:
    """Let the batch norms of a module normalize as they do, but remember nothing."""
    norms = [m for m in module.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    before = [(norm.momentum, norm.num_batches_tracked.clone()) for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (momentum, count) in zip(norms, before, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked.copy_(count)
