"""The answer of a trained predictor -> the answer for a team whose labelled runs are known.

A multinomial logistic regression whose starting point is the predictor itself: its slope starts
at 1, its intercepts and its weights on what the nets see start at 0, and all are held there as
firmly as the labels of other sweeps say (ridge; its strength by cross-validation). So few labels
change little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .classifiers import Classifier, Inputs, Mlp

Array = NDArray[np.float64]

FILE = "adaptation.npz"
N_AXES = 64
"""Directions of what the nets see that are learned from: those in which the team's runs differ."""

_NEW = 0.02
"""Probability from which a cause that the predictor does not know starts."""

_LEAST = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class Adaptation:
    """How an answer is adapted.

    Parameters
    ----------
    known : array of shape (cause,), int64
        Place of each cause of the new answer in the old one; -1 for a cause of the team.
    slope : float
        Factor on the old log-probabilities.
    intercept : array of shape (cause,)
        Added to them.
    centre : array of shape (unit,)
        Mean of what the nets see (`activations`); of length 0 where only the answers count.
    axes : array of shape (unit, axis)
        Directions in it, scaled.
    weights : array of shape (axis, cause)
        Added for each unit along an axis.
    prior : array of shape (cause,)
        How common each cause is in the new answers, sums to 1; empty until `with_prior`.
    """

    known: NDArray[np.int64]
    slope: float
    intercept: Array
    centre: Array
    axes: Array
    weights: Array
    prior: Array = field(default_factory=lambda: np.empty(0))

    def apply(
        self, probabilities: Array, classifiers: Sequence[Classifier], inputs: Inputs
    ) -> Array:
        """Adapt answers, (run, old cause) -> (run, cause); rows sum to 1."""
        seen = activations(classifiers, inputs) if len(self.centre) else np.empty((len(inputs), 0))
        return self.of(start(probabilities, self.known), seen)

    def of(self, log_p: Array, seen: Array) -> Array:
        """Adapt what `start` and `activations` gave."""
        at = (seen - self.centre) @ self.axes if len(self.centre) else np.empty((len(seen), 0))
        return _softmax(self.slope * log_p + self.intercept + at @ self.weights, log_p)

    def with_prior(self, old_prior: Array, log_p: Array, seen: Array) -> Adaptation:
        """Return a copy that knows how common each cause is in its answers.

        Where labels are few the votes say too much of that, and where a cause has none the
        intercepts too little: so the old prior is changed as the answers for the team's runs are.

        Parameters
        ----------
        old_prior : array of shape (old cause,)
            How common each cause is in the old answers.
        log_p, seen
            Of the team's runs; see `of`.
        """
        usual = start_prior(old_prior, self.known)
        new = self.of(log_p, seen).sum(0) + usual
        old = _softmax(log_p, log_p).sum(0) + usual
        prior = usual * new / old
        return replace(self, prior=prior / prior.sum())

    def save(self, folder: Path) -> None:
        """Write ``adaptation.npz``."""
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _PARTS}
        np.savez_compressed(folder / FILE, **arrays)

    @classmethod
    def load(cls, folder: Path) -> Adaptation | None:
        """Read ``adaptation.npz``; None where there is none."""
        path = folder / FILE
        if not path.is_file():
            return None
        with np.load(BytesIO(path.read_bytes()), allow_pickle=False) as arrays:
            parts = {name: arrays[name] for name in _PARTS}
        return cls(**{**parts, "slope": float(parts["slope"])})


_PARTS = ("known", "slope", "intercept", "centre", "axes", "weights", "prior")


def activations(classifiers: Sequence[Classifier], inputs: Inputs) -> Array:
    """Return what the nets on the features see of runs, (run, unit)."""
    return next(c.activations(inputs) for c in classifiers if isinstance(c, Mlp))


def start(probabilities: Array, known: NDArray[np.int64]) -> Array:
    """Return log-probabilities over the new causes, (run, cause); -inf where one is ruled out.

    A cause that the predictor does not know gets the same small share in every run, except where
    the run ends as NaN or inf and all that is known of the cause is that it is none of those that
    do that: nothing is ruled out by definition for a team's own cause.
    """
    old = np.where(known >= 0, probabilities[:, np.maximum(known, 0)], _NEW)
    # Where all that is left of the old causes is ruled out, the old answer says nothing.
    old = np.where((old > 0).any(1, keepdims=True), old, 1.0)
    with np.errstate(divide="ignore"):
        return np.where(old > 0, np.log(np.maximum(old, _LEAST)), -np.inf)


def start_prior(old_prior: Array, known: NDArray[np.int64]) -> Array:
    """Return how common each cause is in what `start` gives, (cause,)."""
    usual = np.where(known >= 0, old_prior[np.maximum(known, 0)], _NEW)
    return np.asarray(usual / usual.sum())


def _softmax(scores: Array, log_p: Array) -> Array:
    scores = np.where(np.isfinite(log_p), scores, -np.inf)
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(scores / scores.sum(1, keepdims=True))


class Strength(NamedTuple):
    """How firmly slope, intercepts and weights are held at their start; inf: no weights at all."""

    slope: float
    intercept: float
    weights: float


RECALIBRATE = tuple(Strength(5.0, intercept, np.inf) for intercept in (0.1, 0.3, 1.0, 3.0))
"""Strengths that are tried where there are few labels: the answers alone are adapted."""

LEARN = tuple(Strength(5.0, 0.3, weights) for weights in (1.0, 3.0, 10.0, np.inf))
"""Strengths that are tried where there are more; weaker ones unlearn what holds for other runs."""


NEW_WEIGHTS, NEW_INTERCEPT = 0.3, 0.1
"""Factors on the strengths of a cause that is new: of that there is nothing to unlearn."""


class Axes(NamedTuple):
    """Centre (unit,) and scaled principal axes (unit, axis) of what the nets see of some runs."""

    centre: Array
    axes: Array


NO_AXES = Axes(np.empty(0), np.empty((0, 0)))


def fit_adaptation(
    log_p: Array,
    seen: Array,
    shares: Array,
    known: NDArray[np.int64],
    strength: Strength,
    axes: Axes,
) -> Adaptation:
    """Fit to labelled runs.

    Parameters
    ----------
    log_p : array of shape (run, cause)
        See `start`.
    seen : array of shape (run, unit)
        See `activations`.
    shares : array of shape (run, cause)
        Share of the votes for each cause, times how much the run counts.
    known : array of shape (cause,)
        See `Adaptation`.
    strength : Strength
        Of all.
    axes : Axes
        See `find_axes`; not used without weights.
    """
    from scipy.optimize import minimize
    from threadpoolctl import threadpool_limits

    learns = bool(np.isfinite(strength.weights))
    centre, directions = axes if learns else NO_AXES
    x = (seen - centre) @ directions if learns else np.empty((len(seen), 0))
    # A vote for what is ruled out by definition says nothing about the rest.
    ruled_out = ~np.isfinite(log_p)
    target = np.where(ruled_out, 0.0, shares)
    finite = np.where(ruled_out, 0.0, log_p)
    n, d = log_p.shape[1], x.shape[1]
    firm = (0.0 if not learns else strength.weights) * np.where(known < 0, NEW_WEIGHTS, 1.0)
    firm_intercept = strength.intercept * np.where(known < 0, NEW_INTERCEPT, 1.0)

    def loss(v: Array) -> tuple[float, Array]:
        slope, intercept, weights = v[0], v[1 : 1 + n], v[1 + n :].reshape(d, n)
        p = _softmax(slope * finite + intercept + x @ weights, log_p)
        away = p * target.sum(1, keepdims=True) - target
        hit = -(target * np.log(np.maximum(p, 1e-300))).sum()
        held = (
            strength.slope * (slope - 1) ** 2
            + (firm_intercept * intercept**2).sum()
            + (firm * weights**2).sum()
        )
        slopes = np.concatenate(
            [
                [(away * finite).sum() + 2 * strength.slope * (slope - 1)],
                away.sum(0) + 2 * firm_intercept * intercept,
                (x.T @ away + 2 * firm * weights).ravel(),
            ]
        )
        return float(hit + held), slopes

    first = np.zeros(1 + n + d * n)
    first[0] = 1.0
    # Several threads take longer for arrays this small, and add up in another order.
    with threadpool_limits(1):
        best = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": 500}).x
    return Adaptation(
        known,
        float(best[0]),
        best[1 : 1 + n],
        centre,
        directions,
        best[1 + n :].reshape(d, n),
    )


def find_axes(seen: Array) -> Axes:
    """Find the directions in which what the nets see of a team's runs differs most.

    Parameters
    ----------
    seen : array of shape (run, unit)
        See `activations`.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # as in `fit_adaptation`
        return _find_axes(seen)


def _find_axes(seen: Array) -> Axes:
    centre = seen.mean(0)
    away = seen - centre
    n_runs, n_units = seen.shape
    # By the products of runs or of units, whichever are fewer.
    squares, sides = np.linalg.eigh(away @ away.T if n_runs < n_units else away.T @ away)
    most = np.flatnonzero(squares > 1e-9 * max(float(squares[-1]), 1e-300))[: -N_AXES - 1 : -1]
    axes = sides[:, most]
    if n_runs < n_units:
        axes = away.T @ (axes / np.sqrt(squares[most]))
    # The signs of axes are arbitrary, but must be the same on every machine.
    axes *= np.sign(axes[np.abs(axes).argmax(0), np.arange(axes.shape[1])])
    return Axes(centre, axes * np.sqrt(len(seen) / max(float(squares[-1]), 1e-300)))
