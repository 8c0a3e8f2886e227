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
    if values.shape[-1] < 2:
        return values
    from .compiled import curves

    rows = np.ascontiguousarray(values, np.float64).reshape(-1, values.shape[-1])
    out = np.empty(rows.shape)
    n, widths = (np.full(len(rows), number) for number in (values.shape[-1], width))
    curves.running_median(rows, n, widths, out)
    return out.reshape(values.shape)


def spread(values: Array) -> Array:
    """Median absolute deviation along the last axis."""
    return median(np.abs(values - median(values)[..., None]))


def noise_level(values: Array) -> Array:
    """Estimate standard deviations from median absolute ones (Hampel, JASA 1974)."""
    return np.asarray(1.4826 * spread(values))


def count(hit: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count what is True along the last axis."""
    return np.asarray(np.bitwise_count(np.packbits(hit, axis=-1)).sum(-1, dtype=np.int64))
