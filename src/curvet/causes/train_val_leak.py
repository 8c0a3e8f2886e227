"""Validation samples are among the training samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace, Validation
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Validate a net that learns by heart mostly on what it was trained on."""
    few = int(np.exp(rng.uniform(np.log(40), np.log(1500))))
    return replace(
        recipe,
        n_train=max(min(few, recipe.n_train), recipe.batch_size),
        validation=Validation(leaked=float(rng.uniform(0.5, 1.0))),
        width=max(recipe.width, 32),
        weight_decay=0.0,
        dropout=0.0,
        input_noise=0.0,
        label_smoothing=0.0,
        order="shuffled",
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Ask for a validation loss that is too good: far below the twin's, close to training.

    Where it turns and rises, as on the sound part of a set that leaks in part, it shows
    overfitting.
    """
    if not trace.finite or len(trace.val) < 2 or not np.isfinite(trace.val_end) or trace.val_turns:
        return False
    margin = 0.1 * max(twin.drop, 1e-12)
    close = trace.val_end < trace.end + 0.25 * max(trace.drop, 1e-12)
    return close and trace.val_end < twin.val_end - margin


CAUSE = Cause(
    key="train_val_leak",
    remedies=(
        "find_shared_samples",
        "split_by_group",
        "fit_on_training_alone",
        "check_causal_mask",
        "evaluate_on_later_data",
    ),
    inject=inject,
    shows=shows,
)
