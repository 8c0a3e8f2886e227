"""The finite points of a loss, with the level and the noise that every fact is held against."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..robust import median, middle, running_median
from ..run import Curve

Array = NDArray[np.float64]

MIN_POINTS = 5
"""Fewer points show no course."""

WIDE = 10.0
"""Ratio of highest to lowest value from which a positive loss is read on a log scale."""

N_LEVEL = 1024
N_NOISE = 256
"""Points of which level and noise are computed: a long loss is reduced to their medians."""

NOTHING = 1e-3
"""Share of the start below which a positive loss is next to nothing."""

BARELY = 0.005
"""What a loss moves relative to its size without anybody seeing it."""


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A loss as it is read: on a log scale where it spans much, level and noise told apart.

    Parameters
    ----------
    step, value : arrays of shape (n,)
        The finite points as logged; n is at least `MIN_POINTS`.
    share : array of shape (n,)
        The values as shares of the largest; on a log scale next to nothing is added.
    y : array of shape (n,)
        The values on the scale on which they are read: logarithms, or shares of the largest.
    level : array of shape (n,)
        Running median of `y`.
    before : array of shape (n,)
        Median of `y` over the points just before each; that of the first point is its own value.
    noise : array of shape (n,)
        Standard deviation of `y` around its level, just before each point; outliers left aside.
    share_noise : array of shape (n,)
        The same of `share`.
    drop : float
        How far the level came down from its start, on the scale of `y`.
    least : float
        The smallest change that can be seen at all, on the scale of `y`.
    log : bool
        Whether `y` holds logarithms.
    """

    step: Array
    value: Array
    share: Array
    y: Array
    level: Array
    before: Array
    noise: Array
    share_noise: Array
    drop: float
    least: float
    log: bool

    def at(self, position: int) -> float:
        """Return the step of a point."""
        return float(self.step[position])

    def typical(self, first: int, last: int) -> float:
        """Return the middle value of some points, as logged."""
        # Of halves, so that the largest numbers have a sum.
        return float(2 * median(self.value[max(first, 0) : max(last, 1)] / 2))

    def __len__(self) -> int:
        return len(self.value)


def finite(curve: Curve) -> tuple[Array, Array]:
    """Return steps and values where both are finite."""
    good = np.isfinite(curve.value) & np.isfinite(curve.step)
    return curve.step[good], curve.value[good]


def look(curve: Curve) -> Series | None:
    """Tell level and noise of a loss apart; None with too few points."""
    step, value = finite(curve)
    if len(value) < MIN_POINTS:
        return None
    largest = float(np.abs(value).max())
    share = value / largest if largest > 0 else value
    log = _is_log(value)
    # What is below a thousandth of the start is next to nothing.
    nothing = max(NOTHING * float(median(share[:5])), 1e-30)
    share = share + nothing if log else share
    y = np.log(share) if log else share
    half = len(y) // 20 + 2
    level = smooth(y, half, N_LEVEL)
    # The window that ends just before a point lies around the point half a window earlier.
    earlier = np.maximum(np.arange(len(y)) - half - 1, 0)
    before = level[earlier]
    first = min(2 * half + 1, N_NOISE)
    before[:first] = _so_far(y[:first])
    noise = 1.4826 * smooth(np.abs(y - level), half, N_NOISE)[earlier]
    same = noise
    if log:
        same = 1.4826 * smooth(np.abs(share - np.exp(level)), half, N_NOISE)[earlier]
    start = float(median(y[: max(3, len(y) // 50)]))
    drop = max(start - float(level.min()), 0.0)
    least = BARELY * (1.0 if log else float(median(np.abs(y))))
    return Series(step, value, share, y, level, before, noise, same, drop, least, log)


def smooth(y: Array, half: int, most: int) -> Array:
    """Take the running median; of long series that of the medians of neighbours."""
    group = -(-len(y) // most)
    if group == 1:
        return running_median(y, 2 * half + 1)
    reduced = binned(y, group)
    wide = running_median(reduced, 2 * max(1, half // group) + 1)
    centres = np.arange(len(reduced)) * group + (group - 1) / 2
    return np.interp(np.arange(len(y)), centres, wide)


def binned(y: Array, group: int) -> Array:
    """Take the median of every so many neighbours; the last few that fill no group are left out."""
    if group == 1:
        return y
    kept = y[: len(y) // group * group].reshape(-1, group)
    return middle(np.sort(kept, axis=1))


def _is_log(value: Array) -> bool:
    least = float(value.min())
    return least >= 0 and float(value.max()) / WIDE > least


def _so_far(y: Array) -> Array:
    """Median of what came before each of the first points; the first stands for itself."""
    n = len(y)
    seen = np.where(np.tri(n, n, -1, dtype=bool), y, np.inf)
    seen[0, 0] = y[0]
    ordered = np.sort(seen, axis=1)
    return np.asarray(ordered[np.arange(n), np.maximum(np.arange(n) - 1, 0) // 2])
