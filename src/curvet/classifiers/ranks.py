"""How many knots of its column a value reaches: what trees and normal scores both ask."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


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
