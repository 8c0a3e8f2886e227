"""Where the step goes back, and whether the loss is another one there."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .looked_at import LookedAt


def resumes(run: LookedAt) -> Iterator[Evidence]:
    """Where the step goes back, and from where to where the loss jumps there."""
    loss = run.channels.loss
    back = np.flatnonzero(loss.step[1:] < loss.step[:-1])
    if len(back) == 0:
        return
    at = int(back[0]) + 1
    first = float(loss.step[at])
    found: dict[str, float | str] = {"count": len(back), "step": first}
    jump = _jump(run, first, int(np.isfinite(loss.value[:at]).sum()))
    yield Evidence("resume_shift" if jump else "step_goes_back", {**found, **jump}, (first,))


def _jump(run: LookedAt, step: float, at: int) -> dict[str, float]:
    """Compare the loss after the resume with that of the same steps before it."""
    series = run.series
    if series is None or not 3 <= at <= len(series) - 3:
        return {}
    width = max(3, len(series) // 40)
    same = np.flatnonzero(series.step[:at] >= step)
    begin = int(same[0]) if len(same) else at
    old = slice(max(0, min(begin, at - width)), max(begin + 1, min(begin + width, at)))
    new = slice(at, at + width)
    noise = float(series.noise[min(at, len(series) - 1)])
    least = max(4 * noise / np.sqrt(width), 0.05 * series.drop, 2 * series.least)
    # Where only the counter went back, the loss goes on as it was just before.
    for known in (series.y[old], series.y[max(0, at - width) : at]):
        if abs(float(median(series.y[new]) - median(known))) <= least:
            return {}
    return {
        "before": float(median(series.value[old])),
        "after": float(median(series.value[new])),
    }
