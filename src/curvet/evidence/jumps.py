"""Places at which a loss leaves its surroundings within a few points: spikes and jumps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..robust import median
from .series import BARELY, Array, Series

LEAST = 3.0
"""Noise levels that the farthest point of a place has to reach, at least."""

SPIKE = 5.0
"""Noise levels above what came before from which a point may stand out, and"""

BEYOND, AMONG = 5.4, 8
"""how many times it has to exceed what three points in twenty exceed, but at least so many do."""

OF_TAIL = 3.0
"""Noise levels of the logarithms that a single point has to stand out by, besides."""

VISIBLE = 0.05
"""Share of all that was learnt from which a rise is worth a word."""

TIMES = 2.0
"""Factor from which it is, too, if the loss is read on a log scale."""


@dataclass(frozen=True, slots=True)
class Jump:
    """One place at which the loss stands out.

    Parameters
    ----------
    at, top : int
        Position of the first point that stands out, and of the farthest one.
    back : int or None
        Position from which the loss is back where it came from; None if it never is.
    base, height : float
        The level before, and how far the farthest point lies from it, in the unit of
        `Series.share`.
    noises : float
        The height in multiples of the noise.
    """

    at: int
    top: int
    back: int | None
    base: float
    height: float
    noises: float


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """What a place has to stand out from, at each point.

    Parameters
    ----------
    base : array of shape (n,)
        The level before, in the unit of `Series.share`.
    noise : array of shape (n,)
        In the same unit; where there is next to none, half of what there mostly is.
    visible : array of shape (n,)
        What a rise has to exceed to be worth a word.
    """

    base: Array
    noise: Array
    visible: Array


def usual(series: Series) -> Usual:
    """Say what a loss usually does, before `jumps` and `dips` are looked for."""
    n = len(series)
    base = np.minimum(series.before, series.level)
    base = np.exp(base) if series.log else base
    fell = float(median(series.share[: max(3, n // 50)]) - np.sort(series.share)[n // 50])
    noise = np.maximum(series.share_noise, float(median(series.share_noise)) / 2)
    return Usual(base, noise, _visible(series, base, fell))


def jumps(series: Series, known: Usual) -> list[Jump]:
    """Find where the loss jumps up, in the order of the run."""
    return _places(series, known, series.share - known.base, (1, 3, max(8, len(series) // 50)))


def dips(series: Series, known: Usual) -> list[Jump]:
    """Find where it lies far below its level for some points, and comes back."""
    found = _places(series, known, known.base - series.share, (3, max(8, len(series) // 50)))
    longest = max(8, len(series) // 10)
    return [dip for dip in found if dip.back is not None and 3 <= dip.back - dip.at <= longest]


def _places(series: Series, known: Usual, excess: Array, widths: Sequence[int]) -> list[Jump]:
    """Find where single points, or the mean of some, exceed what is usual for this loss."""
    n, base, noise, visible = len(series), known.base, known.noise, known.visible
    begin = max(3, n // 50)
    means = {width: _mean_ahead(excess, width) for width in widths if 4 * width <= n}
    least = {width: np.maximum(visible, _floor(n, width) * noise) for width in means}
    # Most losses have no such place, and how unusual one has to be takes long to say.
    if not any((means[width] > least[width])[begin:].any() for width in means):
        return []
    stands_out, limits = np.zeros(n, bool), visible
    for width, mean in means.items():
        limit = np.maximum(least[width], _beyond(mean, noise) * noise)
        limits = limit if width == widths[0] else limits
        # Next to a high point the mean is high, too: the place begins where the points are.
        clear = (mean > limit) & (excess > np.minimum(limits, 0.8 * mean))
        if width == 1 and series.log:  # noise in proportion to the level has a long upper tail
            clear &= series.y - np.log(base) > OF_TAIL * series.noise
        stands_out |= clear
    stands_out[:begin] = False
    # At first the loss falls, and little is known of its noise: there only a new height counts.
    early = max(5, n // 15)
    highest = np.maximum.accumulate(excess[:early])
    stands_out[1:early] &= excess[1:early] > highest[:-1] + limits[1:early] / 2
    high = np.flatnonzero(stands_out)
    found: list[Jump] = []
    free = 0
    while len(high := high[np.searchsorted(high, free) :]):
        at = _begin(excess, int(high[0]), free, limits / 2)
        top = at + int(excess[at : int(high[0]) + max(widths)].argmax())
        since = at if excess[at] > limits[at] / 2 else top
        back = _back(series.share, float(base[at]), since, float(limits[at]))
        free = n if back is None else back + max(1, n // 100)
        top = at + int(excess[at:free].argmax())
        height = float(series.share[top] - base[at])
        noises = abs(height) / max(float(noise[at]), float(visible[at]) / 10, 1e-300)
        if noises > LEAST:
            found.append(Jump(at, top, back, float(base[at]), height, noises))
        if len(found) > n // 10:  # this is how the loss always is
            return []
    return found


def _begin(excess: Array, at: int, free: int, calm: Array) -> int:
    """Go back to where a steep rise began: just after the last point that was still calm."""
    first = max(free, at - max(3, len(excess) // 100))
    still = np.flatnonzero(excess[first:at] <= calm[first:at])
    return first + int(still[-1]) + 1 if len(still) else at


def _mean_ahead(excess: Array, width: int) -> Array:
    """Mean of each point and those that follow it; beyond the end the last ones are repeated."""
    if width == 1:
        return excess
    total = np.cumsum(np.concatenate([[0.0], excess]))
    mean = (total[width:] - total[:-width]) / width
    return np.concatenate([mean, np.full(width - 1, mean[-1])])


def _visible(series: Series, base: Array, fell: float) -> Array:
    """Say what a rise has to exceed to be worth a word, at each point."""
    barely = BARELY * np.abs(base)
    if not series.log:
        return np.maximum(VISIBLE * fell, 2 * barely)
    times = max(TIMES, float(np.exp(0.1 * series.drop)))
    return np.clip((times - 1) * base, VISIBLE / 5 * fell, np.maximum(VISIBLE * fell, 2 * barely))


def _floor(n: int, width: int) -> float:
    """How many noise levels are too few to stand out, however quiet the loss is elsewhere."""
    return SPIKE * (1 + 5 / n) / float(width**0.5)


def _beyond(mean: Array, noise: Array) -> float:
    """How many noise levels no longer are what this loss usually shows."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(noise > 0, mean / noise, 0.0)
    most = max(0, len(z) - max(len(z) * 3 // 20, AMONG) - 1)
    return BEYOND * float(np.partition(z, most)[most])


def _back(share: Array, base: float, at: int, limit: float) -> int | None:
    """Find from where on the middle of three points is near the level before."""
    away = share[at:] - base
    sign = 1.0 if away[0] >= 0 else -1.0
    near = max(limit / 2, 0.25 * abs(float(away[0])))
    below = np.append(sign * away <= near, [sign * away[-1] <= near] * 2).astype(np.int8)
    two_of_three = below[:-2] + below[1:-1] + below[2:] >= 2
    hits = np.flatnonzero(two_of_three & (below[:-2] > 0))
    return at + int(hits[0]) if len(hits) else None
