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
    if not trace.finite or len(trace.val) < 3 or not np.isfinite(trace.val).all():
        return False
    early = int(trace.val.argmin()) < 0.8 * len(trace.val)
    # Against the least, be it ever so small: where it is, it is looked at on a logarithmic scale.
    rises = trace.val_end > float(trace.val.min()) + 0.1 * abs(float(trace.val.min()))
    return early and rises and trace.end < 0.7 * trace.val_end


CAUSE = Cause(
    key="overfitting",
    title="Overfitting",
    sign="Validation loss turns and rises while training loss keeps falling; the gap widens.",
    remedies=(
        "Stop at the best validation loss (early stopping).",
        "Get more data, or augment what there is.",
        "Add weight decay or dropout.",
        "Use a smaller net.",
        "Look for training samples that are near copies of each other.",
    ),
    inject=inject,
    shows=shows,
)
