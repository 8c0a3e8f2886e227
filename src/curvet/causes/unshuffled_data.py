"""Samples come in an order: sorted by label or by source."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Sort the samples by target, whole or in shards, the same in every epoch."""
    epochs = rng.uniform(2, 25)
    size = int(np.clip(recipe.n_steps * recipe.batch_size / epochs, 6 * recipe.batch_size, 1e9))
    return replace(
        recipe,
        order=rng.choice(["sorted", "blocks"], p=[0.7, 0.3]),
        n_train=min(size, recipe.task.n_pool),
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Loss swings within an epoch far more than the twin's, or validation is far worse."""
    if not trace.finite:
        return True
    far = trace.val_end > twin.val_end + 0.3 * max(twin.drop, 1e-12) if len(trace.val) else False
    return _swing(trace) > max(2.5 * _swing(twin), 0.1 * max(twin.drop, 1e-12)) or far


def _swing(trace: Trace) -> float:
    """Spread of the loss around its running mean in the second half."""
    loss = trace.loss[len(trace.loss) // 2 :]
    if len(loss) < 4:
        return 0.0
    trend = np.polynomial.Polynomial.fit(np.arange(len(loss)), loss, 2)
    return float(np.std(loss - trend(np.arange(len(loss)))))


CAUSE = Cause(
    key="unshuffled_data",
    remedies=("shuffle", "larger_buffer", "interleave", "mix_classes"),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
