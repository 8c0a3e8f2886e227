"""Features on two scales: of their ranks, and of their distance from the median."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_SHARES = np.linspace(0.005, 0.995, 64)
_FAR = 6.0


def fit_scores(table: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find values of each feature and their normal scores, both (feature, knot).

    Equal values share the mean of their ranks; rows are filled up with inf and the last score.
    """
    normal = NormalDist()
    knots = np.full((table.shape[1], len(_SHARES)), np.inf, np.float32)
    scores = np.zeros(knots.shape, np.float32)
    for column, values in enumerate(table.T):
        finite = values[np.isfinite(values)]
        if len(finite) < 50 or finite.min() == finite.max():
            continue  # stays 0
        quantiles = np.quantile(finite, _SHARES).astype(np.float32)
        value, which = np.unique(quantiles, return_inverse=True)
        rank = np.bincount(which, _SHARES) / np.bincount(which)
        score = np.array([normal.inv_cdf(r) for r in rank])
        if len(value) < 2:
            value, score = np.array([finite.min(), finite.max()]), np.array([-1.0, 1.0])
        knots[column, : len(value)] = value
        scores[column] = score[-1]
        scores[column, : len(value)] = score
    return knots, scores


def fit_distances(
    table: NDArray[np.float32],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Find values of each feature and how far they are from its median, both (feature, knot).

    The distance is counted in quartile ranges; far off, in their logarithm (arcsinh). Where half of
    the runs are alike, and what matters are the few that are not, ranks tell less: of those beyond
    the last knot none is larger than another.
    """
    at = np.linspace(-_FAR, _FAR, len(_SHARES))
    knots = np.full((table.shape[1], len(at)), np.inf, np.float32)
    scores = np.zeros(knots.shape, np.float32)
    for column, values in enumerate(table.T):
        finite = values[np.isfinite(values)]
        if len(finite) < 50 or finite.min() == finite.max():
            continue  # stays 0
        low, middle, high = np.quantile(finite, (0.25, 0.5, 0.75))
        knots[column] = middle + max(high - low, 1e-3) * np.sinh(at)
        scores[column] = at
    return knots, scores


def to_scores(
    table: NDArray[np.float32],
    columns: NDArray[np.int64],
    knots: NDArray[np.float32],
    scores: NDArray[np.float32],
    more: int = 0,
) -> NDArray[np.float32]:
    """Interpolate between knots; NaN becomes 0.

    Parameters
    ----------
    table : array of shape (run, any)
        Features.
    columns : array of shape (feature,)
        Which of them.
    knots, scores : arrays of shape (feature, knot)
        See `fit_scores`, `fit_distances`.
    more : int
        Columns of zeros that follow.

    Returns
    -------
    array of shape (run, feature + more)
    """
    from ..compiled.ranks import interpolate

    out = np.zeros((len(table), len(columns) + more), np.float32)
    interpolate(np.ascontiguousarray(table), columns, knots, scores, out[:, : len(columns)])
    return out
