"""Gradients fade on their way back through the net; its first layers do not learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..recipe import Recipe, Trace
from .base import Cause


def inject(recipe: Recipe, rng: np.random.Generator) -> Recipe:
    """Saturate a deep net, or start with dead, tiny, zero or constant weights."""
    bare = replace(recipe, norm="none", residual=False)
    face = rng.choice(
        ["saturated", "tiny", "zero", "constant", "dead"], p=[0.4, 0.3, 0.1, 0.1, 0.1]
    )
    if face == "saturated":
        return replace(
            bare,
            activation=rng.choice(["sigmoid", "tanh"], p=[0.75, 0.25]),
            depth=recipe.at_least(int(rng.choice([5, 8, 12, 16]))),
            init=rng.choice(["xavier", "lecun_uniform"]),
            init_gain=float(rng.uniform(0.3, 1.0)),
        )
    if face == "tiny":
        return replace(
            bare,
            depth=recipe.at_least(int(rng.choice([3, 5, 8]))),
            init_gain=float(10 ** rng.uniform(-1.3, -0.3)),
        )
    return replace(
        bare, depth=recipe.at_least(2), init=face, init_gain=float(rng.uniform(0.5, 1.5))
    )


def shows(trace: Trace, twin: Trace) -> bool:
    """Sits near its start for at least a third of the run while the twin learns."""
    if not trace.finite or not trace.ends_above(twin, 0.10):
        return False
    # Past the first steps, in which the output layer alone fits the mean.
    third = trace.loss[len(trace.loss) // 20 : len(trace.loss) // 3]
    level = float(np.median(third)) if len(third) else trace.start
    floor = min(trace.start, level)
    middle = trace.loss[len(trace.loss) // 3 - len(trace.loss) // 20 :][
        : max(1, len(trace.loss) // 10)
    ]
    flat = abs(float(middle.mean()) - floor) < 0.1 * max(twin.drop, 1e-12)
    return flat and floor > twin.end + 0.3 * twin.drop


CAUSE = Cause(
    key="vanishing_gradients",
    remedies=(
        "use_relu",
        "fit_init",
        "add_normalisation",
        "add_residuals",
        "revive_relus",
        "use_gates",
        "smaller_net",
    ),
    inject=inject,
    shows=shows,
)
