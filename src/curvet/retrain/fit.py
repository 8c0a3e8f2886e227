"""Labelled runs -> an adaptation, and what it would have said of runs it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..adaptation import Adaptation, Strength, fit_adaptation

Array = NDArray[np.float64]

FLOOR = 1e-3
"""Probability below which a miss costs no more: one odd label must not decide everything."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """What an adaptation is fitted to.

    Parameters
    ----------
    log_p : array of shape (run, cause)
        See `adaptation.start`.
    seen : array of shape (run, unit)
        See `adaptation.activations`.
    shares : array of shape (run, cause)
        Share of the votes for each cause.
    known : array of shape (cause,)
        See `Adaptation`.
    old_prior : array of shape (old cause,)
        How common each cause is in the answers that are adapted.
    """

    log_p: Array
    seen: Array
    shares: Array
    known: NDArray[np.int64]
    old_prior: Array

    def part(self, rows: NDArray[np.bool_]) -> Sample:
        """Return some of the runs."""
        return Sample(
            self.log_p[rows], self.seen[rows], self.shares[rows], self.known, self.old_prior
        )

    def fit(self, strength: Strength) -> Adaptation:
        """Fit to all runs."""
        return fit_adaptation(
            self.log_p, self.seen, self.shares, self.known, self.old_prior, strength
        )


def soft_log_loss(p: Array, shares: Array) -> Array:
    """Return the mean negative log-probability of the votes for each run, (run,), in nats."""
    return np.asarray(-(shares * np.log(np.maximum(p, FLOOR))).sum(1))


def choose_strength(
    sample: Sample, folds: NDArray[np.int64], strengths: Sequence[Strength]
) -> Strength:
    """Choose by cross-validation; of equals the firmest.

    Parameters
    ----------
    sample : Sample
        Of n runs.
    folds : array of shape (run,)
        Groups of runs that stay together are of one fold.
    strengths : sequence of Strength
        What is tried: the intercepts with the firmest weights first, then the weights.
    """
    order = sorted(strengths, key=lambda s: (-s.weights, -s.intercept))
    firmest = [s for s in order if s.weights == order[0].weights]
    best = _least(sample, folds, firmest)
    return _least(sample, folds, [s for s in order if s.intercept == best.intercept])


def _least(sample: Sample, folds: NDArray[np.int64], strengths: Sequence[Strength]) -> Strength:
    if len(strengths) == 1:
        return strengths[0]
    costs = [soft_log_loss(predict_held(sample, folds, s), sample.shares).mean() for s in strengths]
    return strengths[int(np.argmin(costs))]


def predict_held(sample: Sample, folds: NDArray[np.int64], strength: Strength) -> Array:
    """Answer for each fold by what was fitted on the others, (run, cause)."""
    p = np.empty_like(sample.log_p)
    for fold in np.unique(folds):
        held = folds == fold
        fitted = sample.part(~held).fit(strength)
        p[held] = fitted.of(sample.log_p[held], sample.seen[held])
    return p


def cross_fit(
    sample: Sample,
    folds: NDArray[np.int64],
    strengths: Sequence[Strength],
    workers: int = 1,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Array:
    """Answer for each fold by a choice and a fit that have seen nothing of it, (run, cause)."""
    import joblib

    names = np.unique(folds)
    jobs = (joblib.delayed(_answer)(sample, folds, fold, strengths) for fold in names)
    p = np.empty_like(sample.log_p)
    answers = joblib.Parallel(workers, return_as="generator")(jobs)
    for done, (fold, answer) in enumerate(zip(names, answers, strict=True)):
        p[folds == fold] = answer
        progress(done + 1, len(names))
    return p


def _answer(
    sample: Sample, folds: NDArray[np.int64], fold: int, strengths: Sequence[Strength]
) -> Array:
    held = folds == fold
    rest = sample.part(~held)
    fitted = rest.fit(choose_strength(rest, folds[~held], strengths))
    return fitted.of(sample.log_p[held], sample.seen[held])
