"""The metrics file that ``tools/test.py --out`` writes."""
import math
from pathlib import Path
from typing import Union

from pandepth_mm.fileio import write_json


def write_metrics(path: Union[str, Path], metrics: dict) -> None:
    """Write metrics as JSON, unrounded, atomically.

    Args:
        path: The file.
        metrics: Numbers by name. What is not finite (a class that never
            occurs, say) becomes null: JSON has no NaN.
    """
    plain = {}
    for name, value in metrics.items():
        number = float(value)  # numpy and torch scalars too
        plain[name] = number if math.isfinite(number) else None
    write_json(path, plain)
