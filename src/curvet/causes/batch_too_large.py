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
    title="Batch too large",
    sign="A very smooth loss that falls slowly by the epoch and is still falling at the end.",
    remedies=(
        "Divide the batch by 4 to 16: more updates for the same epochs.",
        "Raise the rate with the batch (in proportion, or by its square root) and warm it up.",
        "Train for more epochs: count updates, not epochs.",
        "Use an optimiser made for large batches (LARS, LAMB).",
    ),
    inject=inject,
    shows=shows,
)
