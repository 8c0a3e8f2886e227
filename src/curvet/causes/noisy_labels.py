"""Many training labels are wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Give 15 to 80 % of the training samples the label of another."""
    return replace(
        recipe,
        label_noise=float(rng.uniform(0.15, 0.8)),
        val_noise=bool(rng.random() < 0.3),
        # Few samples let the net learn wrong labels by heart, many do not.
        n_train=min(recipe.n_train, int(np.exp(rng.uniform(np.log(200), np.log(8000))))),
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Ask for an end well above the twin's in training, or a worse best in validation."""
    if not trace.finite:
        return False
    best = float(np.min(trace.val)) if len(trace.val) else np.inf
    worse = (
        best > float(np.min(twin.val)) + 0.1 * max(twin.drop, 1e-12) if len(trace.val) else False
    )
    return trace.ends_above(twin, 0.15) or worse


CAUSE = Cause(
    key="noisy_labels",
    remedies=("review_labels", "clean_data", "stop_early", "robust_loss", "measure_agreement"),
    inject=inject,
    shows=shows,
)
