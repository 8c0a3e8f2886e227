"""Where a loss turns NaN or infinite, and whether the gradient norm had risen before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..diagnosis import Evidence
from ..robust import median
from .looked_at import LookedAt
from .series import finite

ROSE = 5.0
"""Factor over its usual value from which the gradient norm rose."""


def nonfinite(run: LookedAt) -> Iterator[Evidence]:
    """First step at which each loss is no number."""
    channels = run.channels
    for name, curve in (("training", channels.loss), ("validation", channels.val)):
        if curve is None:
            continue
        bad = np.flatnonzero(~np.isfinite(curve.value) & np.isfinite(curve.step))
        if len(bad) == 0:
            continue
        step = float(curve.step[bad[0]])
        found: dict[str, float | str] = {
            "series": name,
            "value": "nan" if np.isnan(curve.value[bad[0]]) else "infinite",
            "step": step,
            "count": len(bad),
            "total": len(curve),
        }
        stays = len(bad) == len(curve) - bad[0]
        yield Evidence("first_nonfinite" if stays else "some_nonfinite", found, (step,))


def gradients_before(run: LookedAt) -> Iterator[Evidence]:
    """Whether the gradient norm rose before the training loss turned NaN or infinite."""
    loss, norm = run.channels.loss, run.channels.grad_norm
    bad = np.flatnonzero(~np.isfinite(loss.value))
    if norm is None or len(bad) == 0:
        return
    end = float(loss.step[bad[0]])
    step, value = finite(norm)
    value = value[step < end]
    step = step[step < end]
    if len(value) < 6:
        return
    late = max(3, len(value) // 10)
    usual, top = float(median(value[:-late])), float(value[-late:].max())
    if usual > 0 and top / ROSE > usual:
        above = value <= ROSE * usual
        first = int(np.flatnonzero(above)[-1]) + 1 if above.any() else 0
        first = min(first, len(value) - 1)
        found = {"factor": min(top / usual, 1e300), "points": len(value) - first}
        yield Evidence("gradients_rose_first", found, (float(step[first]), end))
    elif usual > 0:
        yield Evidence("gradients_calm_first", {"usual": usual, "points": late}, (end,))
