"""Labelled runs -> an adaptation, and what it would have said of runs it was not fitted on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..adaptation import NO_AXES, Adaptation, Axes, Strength, find_axes, fit_adaptation, start_prior
from ..prior import PSEUDO_RUNS

Array = NDArray[np.float64]

ANCHORED = 0.3
"""Weight of all simulated runs together, beside that of the team's."""

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
    anchors : Sample or None
        Simulated runs that stand for all that is not the team's; they are part of every fit.
    """

    log_p: Array
    seen: Array
    shares: Array
    known: NDArray[np.int64]
    old_prior: Array
    anchors: Sample | None = None

    def part(self, rows: NDArray[np.bool_]) -> Sample:
        """Return some of the runs."""
        return replace(self, log_p=self.log_p[rows], seen=self.seen[rows], shares=self.shares[rows])

    def fit(self, strength: Strength, axes: Axes | None = None) -> Adaptation:
        """Fit to all runs; `axes` if they have been found already."""
        if axes is None:
            axes = find_axes(self.seen) if np.isfinite(strength.weights) else NO_AXES
        log_p, seen, shares = self.log_p, self.seen, self.shares
        if self.anchors is not None:
            log_p = np.concatenate([log_p, self.anchors.log_p])
            seen = np.concatenate([seen, self.anchors.seen])
            shares = np.concatenate([shares, self._weighted(self.anchors.shares)])
        return fit_adaptation(log_p, seen, shares, self.known, strength, axes)

    def _weighted(self, shares: Array) -> Array:
        """Weigh simulated runs so that each cause is among them as common as in the team's."""
        usual = start_prior(self.old_prior, self.known)
        votes = self.shares.sum(0) + PSEUDO_RUNS * usual
        weighted = shares * (votes / votes.sum() / usual)
        return np.asarray(weighted * (ANCHORED * self.shares.sum() / weighted.sum()))


def soft_log_loss(p: Array, shares: Array) -> Array:
    """Return what each run costs, (run,), in nats: less, the more probable its votes are."""
    return np.asarray(-(shares * np.log(np.maximum(p, FLOOR))).sum(1))


def choose_strength(
    sample: Sample, folds: NDArray[np.int64], strengths: Sequence[Strength]
) -> Strength:
    """Choose by cross-validation the firmest that costs no more than the best, as far as one knows.

    Within a standard error of the best the data do not tell (Breiman et al., Classification and
    Regression Trees, 1984, 3.4.3); what is held firmer unlearns less of what other runs taught.

    Parameters
    ----------
    sample : Sample
        Of n runs.
    folds : array of shape (run,)
        Groups of runs that stay together are of one fold.
    strengths : sequence of Strength
        What is tried, from the softest to the firmest.
    """
    costs = np.zeros((len(strengths), len(folds)))
    for fold in np.unique(folds):
        held = folds == fold
        rest, asked = sample.part(~held), sample.part(held)
        learns = any(np.isfinite(strength.weights) for strength in strengths)
        axes = find_axes(rest.seen) if learns else NO_AXES
        for place, strength in enumerate(strengths):
            p = rest.fit(strength, axes).of(asked.log_p, asked.seen)
            costs[place, held] = soft_log_loss(p, asked.shares)
    best = int(costs.mean(1).argmin())
    more = costs - costs[best]
    error = more.std(1) / np.sqrt(len(folds))
    return strengths[int(np.flatnonzero(more.mean(1) <= error)[-1])]


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
    answers = joblib.Parallel(min(workers, len(names)), return_as="generator")(jobs)
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
