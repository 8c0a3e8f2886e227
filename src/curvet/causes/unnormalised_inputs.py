"""Inputs are far from zero mean and unit variance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace, Unnormalised
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Leave the inputs in their units: too large, off centre, or each in one of its own."""
    face = rng.choice(["scale", "shift", "spread", "small"], p=[0.35, 0.25, 0.3, 0.1])
    scale = float(10 ** rng.uniform(0.7, 2.6)) if face in ("scale", "spread") else 1.0
    if face == "small":
        scale = float(10 ** rng.uniform(-2.5, -1.3))
    shift = float(scale * rng.uniform(2, 12)) if face == "shift" or rng.random() < 0.4 else 0.0
    spread = float(rng.uniform(0.5, 1.5)) if face == "spread" else 0.0
    return replace(recipe, unnormalised=Unnormalised(scale, shift, spread), norm="none")


def shows(trace: Trace, twin: Trace) -> bool:
    """Turn NaN, start far above the twin, or end well above it."""
    high = trace.start > 4 * abs(twin.start) and trace.ends_above(twin, 0.03)
    return not trace.finite or high or trace.ends_above(twin, 0.12)


CAUSE = Cause(
    key="unnormalised_inputs",
    remedies=(
        "standardise_inputs",
        "rescale_inputs",
        "normalise_targets",
        "normalise_first",
        "clip_gradients",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
