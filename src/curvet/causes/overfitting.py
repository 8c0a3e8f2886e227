"""The net learns its training samples by heart."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Leave few samples to a large, unregularised net."""
    few = int(np.exp(rng.uniform(np.log(24), np.log(400))))
    return replace(
        recipe,
        n_train=max(min(few, recipe.n_train), recipe.batch_size),
        width=max(recipe.width, 32),
        weight_decay=0.0,
        dropout=0.0,
        input_noise=0.0,
        label_smoothing=0.0,
        order="shuffled",
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Ask for validation that rises from an early minimum, far above the training loss."""
    return trace.finite and trace.val_turns and trace.end < 0.7 * trace.val_end


CAUSE = Cause(
    key="overfitting",
    remedies=(
        "stop_early",
        "more_data",
        "augment",
        "add_weight_decay",
        "add_dropout",
        "smaller_net",
        "drop_copies",
    ),
    inject=inject,
    shows=shows,
)
