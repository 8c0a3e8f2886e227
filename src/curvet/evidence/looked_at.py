"""What all facts are measured on, computed once for each run."""

from __future__ import annotations

from dataclasses import dataclass

from ..roles import Channels
from .jumps import Jump, dips, jumps
from .series import Series, look


@dataclass(frozen=True, slots=True, eq=False)
class LookedAt:
    """A run as the facts see it.

    Parameters
    ----------
    channels : Channels
        As logged.
    series : Series or None
        The training loss; None with too few finite points.
    jumps, dips : list of Jump
        Where it jumps up, and where it lies far too low for a while, in the order of the run.
    """

    channels: Channels
    series: Series | None
    jumps: list[Jump]
    dips: list[Jump]


def look_at(channels: Channels) -> LookedAt:
    """Prepare a run for `evidence.measure`."""
    series = look(channels.loss)
    if series is None:
        return LookedAt(channels, None, [], [])
    return LookedAt(channels, series, jumps(series), dips(series))
