"""Validation data come from another distribution, or are labelled otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace, Validation
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Shift, scale or blur the validation inputs, or number its classes otherwise."""
    face = rng.choice(["scaled", "shifted", "noisy", "relabelled", "mixed"])
    if face == "scaled":
        other = Validation(scale=float(10 ** (rng.choice([-1, 1]) * rng.uniform(0.4, 1.5))))
    elif face == "shifted":
        other = Validation(shift=float(rng.choice([-1, 1]) * rng.uniform(0.5, 3)))
    elif face == "noisy":
        other = Validation(noise=float(rng.uniform(0.7, 3)))
    elif face == "relabelled":
        other = Validation(relabelled=float(rng.uniform(0.2, 1)))
    else:
        other = Validation(
            scale=float(10 ** rng.uniform(-0.5, 0.5)),
            shift=float(rng.uniform(-1.5, 1.5)),
            noise=float(rng.uniform(0, 1)),
        )
    return replace(recipe, validation=other, val_noise=False)


def shows(trace: Trace, twin: Trace) -> bool:
    """Trains about as well as its twin, while validation ends far above the twin's."""
    if not trace.finite or len(trace.val) < 2:
        return False
    trains = not trace.ends_above(twin, 0.2)
    return trains and trace.val_end > twin.val_end + 0.3 * max(twin.drop, 1e-12)


CAUSE = Cause(
    key="train_val_mismatch",
    remedies=(
        "evaluate_on_training",
        "same_preprocessing",
        "check_eval_mode",
        "split_anew",
        "augment",
    ),
    inject=inject,
    shows=shows,
)
