"""Validation beside training: where it turned, whether it follows, and the gap at the end."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .looked_at import LookedAt
from .series import Array, finite

RISE = 0.03
HUGE = 1e300


def validation_rises(run: LookedAt) -> Iterator[Evidence]:
    """Find the best validation step, and how far the loss rose after it."""
    if run.val is None:
        return
    step, value = run.val
    if len(value) < 3:
        return
    best, least = int(value.argmin()), float(value.min())
    end = _end(value)
    rise = (end / 2 - least / 2) / max(abs(least) / 2, 1e-12)
    if rise > RISE and best < 0.9 * len(value) and end / 2 - least / 2 > _noise(value / 2):
        at = float(step[best])
        found = {"step": at, "least": least, "rise": min(rise, HUGE)}
        yield Evidence("validation_rises", found, (at, float(step[-1])))


def validation_apart(run: LookedAt) -> Iterator[Evidence]:
    """Find a validation loss that hardly falls while training falls far."""
    if run.val is None or run.series is None:
        return
    step, value = run.val
    if len(value) < 3:
        return
    train = run.series.value[run.series.step >= step[0]]  # what came before is not compared
    if len(train) < 3:
        return
    start, end = _end(train[: max(1, len(train) // 10)]), _end(train)
    first, last = float(value[0]), float(value.min())
    fell, followed = start / 2 - end / 2, first / 2 - last / 2
    if fell > 0.15 * abs(start) > 0 and followed < 0.25 * fell and last > end:
        found = {"training": 2 * fell / abs(start), "validation": 2 * followed / abs(start)}
        yield Evidence("validation_apart", found)


def gap(run: LookedAt) -> Iterator[Evidence]:
    """Training and validation at the end."""
    if run.val is None:
        return
    value = run.val[1]
    train = finite(run.channels.loss)[1] if run.series is None else run.series.value
    if len(value) >= 3 and len(train):
        last, end = _end(train), _end(value)
        kind = "gap" if end >= last else "gap_below"
        yield Evidence(kind, {"training": last, "validation": end})


def _noise(value: Array) -> float:
    """Twice the standard deviation from point to point, whatever the slope; 0 of a few points."""
    if len(value) < 10:
        return 0.0
    bends = value[1:-1] - value[:-2] / 2 - value[2:] / 2
    return float(2 * 1.4826 * median(np.abs(bends)) / 1.5**0.5)


def _end(value: Array) -> float:
    """Mean of the last tenth; of halves, so that the largest numbers have a sum."""
    tail = value[-max(1, len(value) // 10) :]
    return float((tail / len(tail)).mean() * len(tail))
