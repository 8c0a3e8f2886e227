"""What all facts are measured on, computed once for each run."""

from __future__ import annotations

from dataclasses import dataclass

from ..roles import Channels
from .jumps import Jump, dips, jumps, usual
from .series import Array, Series, finite, look


@dataclass(frozen=True, slots=True, eq=False)
class LookedAt:
    """A run as the facts see it.

    Parameters
    ----------
    channels : Channels
        As logged.
    series : Series or None
        The training loss; None with too few finite points.
    val : (step, value) or None
        The finite points of the validation loss; None where it was not logged.
    jumps, dips : list of Jump
        Where it jumps up, and where it lies far too low for a while, in the order of the run.
    """

    channels: Channels
    series: Series | None
    val: tuple[Array, Array] | None
    jumps: list[Jump]
    dips: list[Jump]


def look_at(channels: Channels) -> LookedAt:
    """Prepare a run for `evidence.measure`."""
    series = look(channels.loss)
    val = None if channels.val is None else finite(channels.val)
    if series is None:
        return LookedAt(channels, None, val, [], [])
    known = usual(series)
    return LookedAt(channels, series, val, jumps(series, known), dips(series, known))
