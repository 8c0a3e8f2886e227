"""Labelled runs whose curves are drawn by a formula: no net is trained."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from curvet.labelled import Labelled
from curvet.predictor import make_inputs
from curvet.recipe import Trace
from curvet.roles import assign
from curvet.simulate.corpus import LOGS_PER_RUN
from curvet.simulate.loggers import draw_length, draw_logger, in_other_unit, log
from curvet.simulate.population import validation_steps
from curvet.standardise import Standardised, standardise

from .base import KEYS, Array
from .bends import BENDS
from .model import lean
from .sketch import Rng, draw_healthy


def draw(cause: str, rng: Rng) -> Trace:
    """Draw the curves of one run by formula: no net is trained.

    Parameters
    ----------
    cause : str
        A key of `CAUSES`.
    rng : numpy.random.Generator
        Same state, same curves.

    Examples
    --------
    >>> trace = draw("bad_data_batch", np.random.default_rng(0))
    >>> len(trace.loss) == len(trace.grad_norm)
    True
    """
    sketch = draw_healthy(rng)
    BENDS[cause](sketch, rng)
    n = len(sketch.t)
    loss = sketch.loss + sketch.noise * _grain(n, rng)
    norm = sketch.norm * 10 ** (rng.uniform(0.03, 0.25) * rng.standard_normal(n))
    at = validation_steps(n)
    val = sketch.val[at] + 0.3 * sketch.noise[at] * rng.standard_normal(len(at))
    if sketch.nan_from < n:
        loss[sketch.nan_from :] = norm[sketch.nan_from :] = np.nan
        val[at >= sketch.nan_from] = np.nan
    return Trace(sketch.step, loss, norm, sketch.lr, at, val, sketch.epoch, sketch.onset)


def _grain(n: int, rng: Rng) -> Array:
    """Noise of unit variance, in some runs a little correlated, in some with heavy tails."""
    grain = rng.standard_normal(n)
    if rng.random() < 0.3:
        grain = rng.standard_t(4, n) / np.sqrt(2)
    return np.asarray(grain)


def draw_labelled(y: NDArray[np.int64], seed: int) -> Labelled:
    """Draw one run for each entry of `y` (positions in `KEYS`), logged as the population is."""
    rng = np.random.default_rng((seed, 11))
    runs: list[Standardised] = []
    causes: list[int] = []
    for cause in y:
        trace = draw(KEYS[cause], rng)
        for _ in range(LOGS_PER_RUN):
            so_far = trace.until(draw_length(trace, rng))
            if rng.random() < 0.34:  # the share of regressions, whose losses come in any unit
                so_far = in_other_unit(so_far, 10 ** rng.uniform(-2, 3))
            run = log(so_far, draw_logger(so_far, rng))
            loss = run.curves["loss"].value
            if np.isfinite(loss).any() and len(loss) > 1:
                runs.append(standardise(assign(run)))
                causes.append(int(cause))
    nothing = np.full(len(causes), "drawn")
    inputs = lean(make_inputs(runs))
    one, times = np.full(len(causes), -1), np.ones(len(causes))
    rest = (nothing, nothing, nothing, nothing, nothing, times)
    return Labelled(inputs, np.array(causes), one, *rest)
