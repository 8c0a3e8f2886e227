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
    remedies=(
        "raise_lr",
        "find_lr",
        "check_schedule",
        "use_adaptive",
        "train_longer",
        "stop_later",
    ),
    inject=inject,
    shows=shows,
)
