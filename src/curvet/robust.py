"""Level and noise of a series that may hold spikes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def running_median(values: Array, width: int) -> Array:
    """Take the median around each value.

    Parameters
    ----------
    values : array of shape (n,)
        Finite.
    width : int
        Neighbours in a window, itself included; made odd, and less than twice the length. At the
        ends the series is reflected: repeating the last value would make it its own median. Of
        wide windows every few neighbours are taken, which bounds time and memory.

    Returns
    -------
    array of shape (n,)
    """
    half = min(width // 2, len(values) - 1)
    if half < 1:
        return values
    padded = np.pad(values, half, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    windows = windows[:, half % max(1, half // 64) :: max(1, half // 64)]
    return np.asarray(np.median(windows, axis=1), np.float64)


def noise_level(residuals: Array) -> float:
    """Estimate the standard deviation from the median absolute deviation (Hampel, JASA 1974)."""
    return 1.4826 * float(np.median(np.abs(residuals - np.median(residuals))))
