"""Gray levels of an image that was computed in floats."""

import numpy as np


def as_gray_levels(values: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Clip to 0 .. 255, and round where the type is one of integers.

    Args:
        values: Of any shape, floats.
        dtype: Type of the result.
    """
    values = values.clip(0, 255)
    if not np.issubdtype(dtype, np.floating):
        values = np.rint(values)
    return values.astype(dtype)
