"""Batches so large that there are too few updates."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Multiply the batch up to the whole training set; the epochs stay, the updates shrink."""
    factor = int(2 ** rng.integers(3, 8))
    size = min(recipe.batch_size * factor, recipe.n_train, 2048)
    steps = max(12, recipe.n_steps * recipe.batch_size // size)
    return replace(recipe, batch_size=size, n_steps=steps)


def shows(trace: Trace, twin: Trace) -> bool:
    """Ask for an end well above the twin's for want of updates: smooth, and still falling."""
    calm = trace.finite and trace.peak < 2 * abs(trace.start) and trace.noise <= twin.noise
    if not calm or not trace.ends_above(twin, 0.15):
        return False
    return trace.middle - trace.end > 0.1 * trace.drop


CAUSE = Cause(
    key="batch_too_large",
    remedies=(
        "smaller_batch",
        "scale_lr_with_batch",
        "warm_up",
        "train_longer",
        "large_batch_optimiser",
    ),
    inject=inject,
    shows=shows,
)
