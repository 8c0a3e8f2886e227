"""Features on the scale of their ranks: normal scores, and the knots that a value reaches."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

_BLOCK = 32  # runs: what is made of them stays in the cache
_SHARES = np.linspace(0.005, 0.995, 64)


def pad_knots(knots: NDArray[np.float32]) -> NDArray[np.float32]:
    """Fill up rows of sorted knots, (column, knot), with NaN to one less than a power of two."""
    size = 1
    while size < knots.shape[1]:
        size = 2 * size + 1
    return np.pad(knots, ((0, 0), (0, size - knots.shape[1])), constant_values=np.nan)


def count_reached(x: NDArray[np.float32], knots: NDArray[np.float32]) -> NDArray[np.intp]:
    """Count the knots that are at most each value, by halving; NaN reaches none.

    Parameters
    ----------
    x : array of shape (column, run)
        Any values.
    knots : array of shape (column, 2**k - 1)
        From `pad_knots`.

    Returns
    -------
    array of shape (column, run), intp

    Examples
    --------
    >>> count_reached(np.array([[0.5, 3.0, np.nan]], "f"), np.array([[0.5, 1.0, 2.0]], "f"))
    array([[1, 3, 0]])
    """
    flat, half = np.ascontiguousarray(knots).reshape(-1), (knots.shape[1] + 1) // 2
    start = (np.arange(len(knots)) * knots.shape[1])[:, None]
    at = np.broadcast_to(start, x.shape)
    while half:
        at = at + (x >= flat.take(at + (half - 1))) * half
        half //= 2
    return np.asarray(at - start)


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


def to_scores(
    x: NDArray[np.float32], knots: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Interpolate between knots, (run, feature) -> (run, feature); NaN becomes 0."""
    parts = [_interpolated(x[i : i + _BLOCK], knots, scores) for i in range(0, len(x), _BLOCK)]
    return np.concatenate(parts) if parts else np.empty(x.shape, np.float32)


def _interpolated(
    x: NDArray[np.float32], knots: NDArray[np.float32], scores: NDArray[np.float32]
) -> NDArray[np.float32]:
    columns, last = np.ascontiguousarray(x.T), knots.shape[1] - 1
    below = np.maximum(count_reached(columns, pad_knots(knots)) - 1, 0)
    above = np.minimum(below + 1, last)
    start = (np.arange(len(knots)) * knots.shape[1])[:, None]
    below, above = np.minimum(below, last) + start, above + start
    low, high = knots.take(below), knots.take(above)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = np.where(np.isfinite(high) & (high > low), (columns - low) / (high - low), 0.0)
    share = np.clip(share, 0.0, 1.0)
    first = scores.take(below)
    score = first + share * (scores.take(above) - first)
    return np.where(np.isfinite(columns), score, 0.0).astype(np.float32).T
