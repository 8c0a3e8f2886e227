"""The learning rate is too high for the task, net and optimiser."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Raise the rate by a factor of 3 to 100,000, mostly by less than 30."""
    return replace(recipe, lr=recipe.lr * 10 ** (0.5 + 4.5 * rng.beta(1, 3)))


def shows(trace: Trace, twin: Trace) -> bool:
    """Diverges, or ends well above its twin, or climbs far above its start."""
    climbs = trace.peak > 3 * abs(trace.start) and twin.peak < 2 * abs(twin.start)
    return not trace.finite or trace.ends_above(twin, 0.10) or climbs


CAUSE = Cause(
    key="lr_too_high",
    remedies=(
        "lower_lr",
        "warm_up",
        "scale_lr_with_batch",
        "clip_gradients",
        "decay_lr",
        "find_lr",
        "use_adaptive",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
