"""Types that the maps of a prediction may have."""

import contextlib

import torch

from pandepth_mm.errors import InputError, require_choice

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device cannot do.

    Raises:
        InputError: That, or no precision at all.
    """
    require_choice(precision, PRECISIONS, 'precision')
    if device.type == 'cpu' and precision == 'fp16':
        raise InputError('precision', "'fp16' on a CPU", "'fp32' or 'bf16'")


def predict_in(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Compute the maps of the dense branches in a precision."""
    dtype = PRECISIONS[precision]
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype)
