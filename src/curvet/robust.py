"""Level and noise of series that may hold spikes; order statistics of many series at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def median(values: Array) -> Array:
    """Take the median along the last axis; finite values only, which makes it quick."""
    return middle(np.sort(values, axis=-1))


def middle(ordered: Array) -> Array:
    """Take the median of what is in order along the last axis."""
    n = ordered.shape[-1]
    if n % 2:
        return np.asarray(ordered[..., n // 2])
    return np.asarray((ordered[..., n // 2 - 1] + ordered[..., n // 2]) / 2)


def quantiles(ordered: Array, shares: Sequence[float]) -> list[Array]:
    """Interpolate between the two values next to each share, as numpy does.

    Parameters
    ----------
    ordered : array of shape (..., point)
        Ascending.
    shares : sequence of float
        0 to 1.

    Returns
    -------
    list of arrays of shape (...,)
    """
    found, last = [], ordered.shape[-1] - 1
    for share in shares:
        below = int(share * last)
        low, high = ordered[..., below], ordered[..., min(below + 1, last)]
        t = share * last - below
        found.append(low + (high - low) * t if t < 0.5 else high - (high - low) * (1 - t))
    return found


def running_median(values: Array, width: int) -> Array:
    """Take the median around each value, along the last axis.

    Parameters
    ----------
    values : array of shape (..., n)
        Finite.
    width : int
        Neighbours in a window, itself included; made odd, and less than twice the length. At the
        ends the series is reflected: repeating the last value would make it its own median. Of
        wide windows every few neighbours are taken, which bounds time and memory.

    Returns
    -------
    array of shape (..., n)
    """
    half = min(width // 2, values.shape[-1] - 1)
    if half < 1:
        return values
    before, after = values[..., half:0:-1], values[..., -2 : -half - 2 : -1]
    padded = np.concatenate([before, values, after], axis=-1)
    stride = max(1, half // 64)
    first, along = half % stride, padded.strides[-1]
    size = (2 * half - first) // stride + 1  # odd
    # What numpy's sliding_window_view gives, which takes as long as the medians of short series.
    shape, strides = (*values.shape, size), (*padded.strides, stride * along)
    windows: Array = np.ndarray(shape, padded.dtype, padded, first * along, strides)
    centre = windows.shape[-1] // 2
    return np.asarray(np.partition(windows, centre, axis=-1)[..., centre])


def spread(values: Array) -> Array:
    """Median absolute deviation along the last axis."""
    return median(np.abs(values - median(values)[..., None]))


def noise_level(values: Array) -> Array:
    """Estimate standard deviations from median absolute ones (Hampel, JASA 1974)."""
    return np.asarray(1.4826 * spread(values))


def count(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count what is True along the last axis."""
    return np.asarray(np.bitwise_count(np.packbits(hit, axis=-1)).sum(-1, dtype=np.int64))


def interpolate(at: Array, x: Array, y: Array) -> Array:
    """Interpolate row by row as `numpy.interp` does: (run, m), (run, n), (run, n) -> (run, m)."""
    if len(y) == 1 or (at != at[:1]).any() or (x != x[:1]).any():
        return np.array([np.interp(*row) for row in zip(at, x, y, strict=True)])
    if np.array_equal(at[0], x[0]):
        return y
    if len(x[0]) == 1:
        return np.broadcast_to(y, at.shape)
    # All rows stand on the same places.
    last = len(x[0]) - 1
    below = np.searchsorted(x[0], at[0], side="right") - 1
    low = np.clip(below, 0, last - 1)
    width = x[0][low + 1] - x[0][low]
    with np.errstate(invalid="ignore", divide="ignore"):  # before the first of equal places
        found = (y[:, low + 1] - y[:, low]) / width * (at[0] - x[0][low]) + y[:, low]
    return np.where(below < 0, y[:, :1], np.where(below >= last, y[:, -1:], found))
