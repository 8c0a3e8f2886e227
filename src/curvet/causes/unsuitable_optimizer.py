"""The optimiser, or its momentum, does not suit the problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Keep far too much momentum, leave the adaptive rates out, or let Adagrad starve."""
    face = rng.choice(["momentum", "plain", "starving"], p=[0.4, 0.35, 0.25])
    if face == "plain":
        rate = float(10 ** rng.uniform(-2.0, 0.0))
        return replace(recipe, optimiser="sgd", momentum=0.0, lr=rate, weight_decay=0.0)
    if face == "starving":
        rate = float(10 ** rng.uniform(-2.8, -1.2))
        return replace(recipe, optimiser="adagrad", lr=rate, weight_decay=0.0)
    momentum = float(1 - 10 ** rng.uniform(-3.0, -1.7))
    keeps = recipe.optimiser in ("sgd", "nesterov", "adam", "adamw")
    return replace(recipe, optimiser=recipe.optimiser if keeps else "adam", momentum=momentum)


def shows(trace: Trace, twin: Trace) -> bool:
    """Learns something and stays finite, but ends well above its twin."""
    if not trace.finite:
        return False
    learns = trace.start - float(trace.loss.min()) > 0.1 * max(twin.drop, 0.0)
    return learns and trace.ends_above(twin, 0.15)


CAUSE = Cause(
    key="unsuitable_optimizer",
    remedies=(
        "try_adamw",
        "set_momentum",
        "replace_adagrad",
        "raise_epsilon",
        "check_parameters",
        "tune_sgd",
    ),
    inject=inject,
    shows=shows,
)
