"""The gradient norm and the learning rate by themselves."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .looked_at import LookedAt
from .series import MIN_POINTS, finite

BURST, AT_THE_START = 20.0, 20.0
"""Factor over its usual value from which a gradient norm bursts, and how much more at the start."""

TINY = 1e-4
ANEW = 2.0
"""Factor by which a learning rate rises at once when its schedule starts anew."""


def gradients(run: LookedAt) -> Iterator[Evidence]:
    """Find a gradient norm that bursts, or that is tiny."""
    norm = run.channels.grad_norm
    if norm is None:
        return
    step, value = finite(norm)
    if len(value) < MIN_POINTS:
        return
    usual, top = float(median(value)), int(value.argmax())
    # Gradients are large at the start of most runs.
    burst = BURST if top >= max(2, len(value) // 50) else AT_THE_START * BURST
    if value[top] / burst > max(usual, 1e-12):
        at = float(step[top])
        found = {"value": float(value[top]), "step": at, "usual": usual}
        yield Evidence("gradient_burst", found, (at,))
    elif usual < TINY:
        yield Evidence("tiny_gradients", {"usual": usual})


def rate(run: LookedAt) -> Iterator[Evidence]:
    """Find where the learning rate starts anew; several such places are a schedule."""
    if run.channels.lr is None:
        return
    step, value = finite(run.channels.lr)
    if len(value) < MIN_POINTS or value.min() < 0:
        return
    begin = len(value) // 10
    rises = np.flatnonzero(value[1:] / ANEW > value[:-1])
    rises = rises[rises >= begin]
    if len(rises) != 1 or not value[rises[0]] > 0:
        return
    at = int(rises[0]) + 1
    found = {"step": float(step[at]), "before": float(value[at - 1]), "after": float(value[at])}
    yield Evidence("rate_starts_anew", found, (float(step[at]),))
