"""Features on two scales: of their ranks, and of their distance from the median."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Table = NDArray[np.float32]

_SHARES = np.linspace(0.005, 0.995, 64)
_FAR = 6.0


def fit_scores(table: Table) -> tuple[Table, Table]:
    """Find values of each feature and their normal scores, both (feature, knot).

    Equal values share the mean of their ranks; rows are filled up with inf and the last score.
    """
    return _fit(table, _ranks)


def fit_distances(table: Table) -> tuple[Table, Table]:
    """Find values of each feature and how far they are from its median, both (feature, knot).

    The distance is counted in quartile ranges; far off, in their logarithm (arcsinh). Where half of
    the runs are alike, and what matters are the few that are not, ranks tell less: of those beyond
    the last knot none is larger than another.
    """
    return _fit(table, _distances)


def _fit(table: Table, scale: Callable[[Table], tuple[Array, Array]]) -> tuple[Table, Table]:
    """Put each feature on a scale; one that is hardly there, or always the same, stays 0."""
    knots = np.full((table.shape[1], len(_SHARES)), np.inf, np.float32)
    scores = np.zeros(knots.shape, np.float32)
    for column, values in enumerate(table.T):
        finite = values[np.isfinite(values)]
        if len(finite) < 50 or finite.min() == finite.max():
            continue
        value, score = scale(finite)
        knots[column, : len(value)] = value
        scores[column] = score[-1]
        scores[column, : len(value)] = score
    return knots, scores


def _ranks(finite: Table) -> tuple[Array, Array]:
    normal = NormalDist()
    quantiles = np.quantile(finite, _SHARES).astype(np.float32)
    value, which = np.unique(quantiles, return_inverse=True)
    if len(value) < 2:
        return np.array([finite.min(), finite.max()], np.float64), np.array([-1.0, 1.0])
    rank = np.bincount(which, _SHARES) / np.bincount(which)
    return value.astype(np.float64), np.array([normal.inv_cdf(r) for r in rank])


def _distances(finite: Table) -> tuple[Array, Array]:
    at = np.linspace(-_FAR, _FAR, len(_SHARES))
    low, middle, high = np.quantile(finite, (0.25, 0.5, 0.75))
    return middle + max(high - low, 1e-3) * np.sinh(at), at


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
