"""Types that the maps of a prediction may have."""

import contextlib
import logging

import torch
from mmengine.logging import print_log

from pandepth_mm.errors import InputError, require_choice

PRECISIONS = dict(fp32=None, bf16=torch.bfloat16, fp16=torch.float16)
# what torch calls the x86 CPUs on which oneDNN has no convolution in bfloat16
_WITHOUT_BF16 = ('AVX2', 'NO AVX')


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device cannot do, warn of one that makes it slower.

    Raises:
        InputError: That, or no precision at all.
    """
    require_choice(precision, PRECISIONS, 'precision')
    if device.type == 'cpu' and precision == 'fp16':
        raise InputError('precision', "'fp16' on a CPU", "'fp32' or 'bf16'")
    if (
        device.type == 'cpu'
        and precision == 'bf16'
        and torch.backends.cpu.get_cpu_capability() in _WITHOUT_BF16
    ):
        print_log(
            'bf16 on a CPU without AVX-512 takes many times as long as fp32.',
            logger='current',
            level=logging.WARNING,
        )


def predict_in(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """Compute the maps of the dense branches in a precision."""
    dtype = PRECISIONS[precision]
    return contextlib.nullcontext() if dtype is None else torch.autocast(device.type, dtype)
