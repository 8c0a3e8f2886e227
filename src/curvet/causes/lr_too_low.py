"""The learning rate is too low to get anywhere in the time given."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Lower the rate by a factor of 8 to 100,000, mostly by less than 300."""
    return replace(recipe, lr=recipe.lr * 10 ** -(0.9 + 4.1 * rng.beta(1, 2)))


def shows(trace: Trace, twin: Trace) -> bool:
    """Stays finite, ends well above its twin, and never climbs."""
    calm = trace.finite and trace.peak < 2 * abs(trace.start)
    return calm and trace.ends_above(twin, 0.15)


CAUSE = Cause(
    key="lr_too_low",
    title="Learning rate too low",
    sign="Loss falls slowly and steadily, still falling at the end, or hardly moves at all.",
    remedies=(
        "Multiply the learning rate by 3 to 10 and compare 200 steps.",
        "Check that the schedule does not decay too early and that warm-up ends in time.",
        "Use an adaptive optimiser (Adam, AdamW).",
        "Train longer.",
    ),
    inject=inject,
    shows=shows,
)
