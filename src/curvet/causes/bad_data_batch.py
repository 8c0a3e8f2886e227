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
    kind = rng.choice(["outlier", "wrong_labels", "one_class"], p=[0.6, 0.25, 0.15])
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
    """Ask for a spike far out of the run's own noise, where the twin has none."""
    return _spike(trace) > max(8.0, 2.0 * _spike(twin)) or (not trace.finite and twin.finite)


def _spike(trace: Trace) -> float:
    """Height of the highest spike over its surroundings, in the run's noise levels."""
    loss = trace.loss[len(trace.loss) // 20 :]
    if len(loss) < 4 or not np.isfinite(loss).all():
        return 0.0
    width = min(len(loss), 2 * (len(loss) // 20) + 5)
    padded = np.pad(loss, width // 2, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)[: len(loss)]
    excess = loss - np.median(windows, axis=1)
    noise = 1.4826 * float(np.median(np.abs(excess - np.median(excess))))
    return float(excess.max()) / max(noise, 0.01 * max(trace.drop, 0.0), 1e-12)


CAUSE = Cause(
    key="bad_data_batch",
    title="Bad data batch",
    sign="A sudden spike at one step (or the same place of each epoch), then recovery or a scar.",
    remedies=(
        "Look at the batch at the spike: outliers, corrupt files, wrong or missing labels.",
        "Clean or drop those samples; check ranges and NaN in the loading code.",
        "Clip the gradient norm, so that one batch cannot undo many.",
        "Resume from the checkpoint before the spike and skip the batch.",
        "Use a robust loss (Huber) for regressions.",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
