"""Which precisions a device may have, and which it should not."""

import logging

import pytest
import torch

from pandepth_mm.models.precision import check_precision

CPU = torch.device('cpu')


@pytest.fixture
def warnings(monkeypatch):
    """What is said at the level of warnings."""
    said = []
    monkeypatch.setattr(
        'pandepth_mm.models.precision.print_log',
        lambda message, logger, level: said.append((message, level)),
    )
    return said


@pytest.mark.parametrize(
    ('capability', 'precision', 'slow'),
    [
        ('AVX2', 'bf16', True),
        ('NO AVX', 'bf16', True),
        ('AVX512', 'bf16', False),
        ('SVE256', 'bf16', False),
        ('AVX2', 'fp32', False),
    ],
)
def test_a_cpu_that_is_slow_in_16_bits_is_told_of(
    monkeypatch, warnings, capability, precision, slow
):
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: capability)
    check_precision(precision, CPU)
    assert [level for _, level in warnings] == [logging.WARNING] * slow
    assert all('without AVX-512' in message for message, _ in warnings)


def test_a_gpu_is_not_asked_for_the_cpu(monkeypatch, warnings):
    monkeypatch.setattr(torch.backends.cpu, 'get_cpu_capability', lambda: 'AVX2')
    check_precision('bf16', torch.device('cuda'))
    assert not warnings
