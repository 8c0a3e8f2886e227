"""Numbers leave the range of half precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import HalfPrecision, Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Overflow in sums or in scaled gradients, or gradients that underflow to zero."""
    face = rng.choice(["sums", "scale", "underflow"], p=[0.5, 0.25, 0.25])
    largest = float(10 ** rng.uniform(0.5, 1.6)) if face == "sums" else float("inf")
    low, high = {"sums": (0.0, 3.0), "scale": (4.0, 8.0), "underflow": (-6.0, -3.5)}[face]
    scale = float(10 ** rng.uniform(low, high))
    return replace(recipe, half=HalfPrecision(largest, scale, bool(rng.random() < 0.5)))


def shows(trace: Trace, twin: Trace) -> bool:
    """Loses finite numbers that its twin keeps, or gradients, and stands still above it."""
    if not trace.finite:
        # What is lost at once tells nobody why, unless it began as it should.
        first = int(np.argmin(np.isfinite(trace.loss)))
        sound = first > 0 and abs(trace.loss[0] - twin.start) < 0.3 * abs(twin.start)
        return twin.finite and (first >= max(5, len(trace.loss) // 50) or bool(sound))
    skipped = float(np.mean(~np.isfinite(trace.grad_norm))) > 0.03
    # Gradients that underflow leave no other mark than that nothing is learnt any more.
    return trace.ends_above(twin, 0.12 if skipped else 0.3)


CAUSE = Cause(
    key="precision_overflow",
    remedies=(
        "use_bfloat16",
        "scale_loss",
        "sum_in_float32",
        "lower_lr",
        "raise_epsilon",
        "watch_loss_scale",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
