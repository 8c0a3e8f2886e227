"""How common each cause is: what the answers assume, and what an archive says of itself."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .causes import CAUSES
from .errors import PriorError

Array = NDArray[np.float64]

HEALTHY_SHARE = 0.3
"""Prior probability of a healthy run: the commonest verdict by far, though no majority.

People ask about runs that look wrong, and with one half far more faults are called healthy.
"""

PRIOR = {
    key: HEALTHY_SHARE if key == "healthy" else (1 - HEALTHY_SHARE) / (len(CAUSES) - 1)
    for key in CAUSES
}
"""Prior probability of each cause, which training and calibration assume.

All faults are alike: nobody has counted them, and one that is thought rare is never named.
"""

LOST = {"lr_too_high": 0.36}
"""Share of the runs with a cause that end in NaN or inf, where somebody has counted them.

Of 47 runs with too high a rate in a public grid of rates 17 ended so; of small nets only one in
twelve does, since their fewer and narrower layers overflow later.
"""

ARCHIVE = "archive"
"""Name of the prior that is estimated from the runs themselves."""

PSEUDO_RUNS = 20.0
"""How many runs the prior that is started from counts as, beside those of an archive."""

DOUBT = 2.0
"""How many runs it counts as beside, for each faulty run of an archive, while the shares of the
faults are estimated.

On tasks that a predictor does not know its answers lean to some causes, and no number of runs makes
up for that. Chosen on real trainings of tasks left out (docs/archive_prior.md).
"""

ACCEPTED = (
    "default, uniform, archive (estimated from the runs), healthy=0.8 and other CAUSE=SHARE "
    "joined by commas (the rest keep their proportions), or a JSON file {cause: share}"
)


def parse_prior(text: str, causes: Sequence[str], default: Sequence[float] | Array) -> Array | None:
    """Read how common each cause is.

    Parameters
    ----------
    text : str
        See `ACCEPTED`.
    causes : sequence of str
        Keys, in the order of the answer.
    default : sequence of float
        What the bundle was trained under, in the same order.

    Returns
    -------
    array of shape (cause,) or None
        Sums to 1; None for "archive", which needs the runs.

    Raises
    ------
    PriorError
        Not one of the accepted forms, an unknown cause, or shares that are none.

    Examples
    --------
    >>> parse_prior("healthy=0.8", ["healthy", "a", "b"], [0.5, 0.4, 0.1])
    array([0.8 , 0.16, 0.04])
    """
    usual = np.array(default, float)
    if text == ARCHIVE:
        return None
    if text == "default":
        return usual
    if text == "uniform":
        return np.full(len(causes), 1 / len(causes))
    given = _from_pairs(text) if "=" in text else _from_file(Path(text))
    if unknown := [key for key in given if key not in causes]:
        raise PriorError(
            f"--prior {text}: unknown cause {unknown[0]!r}; known: {', '.join(causes)}"
        )
    named = np.array([given.get(key, 0.0) for key in causes])
    free = np.array([key not in given for key in causes])
    left = 1 - float(named.sum())
    if not np.isfinite(left) or (named < 0).any() or left < -1e-6:
        raise PriorError(f"--prior {text}: shares must lie within 0 and 1 and not exceed 1 in all")
    if not free.any():
        return np.asarray(named / named.sum())
    named[free] = max(left, 0.0) * usual[free] / usual[free].sum()
    return np.asarray(named)


def _from_pairs(text: str) -> dict[str, float]:
    given = {}
    for part in text.split(","):
        key, _, share = part.partition("=")
        try:
            given[key.strip()] = float(share)
        except ValueError as error:
            raise PriorError(
                f"--prior {text}: {share!r} is no number; accepted: {ACCEPTED}"
            ) from error
    return given


def _from_file(path: Path) -> dict[str, float]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): float(share) for key, share in content.items()}
    except OSError as error:
        raise PriorError(
            f"--prior {path}: neither a known prior nor a file; accepted: {ACCEPTED}"
        ) from error
    except (ValueError, TypeError, AttributeError) as error:
        raise PriorError(f"{path}: no JSON object of causes and shares ({error})") from error


def reweigh(probabilities: Array, old: Array, new: Array) -> Array:
    """Turn answers under one prior into answers under another.

    Parameters
    ----------
    probabilities : array of shape (run, cause)
        Calibrated under `old`.
    old, new : arrays of shape (cause,)
        Priors; a cause that `old` leaves out stays out.

    Returns
    -------
    array of shape (run, cause)
        Rows sum to 1.
    """
    odds = np.divide(new, old, out=np.zeros_like(new), where=old > 0)
    weighted = probabilities * odds
    total = weighted.sum(-1, keepdims=True)
    # A prior of 0 on all that a run allows leaves nothing: keep the answer as it was.
    return np.where(total > 0, weighted / np.where(total > 0, total, 1.0), probabilities)


def estimate_prior(
    probabilities: Array,
    old: Array,
    healthy: int | None = 0,
    doubt: float = DOUBT,
    least_healthy: float | None = None,
) -> Array:
    """Estimate how common each cause is among runs from their answers alone.

    Expectation maximisation of Saerens, Latinne & Decaestecker, Adjusting the Outputs of a
    Classifier to New a Priori Probabilities, Neural Computation 14 (2002), in two stages: the
    share of healthy runs, then the shares of the faults among the rest. All twenty at once are
    ill-posed where causes look alike and real runs differ from simulated ones: then a rare fault
    takes over the runs of a common one. So `old` counts as `PSEUDO_RUNS` runs, and among the
    faults as more the more faulty runs there are. Healthy runs of tasks that are new look odd:
    their share is raised, but not lowered.

    Parameters
    ----------
    probabilities : array of shape (run, cause)
        Calibrated under `old`; none are needed.
    old : array of shape (cause,)
        The prior to start from.
    healthy : int or None
        Place of healthy runs among the causes; None where a predictor does not know them: then
        there is one stage.
    doubt : float
        See `DOUBT`.
    least_healthy : float or None
        Below which the share of healthy runs is not estimated; None for that of `old`.

    Returns
    -------
    array of shape (cause,)
        Sums to 1.
    """
    if healthy is None:
        pseudo_runs = PSEUDO_RUNS + doubt * float(probabilities.sum())
        return _maximise(probabilities, old, old, 0, pseudo_runs)
    least = old[healthy] if least_healthy is None else least_healthy
    first = np.argsort(np.arange(len(old)) != healthy, kind="stable")
    found = _in_two_stages(probabilities[:, first], old[first], doubt, float(least))
    return np.asarray(found[np.argsort(first)])


def _in_two_stages(probabilities: Array, old: Array, doubt: float, least: float) -> Array:
    """Estimate the share of healthy runs, which come first, then those of the faults."""
    healthy = probabilities[:, :1]
    whole = np.array([old[0], 1 - old[0]])
    share = _maximise(np.hstack([healthy, 1 - healthy]), whole, whole, 0, PSEUDO_RUNS)[0]
    share = max(float(share), least)
    start = np.concatenate([[share], (1 - share) * old[1:] / whole[1]])
    faulty = reweigh(probabilities, old, start)[:, 1:].sum()
    return _maximise(probabilities, old, start, 1, PSEUDO_RUNS + doubt * float(faulty))


def _maximise(p: Array, old: Array, start: Array, kept: int, pseudo_runs: float) -> Array:
    """Estimate shares by expectation maximisation; the first `kept` stay as they are."""
    new, free = start, start[kept:] / start[kept:].sum()
    for _ in range(1000):
        seen = reweigh(p, old, new)[:, kept:].sum(0) + pseudo_runs * free
        shares = start[kept:].sum() * seen / seen.sum()
        before, new = new, np.concatenate([start[:kept], shares])
        if np.abs(new - before).max() < 1e-7:
            break
    return np.asarray(new)
