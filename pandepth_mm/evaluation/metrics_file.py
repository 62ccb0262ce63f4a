"""The metrics file that ``tools/test.py --out`` writes."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pandepth_mm.fileio import write_json


def plain(value: Any) -> Any:
    """Turn nested values into what JSON holds.

    Args:
        value: Numbers of Python, numpy or torch, arrays, text, None, and dicts, lists and tuples of
            those.

    Returns:
        Dicts with text keys, lists, text, bool, int, float and None. What is not finite (a class
        that never occurs, say) is None: JSON has no NaN.
    """
    if isinstance(value, dict):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.generic):
        return plain(value.item())
    number = float(value)
    return number if math.isfinite(number) else None


def collect_details(metrics: Iterable[Any]) -> dict:
    """Collect what metrics have beside their numbers, after ``evaluate``.

    Args:
        metrics: An evaluator's metrics.

    Returns:
        The ``details`` of those that have some, by their prefixes; two metrics with one prefix
        share an entry.
    """
    details: dict = {}
    for metric in metrics:
        if getattr(metric, 'details', None):
            details.setdefault(metric.prefix, {}).update(metric.details)
    return details


def write_metrics(path: str | Path, metrics: dict, details: dict | None = None) -> None:
    """Write metrics as JSON, unrounded, atomically.

    Args:
        path: The file.
        metrics: Numbers by name.
        details: Nested values for the key ``details``; left out if empty.
    """
    values = {name: plain(float(value)) for name, value in metrics.items()}
    if details:
        values['details'] = plain(details)
    write_json(path, values)
