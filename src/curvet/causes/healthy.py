"""A run that learns as well as its task, net and data allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from ..robust import noise_level, running_median
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Draw a neighbour that a careful person might also have chosen."""
    return replace(
        recipe,
        lr=recipe.lr * 10 ** rng.uniform(-0.9, 0.3),
        schedule=recipe.schedule
        if rng.random() < 0.7
        else rng.choice(["constant", "cosine", "restarts", "step", "linear", "plateau"]),
        weight_decay=recipe.weight_decay * 10 ** rng.uniform(-1, 0.3),
        seed=int(rng.integers(2**62)),
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Learns, stays finite, ends near its twin; validation follows and hardly rises.

    Small batches may be noisy, but no burst or spike may stand out of that noise: it would have
    to be explained.
    """
    if not trace.finite or trace.drop <= max(0.08 * abs(trace.start), 1.5 * trace.noise):
        return False
    near = trace.end <= twin.end + 0.1 * twin.drop
    follows = trace.val_rise <= 0.08 and trace.val_end <= trace.end + 0.4 * trace.drop
    return bool(near and follows and _calm(trace))


def _calm(trace: Trace) -> bool:
    """Tell whether no few steps climb far above the start, and none leaps out later."""
    burst = float(running_median(trace.loss, 3).max()) - trace.start
    late = trace.loss[len(trace.loss) // 10 :]
    above = late - running_median(late, len(trace.loss) // 20 + 5)
    leap = float(above.max(initial=0.0))
    calm = burst <= trace.drop + 6 * trace.noise
    return calm and leap <= max(0.5 * trace.drop, 10 * float(noise_level(above)))


CAUSE = Cause(
    key="healthy",
    remedies=("carry_on",),
    inject=inject,
    shows=shows,
)
