"""Gradients grow on their way back through the net."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Take away normalisation and clipping and draw the initial weights too large."""
    return replace(
        recipe,
        norm="none",
        clip=float("inf"),
        warmup=0.0,
        activation="relu" if recipe.activation == "sigmoid" else recipe.activation,
        depth=recipe.at_least(int(rng.choice([3, 6, 10]))),
        init=rng.choice(["he", "xavier"]),
        init_gain=float(10 ** rng.uniform(0.1, 0.7)),
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Gradient norms far above the twin's, and NaN, divergence, cliffs in the loss, or a bad end.

    A large gradient at the start alone is no explosion: many such runs then train well.
    """
    finite = np.isfinite(trace.grad_norm)
    if not finite.any() or len(trace.loss) < 2:
        return False
    usual = max(float(np.nanmedian(twin.grad_norm)), 1e-12)
    if float(trace.grad_norm[finite].max()) < 20 * usual:
        return False
    if not trace.finite or trace.end > trace.start:
        return True
    early = max(2, len(trace.loss) // 12)
    norm, loss = trace.grad_norm[early:], trace.loss[early:]
    if len(loss) < 4 or not np.isfinite(norm).all():
        return False
    if float(np.median(norm)) > 10 * usual and trace.ends_above(twin, 0.08):
        return True
    bursts = float(norm.max()) > 12 * float(np.median(norm)) and float(norm.max()) > 10 * usual
    cliffs = float(loss.max()) > 2 * float(np.median(loss))
    return bursts and cliffs and trace.ends_above(twin, 0.05)


CAUSE = Cause(
    key="exploding_gradients",
    remedies=(
        "clip_gradients",
        "lower_lr",
        "warm_up",
        "fit_init",
        "add_normalisation",
        "add_residuals",
        "bound_logits",
        "use_gates",
    ),
    inject=inject,
    shows=shows,
    may_diverge=True,
)
