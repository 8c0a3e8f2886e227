"""Batches of a few samples: gradients are mostly noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Leave one to four samples in a batch, at the rate of the larger one."""
    size = int(rng.choice([1, 2, 4]))
    # Statistics over the batch need a few samples.
    size = max(size, 4 if recipe.norm == "batch" else 1)
    return replace(recipe, batch_size=min(size, max(1, recipe.batch_size // 2)))


def shows(trace: Trace, twin: Trace) -> bool:
    """Stays finite, is far noisier than its twin and ends above it."""
    noisy = trace.noise > 2.0 * twin.noise
    worse = trace.ends_above(twin, 0.10) or (
        trace.val_end > twin.val_end + 0.10 * max(twin.drop, 1e-12)
    )
    return trace.finite and noisy and worse


CAUSE = Cause(
    key="batch_too_small",
    remedies=("larger_batch", "scale_lr_with_batch", "decay_lr", "group_norm", "average_noise"),
    inject=inject,
    shows=shows,
)
