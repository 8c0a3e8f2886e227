"""The net is too small for the task."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Leave one to four hidden units, or none at all."""
    width = int(rng.integers(1, 5))
    return replace(
        recipe,
        width=width,
        depth=0 if recipe.net == "mlp" and rng.random() < 0.2 else recipe.depth,
        residual=False,
        dropout=0.0,
        init="he",
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Learns, then levels off well above its twin, with validation close to training."""
    if not trace.finite or not trace.ends_above(twin, 0.15):
        return False
    learns = trace.drop > 0.08 * twin.drop
    level = trace.middle - trace.end < 0.15 * max(twin.drop, 1e-12)
    close = trace.val_end < trace.end + 0.3 * max(twin.drop, 1e-12)
    return learns and level and close


CAUSE = Cause(
    key="under_capacity",
    remedies=(
        "larger_net",
        "overfit_batch",
        "better_features",
        "lower_weight_decay",
        "train_longer",
    ),
    inject=inject,
    shows=shows,
)
