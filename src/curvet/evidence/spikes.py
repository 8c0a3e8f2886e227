"""Places at which the loss jumps up and comes back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .jumps import Jump
from .looked_at import LookedAt
from .series import Series

SPIKES = ("spike", "two_spikes", "spikes", "periodic_spikes", "spike_at_the_end")
"""Kinds of the fact that `spikes` finds; a run has one of them at most."""

N_NAMED = 3
"""Spikes whose steps are told."""

AT_THE_END = 5
"""Points after a jump below which nobody can tell whether the loss will come back."""


def spikes(run: LookedAt) -> Iterator[Evidence]:
    """Name the spikes farthest out of the noise, and their distance if it is always the same."""
    series = run.series
    if series is None:
        return
    # A log that breaks off, or goes on with NaN, shortly after a jump ended in a divergence.
    broken = not np.isfinite(run.channels.loss.value[-1])
    found = [jump for jump in run.jumps if _is_spike(jump, len(series), broken)]
    if not found:
        return
    ranked = sorted(found, key=lambda jump: -jump.noises)
    values = _described(series, ranked[0])
    named = [series.at(jump.at) for jump in ranked[:N_NAMED]]
    if len(found) == 1:
        kind = "spike" if ranked[0].back is not None else "spike_at_the_end"
    else:
        others = sorted(named[1:])
        values |= {"count": len(found), "second": others[0], "third": others[-1]}
        kind = "spikes" if len(found) > 2 else "two_spikes"
        if (period := _period(series, found)) is not None:
            kind, values["period"] = "periodic_spikes", period
    yield Evidence(kind, values, tuple(sorted(named)))


def dip(run: LookedAt) -> Iterator[Evidence]:
    """Find where the loss was far too low for a while: batches of one kind do that."""
    series = run.series
    if series is None or not run.dips:
        return
    deepest = max(run.dips, key=lambda jump: jump.noises)
    end = len(series) - 1 if deepest.back is None else deepest.back
    found = {
        "step": series.at(deepest.at),
        "value": float(series.value[deepest.top]),
        "level": series.typical(deepest.at - max(3, len(series) // 20), deepest.at),
        "width": end - deepest.at,
    }
    yield Evidence("dip", found, (series.at(deepest.at), series.at(end)))


def _is_spike(jump: Jump, n: int, broken: bool) -> bool:
    return jump.back is not None or (n - jump.at <= AT_THE_END and not broken)


def _described(series: Series, jump: Jump) -> dict[str, float | str]:
    width = (len(series) if jump.back is None else jump.back) - jump.at
    values: dict[str, float | str] = {
        "step": series.at(jump.at),
        "value": float(series.value[jump.top]),
        "level": series.typical(jump.at - max(3, len(series) // 20), jump.at),
        "noises": min(jump.noises, 1e300),
        "width": width,
    }
    if jump.back is not None:
        values["after"] = abs(series.at(jump.back) - series.at(jump.at))
    return values


def _period(series: Series, found: list[Jump]) -> float | None:
    """Distance between spikes that is the same all along, in steps."""
    if len(found) < 4:
        return None
    between = np.diff([series.at(jump.at) for jump in found])
    usual = float(median(between))
    times = between / usual if usual > 0 else np.zeros(1)  # one of them may have been missed
    even = (times > 0.5) & (np.abs(times - np.round(times)) < 0.05)
    return usual if bool(even.all()) else None
