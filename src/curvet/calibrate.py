"""Raw probabilities of several classifiers -> one calibrated answer, and the set that holds it.

Everything here is fitted on runs from bases that no classifier was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

COVERAGES = np.linspace(0.5, 0.99, 50)
"""Shares of runs for which thresholds of the conformal set are kept."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """How raw probabilities become the answer.

    Parameters
    ----------
    weights : tuple of float
        Exponent of each classifier in the weighted geometric mean, sum 1.
    temperature : float
        Divides the log-probabilities of the mean (Guo et al., On Calibration of Modern Neural
        Networks, ICML 2017).
    thresholds : tuple of float
        Least probability of a cause in the conformal set, for each of `COVERAGES`, from runs not
        used for the others (Sadinle et al., Least Ambiguous Set-Valued Classifiers, JASA 2019).
    """

    weights: tuple[float, ...]
    temperature: float
    thresholds: tuple[float, ...]

    def combine(self, raw: Sequence[Array]) -> Array:
        """Combine and calibrate; each array and the result have shape (run, cause)."""
        return _combine(raw, np.array(self.weights), self.temperature)

    def likely(self, probabilities: Array, coverage: float = 0.9) -> NDArray[np.bool_]:
        """Choose the conformal set of each run, (run, cause); never empty.

        Parameters
        ----------
        probabilities : array of shape (run, cause)
            Calibrated.
        coverage : float
            Share of runs whose true cause the sets shall hold, within `COVERAGES`.

        Raises
        ------
        ValueError
            Another coverage.
        """
        if not COVERAGES[0] <= coverage <= COVERAGES[-1]:
            raise ValueError(
                f"coverage is expected within {COVERAGES[0]} and {COVERAGES[-1]}, got {coverage}"
            )
        inside = probabilities >= np.interp(coverage, COVERAGES, self.thresholds)
        inside[np.arange(len(inside)), probabilities.argmax(1)] = True
        return np.asarray(inside)


def _combine(raw: Sequence[Array], weights: Array, temperature: float) -> Array:
    mean = sum(w * np.log(np.maximum(p, 1e-9)) for w, p in zip(weights, raw, strict=True))
    scaled = np.asarray(mean) / temperature
    scaled = np.exp(scaled - scaled.max(1, keepdims=True))
    return np.asarray(scaled / scaled.sum(1, keepdims=True))


def log_loss(probabilities: Array, y: NDArray[np.int64], weight: Array) -> float:
    """Weighted mean of the negative log-probability of the true cause, in nats."""
    hit = probabilities[np.arange(len(y)), y]
    return float(np.average(-np.log(np.maximum(hit, 1e-12)), weights=weight))


def fit_combination(
    raw: Sequence[Array], y: NDArray[np.int64], weight: Array
) -> tuple[tuple[float, ...], float]:
    """Find the weights and the temperature of least log-loss.

    Parameters
    ----------
    raw : sequence of arrays of shape (run, cause)
        One for each classifier.
    y : array of shape (run,)
        True causes.
    weight : array of shape (run,)
        How much each run counts.
    """
    from scipy.optimize import minimize

    def unpack(v: Array) -> tuple[Array, float]:
        odds = np.exp(np.append(v[1:], 0.0))
        return odds / odds.sum(), float(np.exp(v[0]))

    best = minimize(
        lambda v: log_loss(_combine(raw, *unpack(v)), y, weight),
        np.zeros(len(raw)),
        method="Nelder-Mead",
        options={"xatol": 1e-3, "fatol": 1e-6},
    )
    weights, temperature = unpack(best.x)
    return tuple(float(w) for w in weights), temperature


def conformal_thresholds(
    probabilities: Array, y: NDArray[np.int64], weight: Array
) -> tuple[float, ...]:
    """Find the probabilities that the true cause reaches in each of `COVERAGES` of the runs."""
    hit = probabilities[np.arange(len(y)), y]
    order = np.argsort(hit)
    passed = np.cumsum(weight[order]) / weight.sum()
    # The next run counts, too: that is what makes the coverage hold for unseen runs.
    allowed = (1 - COVERAGES) - 1 / (len(y) + 1)
    found = hit[order[np.searchsorted(passed, np.maximum(allowed, 0.0))]]
    # With too few runs no cause can be left out.
    return tuple(float(t) for t in np.where(allowed < 0, 0.0, found))


def expected_calibration_error(
    probabilities: Array, y: NDArray[np.int64], weight: Array, bins: int = 15
) -> float:
    """Mean distance between confidence and accuracy over equal bins of confidence, 0 to 1."""
    confidence = probabilities.max(1)
    right = (probabilities.argmax(1) == y).astype(float)
    index = np.minimum((confidence * bins).astype(int), bins - 1)
    error = 0.0
    for i in np.unique(index):
        mine = index == i
        gap = np.average(confidence[mine] - right[mine], weights=weight[mine])
        error += weight[mine].sum() / weight.sum() * abs(float(gap))
    return error
