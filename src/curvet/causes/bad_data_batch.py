"""One batch, or a few, of spoilt data."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import BadBatch, Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Spoil one place of the run, or the same place of every epoch."""
    n = recipe.n_steps
    start = int(rng.uniform(0.08, 0.95) * n)
    # Layer normalisation takes the size of an outlier away.
    shares = [0.2, 0.45, 0.35] if recipe.norm == "layer" else [0.6, 0.25, 0.15]
    kind = rng.choice(["outlier", "wrong_labels", "one_class"], p=shares)
    longest = max(2, n // (60 if kind == "outlier" else 25))
    length = 1 if rng.random() < 0.4 else int(rng.integers(1, longest + 1))
    strength = float(10 ** rng.uniform(0.5, 2.5))
    first = BadBatch(kind, start, length, strength)
    epoch = recipe.steps_per_epoch
    if rng.random() < 0.2 and epoch > 8 * length and 3 * epoch < n:
        offset = start % epoch
        repeats = range(offset, n, epoch)
        return replace(
            recipe, bad_batches=tuple(BadBatch(kind, s, length, strength) for s in repeats)
        )
    return replace(recipe, bad_batches=(first,))


def shows(trace: Trace, twin: Trace) -> bool:
    """Ask for a spike far out of the run's own noise, or NaN, at once after the bad batch."""
    at, n = trace.onset, len(trace.loss)
    if at < 3 or at >= n or not np.isfinite(trace.loss[:at]).all():
        return False
    struck = trace.loss[at : at + max(3, n // 25)]
    if not np.isfinite(struck).all():
        return twin.finite
    before = trace.loss[max(0, at - max(10, n // 15)) : at]
    excess = float(struck.max()) - float(np.median(before))
    noise = max(float(np.std(before)), 0.01 * max(trace.start - float(trace.loss.min()), 0.0))
    return excess > 6.0 * max(noise, 1e-12)


CAUSE = Cause(
    key="bad_data_batch",
    remedies=(
        "look_at_batch",
        "clean_data",
        "check_label_masks",
        "clip_gradients",
        "skip_batch",
        "robust_loss",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
