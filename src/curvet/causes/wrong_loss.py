"""The loss is not the one that the task needs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import LossKind, Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Turn the sign, apply softmax twice, drop the lower bound, or pair all with all."""
    kind: LossKind
    classes = recipe.task.kind not in ("regression", "autoencode")
    if classes:
        kind = rng.choice(["negated", "softmax_twice", "unbounded"], p=[0.25, 0.5, 0.25])
    else:
        kind = rng.choice(["negated", "broadcast", "unbounded"], p=[0.25, 0.5, 0.25])
    return replace(recipe, loss=kind, label_smoothing=0.0, penalty_in_loss=False)


def shows(trace: Trace, twin: Trace) -> bool:
    """Falls below zero without end, turns NaN, or levels off well above its twin."""
    finite = trace.loss[np.isfinite(trace.loss)]
    endless = len(finite) > 0 and float(finite.min()) < -abs(twin.start)
    return not trace.finite or endless or trace.ends_above(twin, 0.15)


CAUSE = Cause(
    key="wrong_loss",
    remedies=(
        "pass_logits",
        "check_first_loss",
        "compare_shapes",
        "check_reduction",
        "check_label_masks",
        "guard_logarithm",
        "overfit_batch",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
