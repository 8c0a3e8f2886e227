"""Run -> measured facts with their steps; nothing here is inferred by a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..diagnosis import Evidence
from ..roles import Channels
from .course import course, left_course, plateau, steep_start, still_falling
from .gradients import gradients, rate
from .looked_at import LookedAt, look_at
from .nonfinite import gradients_before, nonfinite
from .resumes import resumes
from .spikes import SPIKES, dip, spikes
from .swings import noise, period
from .validation import gap, validation_apart, validation_rises
from .weigh import weigh

__all__ = ["MEASURES", "MOST", "SPIKES", "measure", "weigh"]

MEASURES: tuple[Callable[[LookedAt], Iterator[Evidence]], ...] = (
    nonfinite,
    gradients_before,
    left_course,
    resumes,
    spikes,
    dip,
    steep_start,
    gradients,
    validation_rises,
    validation_apart,
    plateau,
    period,
    rate,
    course,
    still_falling,
    gap,
    noise,
)
"""What is measured, the most telling first."""

MOST = 8
"""Facts of one run; a longer list is not read."""


def measure(channels: Channels) -> tuple[Evidence, ...]:
    """Measure what a person would point at.

    Parameters
    ----------
    channels : Channels
        At least one finite training loss.

    Returns
    -------
    tuple of Evidence
        At most `MOST`, the most telling first; only facts that hold.
    """
    with np.errstate(over="ignore", under="ignore"):
        run = look_at(channels)
        facts = [fact for measured in MEASURES for fact in measured(run)]
    return tuple(facts[:MOST])
