"""Order statistics and interpolation of curves, one curve after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part

Array = NDArray[np.float64]


@part
def middle(ordered: Array) -> float:
    """Take the median of what is in order."""
    n = len(ordered)
    if n % 2:
        return float(ordered[n // 2])
    return float((ordered[n // 2 - 1] + ordered[n // 2]) / 2)


@part
def median(values: Array) -> float:
    """Take the median of finite values, of which there are few."""
    ordered, n, gap = values.copy(), len(values), 1
    while gap < n // 3:
        gap = 3 * gap + 1
    while gap:  # Shell's sort, which takes numba a tenth of the time to compile as numpy's does
        for i in range(gap, n):
            value, at = ordered[i], i
            while at >= gap and ordered[at - gap] > value:
                ordered[at] = ordered[at - gap]
                at -= gap
            ordered[at] = value
        gap //= 3
    return middle(ordered)


@part
def quantile(ordered: Array, share: float) -> float:
    """Interpolate between the two values next to a share, as numpy does."""
    last = len(ordered) - 1
    below = int(share * last)
    low, high = ordered[below], ordered[min(below + 1, last)]
    t = share * last - below
    return float(low + (high - low) * t if t < 0.5 else high - (high - low) * (1 - t))


@part
def spread(ordered: Array) -> float:
    """Take the median absolute deviation of what is in order."""
    n = len(ordered)
    if n % 2:
        return _nearest(ordered, n // 2)
    return (_nearest(ordered, n // 2 - 1) + _nearest(ordered, n // 2)) / 2


@part
def _nearest(ordered: Array, k: int) -> float:
    """Find the distance from the median to that which k others are nearer to.

    Distances grow to the left and to the right of the middle: by halving, so many of the k + 1
    nearest are found to be on the left.
    """
    n, level = len(ordered), middle(ordered)
    at = n // 2
    low, high = max(0, k + 1 - (n - at)), min(k + 1, at)
    while low < high:
        left = (low + high) // 2
        if level - ordered[at - 1 - left] < ordered[at + k - left] - level:
            low = left + 1
        else:
            high = left
    found = 0.0
    if low > 0:
        found = level - ordered[at - low]
    if low <= k:
        found = max(found, ordered[at + k - low] - level)
    return found


@part
def interpolated(at: float, x: Array, y: Array) -> float:
    """Interpolate between points as `numpy.interp` does."""
    below, above = -1, len(x)
    while above - below > 1:
        i = (below + above) // 2
        if x[i] <= at:
            below = i
        else:
            above = i
    if below < 0:
        return float(y[0])
    if below == len(x) - 1:
        return float(y[below])
    rise = (y[below + 1] - y[below]) / (x[below + 1] - x[below])
    return float(rise * (at - x[below]) + y[below])


@part
def _insert(window: Array, n: int, value: float) -> None:
    """Put a value among the first n, which are in order."""
    while n > 0 and window[n - 1] > value:
        window[n] = window[n - 1]
        n -= 1
    window[n] = value


@part
def _exchange(window: Array, old: float, new: float) -> None:
    """Put a value in the place of another, and all in order again."""
    at = 0
    for k in range(len(window)):  # several at once, which is quicker than to search
        at += window[k] < old
    while at > 0 and window[at - 1] > new:
        window[at] = window[at - 1]
        at -= 1
    while at < len(window) - 1 and window[at + 1] < new:
        window[at] = window[at + 1]
        at += 1
    window[at] = new


@kernel("float64[:,:], float64[:,:], float64[:,:]", "float64[:,::1]")
def interpolate(at: Array, x: Array, y: Array, out: Array) -> None:
    """Interpolate row by row: (run, m), (run, n), (run, n) -> (run, m).

    Both places ascend, so that each search begins where the last one ended; where the first ones
    do not, it begins anew.
    """
    n, m = x.shape[1], at.shape[1]
    for run in range(len(at)):
        below = -1
        for i in range(m):
            here = at[run, i]
            if below >= 0 and x[run, below] > here:
                below = -1
            while below < n - 1 and x[run, below + 1] <= here:
                below += 1
            if below < 0:
                out[run, i] = y[run, 0]
            elif below == n - 1:
                out[run, i] = y[run, below]
            else:
                low = x[run, below]
                rise = (y[run, below + 1] - y[run, below]) / (x[run, below + 1] - low)
                out[run, i] = rise * (here - low) + y[run, below]


@kernel("float64[:,::1], int64, int64", "float64[:,::1]")
def running_median(x: Array, half: int, stride: int, out: Array) -> None:
    """Take the median around each value.

    Parameters
    ----------
    x : array of shape (run, n + 2 * half)
        Finite, with what is seen beyond either end.
    half, stride : int
        How far a window reaches on either side, and of how many neighbours one is taken.
    out : array of shape (run, n)
        Is filled.
    """
    n, first = out.shape[1], half % stride
    size = (2 * half - first) // stride + 1  # odd
    window = np.empty(size)
    for run in range(len(x)):
        # Windows of every `stride`-th value differ by one value, and stay in order.
        for begin in range(min(stride, n)):
            at = begin + first
            for k in range(size):
                _insert(window, k, x[run, at + k * stride])
            out[run, begin] = window[size // 2]
            for i in range(begin + stride, n, stride):
                at = i + first - stride
                _exchange(window, x[run, at], x[run, at + size * stride])
                out[run, i] = window[size // 2]
