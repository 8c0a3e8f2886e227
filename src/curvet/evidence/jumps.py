"""Places at which a loss leaves its surroundings within a few points: spikes and jumps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .series import Array, Series

SPIKE = 8.0
"""Noise levels above what came before from which a point stands out."""

VISIBLE = 0.05
"""Share of all that was learnt from which a rise is worth a word."""


@dataclass(frozen=True, slots=True)
class Jump:
    """One place at which the loss stands out.

    Parameters
    ----------
    at, top : int
        Position of the first point that stands out, and of the highest one.
    back : int or None
        Position from which the loss is back where it came from; None if it never is.
    base, height : float
        The level before, and how far the highest point lies over it, on the scale of `Series.y`.
    noises : float
        The same in multiples of the noise.
    """

    at: int
    top: int
    back: int | None
    base: float
    height: float
    noises: float


def jumps(series: Series) -> list[Jump]:
    """Find where the loss jumps up, in the order of the run."""
    n, y = len(series), series.y
    base = np.minimum(series.before, series.level)
    excess = y - base
    limit = np.maximum(SPIKE * series.noise, max(VISIBLE * series.drop, 2 * series.least))
    limit = np.maximum(limit, 1e-9 * np.abs(y))
    stands_out = excess > limit
    # At first the loss falls, and little is known of its noise: there only a new height counts.
    early = max(5, n // 20)
    highest = np.maximum.accumulate(y[:early])
    stands_out[0] = False
    stands_out[1:early] &= y[1:early] > highest[:-1] + limit[1:early] / 2
    high = np.flatnonzero(stands_out)
    found: list[Jump] = []
    free = 0
    while len(high := high[np.searchsorted(high, free) :]):
        at = int(high[0])
        back = _back(y, at, float(base[at]), float(limit[at]))
        free = n if back is None else back + max(1, n // 100)
        top = at + int(y[at : back if back is not None else n].argmax())
        height = float(y[top] - base[at])
        noise = max(float(series.noise[at]), float(limit[at]) / 100)
        found.append(Jump(at, top, back, float(base[at]), height, height / noise))
        if len(found) > n // 10:  # this is how the loss always is
            return []
    return found


def _back(y: Array, at: int, base: float, limit: float) -> int | None:
    """Find from where on the middle of three points is near the level before."""
    near = base + max(limit / 2, 0.25 * float(y[at] - base))
    below = np.append(y[at:] <= near, [y[-1] <= near] * 2).astype(np.int8)
    two_of_three = below[:-2] + below[1:-1] + below[2:] >= 2
    hits = np.flatnonzero(two_of_three & (below[:-2] > 0))
    return at + int(hits[0]) if len(hits) else None
