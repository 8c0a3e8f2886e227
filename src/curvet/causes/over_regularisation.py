"""Weight decay, dropout, label smoothing or augmentation is too strong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Set dropout, weight decay, label smoothing or augmentation far too high."""
    face = rng.choice(
        ["decay", "dropout", "smoothing", "augmented", "both"], p=[0.35, 0.3, 0.1, 0.1, 0.15]
    )
    out = recipe
    if face in ("decay", "both"):
        strength = 10 ** rng.uniform(-2.2, 0.0)
        # Decoupled decay acts through the rate; only rate times decay counts.
        decay = strength / max(recipe.lr, 1e-6) / 10 if recipe.optimiser == "adamw" else strength
        out = replace(out, weight_decay=decay, penalty_in_loss=bool(rng.random() < 0.5))
    if face in ("dropout", "both"):
        out = replace(out, dropout=float(rng.uniform(max(0.5, 1.3 * recipe.dropout), 0.95)))
    if face == "smoothing":
        out = replace(out, label_smoothing=float(rng.uniform(0.3, 0.9)))
    if face == "augmented":
        out = replace(out, input_noise=float(rng.uniform(1.0, 4.0)))
    return out


def shows(trace: Trace, twin: Trace) -> bool:
    """Stays finite and levels off well above its twin; validation is no worse than training."""
    if not trace.finite or not trace.ends_above(twin, 0.15):
        return False
    return trace.val_end < trace.end + 0.2 * max(twin.drop, 1e-12) and trace.val_rise < 0.2


CAUSE = Cause(
    key="over_regularisation",
    remedies=(
        "lower_weight_decay",
        "lower_dropout",
        "lower_smoothing",
        "exempt_from_decay",
        "stop_later",
    ),
    inject=inject,
    shows=shows,
)
