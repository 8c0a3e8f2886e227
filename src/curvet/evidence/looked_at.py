"""What all facts are measured on, computed once for each run."""

from __future__ import annotations

from dataclasses import dataclass

from ..roles import Channels
from .jumps import Jump, jumps
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
    jumps : list of Jump
        Where it jumps up, in the order of the run.
    """

    channels: Channels
    series: Series | None
    jumps: list[Jump]


def look_at(channels: Channels) -> LookedAt:
    """Prepare a run for `evidence.measure`."""
    series = look(channels.loss)
    return LookedAt(channels, series, [] if series is None else jumps(series))
