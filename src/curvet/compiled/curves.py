"""Order statistics and interpolation of curves, one curve after the other."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from . import kernel, part

Array = NDArray[np.float64]
Count = NDArray[np.int64]


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
def place_of(x: Array, value: float) -> int:
    """Find the first that is equal to a value; 0 where none is."""
    n = len(x)
    first = n
    for i in range(n):  # to the end, several at once
        first = min(first, i if x[i] == value else n)
    return first if first < n else 0


@part
def between(at: float, x: Array, y: Array, n: int, place: int) -> float:
    """Interpolate as `numpy.interp` does after the place-th of n points, or at the first for -1."""
    if place < 0:
        return float(y[0])
    if place == n - 1 or x[place] == at:
        return float(y[place])
    rise = (y[place + 1] - y[place]) / (x[place + 1] - x[place])
    return float(rise * (at - x[place]) + y[place])


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
    return between(at, x, y, len(x), below)


@part
def _insert(window: Array, n: int, value: float) -> None:
    """Put a value among the first n, which are in order."""
    while n > 0 and window[n - 1] > value:
        window[n] = window[n - 1]
        n -= 1
    window[n] = value


@part
def _exchange(window: Array, old: float, new: float) -> None:
    """Put a value in the place of another and all in order, between -inf and inf.

    No branch depends on a value: that is quicker than to look for the place of either.
    """
    left, here = window[0], window[1]
    for k in range(1, len(window) - 1):
        following = window[k + 1]
        right = here if here < old else following  # without the old value
        higher = left if left > new else new
        window[k] = higher if higher < right else right
        left, here = right, following


@part
def running_room(n: int) -> int:
    """Tell how much room `running` needs for so many values."""
    return 3 * n + 512


@part
def running(x: Array, width: int, room: Array, out: Array) -> None:
    """Take the median around each value.

    Parameters
    ----------
    x : array of shape (n,)
        Finite. At the ends it is reflected: to repeat the last value would make it its own median.
    width : int
        Neighbours in a window, itself included; made odd, and less than twice the length. Of wide
        windows every few neighbours are taken, which bounds time and memory.
    room : array of at least `running_room`
        Is written to.
    out : array of shape (n,)
        Is filled.
    """
    n = len(x)
    half = min(width // 2, n - 1)
    if half < 1:
        for i in range(n):
            out[i] = x[i]
        return
    padded, stride = room[: n + 2 * half], max(1, half // 64)
    for i in range(half):
        padded[i], padded[n + half + i] = x[half - i], x[n - 2 - i]
    for i in range(n):
        padded[half + i] = x[i]
    first = half % stride
    size = (2 * half - first) // stride + 1  # odd
    window = room[n + 2 * half : n + 2 * half + size + 2]
    window[0], window[size + 1] = -np.inf, np.inf
    # Windows of every `stride`-th value differ by one value, and stay in order.
    for begin in range(min(stride, n)):
        at = begin + first
        for k in range(size):
            _insert(window[1:], k, padded[at + k * stride])
        out[begin] = window[size // 2 + 1]
        for i in range(begin + stride, n, stride):
            at = i + first - stride
            _exchange(window, padded[at], padded[at + size * stride])
            out[i] = window[size // 2 + 1]


@kernel("float64[:,::1], int64[::1], int64[::1]", "float64[:,::1]")
def running_median(x: Array, count: Count, width: Count, out: Array) -> None:
    """Take the median around each of so many values of each run; see `running`."""
    room = np.empty(running_room(x.shape[1]))
    for run in range(len(x)):
        running(x[run, : count[run]], width[run], room, out[run, : count[run]])
