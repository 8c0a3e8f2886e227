"""A run that learns as well as its task, net and data allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Draw a neighbour that a careful person might also have chosen."""
    return replace(
        recipe,
        lr=recipe.lr * 10 ** rng.uniform(-0.3, 0.15),
        schedule=rng.choice([recipe.schedule, "cosine", "restarts", "step", "linear", "plateau"]),
        weight_decay=recipe.weight_decay * 10 ** rng.uniform(-1, 0.3),
        seed=int(rng.integers(2**62)),
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Learns, stays finite, ends near its twin, and validation hardly rises."""
    learns = trace.finite and trace.drop > max(0.08 * abs(trace.start), 2.5 * trace.noise)
    near = trace.end <= twin.end + 0.06 * twin.drop
    calm = trace.peak <= trace.start + 1.0 * trace.drop
    return bool(learns and near and calm and trace.val_rise <= 0.06)


CAUSE = Cause(
    key="healthy",
    title="Healthy",
    sign="Loss falls and levels off; validation follows; no spikes that last.",
    remedies=("Nothing needs mending; train longer only if the loss is still falling.",),
    inject=inject,
    shows=shows,
)
